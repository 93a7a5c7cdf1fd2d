package dns

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// layout is all that a route needs to know of a spec.
type layout struct {
	plan      string
	revision  int
	route     migration.Route
	target    migration.Target
	bucket    migration.StateStore
	store     migration.Target // whose account the state bucket is in
	ttl       int64            // of the records while their customers move, in seconds
	customers []migration.Customer
	hosts     map[string][]*host // by customer
}

// host is a customer's host.
type host struct {
	name        string // lower case, with the final dot
	customer    string
	onprem, aws value
}

// value is what a record says on one side: values of a type, or an alias.
type value struct {
	kind  types.RRType
	says  []string // sorted; names have their final dot
	alias *types.AliasTarget
}

// The pair of weighted records of a host.
const (
	setOnPrem = "drover-onprem"
	setAWS    = "drover-aws"
)

func (rt *Router) layout(ctx context.Context, spec *migration.Spec, route migration.Route) (*layout, error) {
	l := &layout{plan: spec.Plan, revision: spec.Revision, route: route, bucket: spec.State, ttl: int64(route.DNS.TTL.D().Seconds()),
		hosts: map[string][]*host{}}
	l.target, _ = spec.Target(route.DNS.Target)
	l.store, _ = spec.Target(spec.State.Target)
	name, zone, err := rt.balancers.Named(ctx, l.target, route.DNS.Listener)
	if err != nil {
		return nil, err
	}
	for _, c := range spec.Customers {
		if !spec.Carries(route.Name, c) {
			continue
		}
		l.customers = append(l.customers, c)
		i := slices.IndexFunc(c.Workloads, func(w string) bool { _, ok := route.DNS.Workloads[w]; return ok })
		onprem, onAWS := values(route.DNS.Workloads[c.Workloads[i]], name, zone)
		for _, h := range c.Hosts {
			l.hosts[c.ID] = append(l.hosts[c.ID], &host{name: fqdn(h), customer: c.ID, onprem: onprem, aws: onAWS})
		}
	}
	return l, nil
}

// cloudFrontZone is the hosted zone of every alias of a distribution
// (https://docs.aws.amazon.com/Route53/latest/APIReference/API_AliasTarget.html).
const cloudFrontZone = "Z2FDTNDATAQYW2"

// values are what records say of a workload on premises and on AWS, where balancer, whose aliases
// are in a zone, takes the requests unless the plan names something else.
func values(n migration.Named, balancer, zone string) (onprem, onAWS value) {
	if n.AWS != "" {
		balancer, zone = n.AWS, cloudFrontZone
	}
	if len(n.Addresses) == 0 {
		return value{kind: types.RRTypeCname, says: []string{fqdn(n.OnPrem)}}, value{kind: types.RRTypeCname,
			says: []string{fqdn(balancer)}}
	}
	return value{kind: types.RRTypeA, says: n.Addresses},
		value{kind: types.RRTypeA, alias: &types.AliasTarget{DNSName: aws.String(fqdn(balancer)), HostedZoneId: &zone}}
}

// lane names the passes that may share work and never run beside each other.
func (l *layout) lane() string { return fmt.Sprintf("%s %d %s", l.plan, l.revision, l.route.Name) }

// of are the hosts of customers, in the order of the spec.
func (l *layout) of(customers func(id string) bool) (out []*host) {
	for _, c := range l.customers {
		if customers(c.ID) {
			out = append(out, l.hosts[c.ID]...)
		}
	}
	return out
}

// all are the hosts of all customers.
func (l *layout) all() []*host { return l.of(func(string) bool { return true }) }

// pair are the records of a host of which a share of the requests goes to AWS.
func (h *host) pair(share int, ttl int64) []types.ResourceRecordSet {
	return []types.ResourceRecordSet{h.set(h.onprem, setOnPrem, routes.All-share, ttl), h.set(h.aws, setAWS, share, ttl)}
}

func (h *host) set(v value, id string, weight int, ttl int64) types.ResourceRecordSet {
	s := v.set(h.name, ttl)
	s.SetIdentifier, s.Weight = &id, aws.Int64(int64(weight))
	return s
}

// set is a record set that says the value.
func (v value) set(name string, ttl int64) types.ResourceRecordSet {
	s := types.ResourceRecordSet{Name: &name, Type: v.kind}
	if v.alias != nil {
		s.AliasTarget = v.alias
		return s
	}
	s.TTL = &ttl
	for _, x := range v.says {
		s.ResourceRecords = append(s.ResourceRecords, types.ResourceRecord{Value: aws.String(x)})
	}
	return s
}

// fqdn is a name as this package compares it: lower case, with its final dot, and a star for what
// Route 53 writes as its octal code.
func fqdn(name string) string {
	return strings.TrimSuffix(strings.ToLower(strings.ReplaceAll(name, `\052`, "*")), ".") + "."
}

// bare is a name as people write it.
func bare(name string) string { return strings.TrimSuffix(name, ".") }

// says are the values of a set, sorted, names as fqdn has them.
func says(s types.ResourceRecordSet) (out []string) {
	for _, r := range s.ResourceRecords {
		v := aws.ToString(r.Value)
		if s.Type == types.RRTypeCname {
			v = fqdn(v)
		}
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}
