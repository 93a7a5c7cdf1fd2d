package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/drover-migration/drover/lab/lb"
	"github.com/drover-migration/drover/lab/load"
)

// FrontName is how the machines on premises are called that customers find by name.
func (l *Lab) FrontName() string { return "edge." + Domain }

// NamesLast is the TTL of the customers' records before the migration.
const NamesLast = 3 * time.Second

// buildNames makes the zone of the customers that are found by name, as it stands before the
// migration, and the listener on AWS that nobody asks yet.
func (l *Lab) buildNames(ctx context.Context, balancer string) error {
	listener, err := elb.NewFromConfig(l.AWSConfig()).CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: &balancer,
		Port: aws.Int32(int32(l.ports.entry)), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumFixedResponse,
			FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: aws.String("404"), ContentType: aws.String("text/plain"),
				MessageBody: aws.String("nobody is here")}}}})
	if err != nil {
		return err
	}
	l.Entry = *listener.Listeners[0].ListenerArn
	c := route53.NewFromConfig(l.AWSConfig())
	zone, err := c.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: aws.String(Domain), CallerReference: aws.String(Domain)})
	if err != nil {
		return err
	}
	l.Zone = strings.TrimPrefix(*zone.HostedZone.Id, "/hostedzone/")
	sets := []types.ResourceRecordSet{record(l.FrontName(), types.RRTypeA, NamesLast, l.net.front())}
	for _, customer := range l.Shape.Customers() {
		if customer.ByName {
			sets = append(sets, record(customer.Host, types.RRTypeCname, NamesLast, l.FrontName()+"."))
		}
	}
	var changes []types.Change
	for _, s := range sets {
		changes = append(changes, types.Change{Action: types.ChangeActionCreate, ResourceRecordSet: &s})
	}
	_, err = c.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: &l.Zone,
		ChangeBatch: &types.ChangeBatch{Changes: changes}})
	return err
}

func record(name string, kind types.RRType, ttl time.Duration, says string) types.ResourceRecordSet {
	return types.ResourceRecordSet{Name: aws.String(name + "."), Type: kind, TTL: aws.Int64(int64(ttl.Seconds())),
		ResourceRecords: []types.ResourceRecord{{Value: &says}}}
}

// startEntry serves those who are found by name: on premises before the machines there, on AWS by
// the load balancer's second listener.
func (l *Lab) startEntry(ctx context.Context, done *sync.WaitGroup) error {
	for _, s := range []struct {
		at string
		b  *lb.Balancer
	}{{l.net.front(), l.front()}, {l.net.balancer(), lb.New(l.motoURL, l.ports.entry)}} {
		listener, err := net.Listen("tcp", at(s.at, l.ports.entry))
		if err != nil {
			return fmt.Errorf("entry of customers by name: %w", err)
		}
		done.Go(func() { _ = s.b.Serve(ctx, listener) })
	}
	return nil
}

// front is what stands before the machines on premises.
func (l *Lab) front() *lb.Balancer {
	group := func(name string, vms ...int) lb.TargetGroup {
		g := lb.TargetGroup{ARN: name, HealthCheckPath: "/healthz"}
		for _, i := range vms {
			g.Targets = append(g.Targets, lb.Target{ID: l.net.vm(i), Address: l.net.vm(i), Port: l.ports.app})
		}
		return g
	}
	b := lb.New("", l.ports.entry)
	b.Obey(lb.State{Version: 1, TargetGroups: []lb.TargetGroup{group("web", 0, 1), group("api", 2)},
		Listeners: []lb.Listener{{Port: l.ports.entry, Rules: []lb.Rule{
			{Priority: "1", Conditions: []lb.Condition{{Field: "path-pattern", Values: []string{"/api/*"}}},
				Forward: []lb.Forward{{TargetGroup: "api", Weight: 1}}},
			{Priority: "default", Forward: []lb.Forward{{TargetGroup: "web", Weight: 1}}},
		}}}})
	return b
}

// get asks for a path as a customer's client does that has asked nothing before.
func (l *Lab) get(ctx context.Context, c Customer, path string) (*http.Response, error) {
	to, by := "http://"+l.Edge()+path, http.DefaultClient
	if c.ByName {
		to, by = "http://"+at(c.Host, l.ports.entry)+path, load.NewNames(l.DNS()).Client(2*time.Second)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return nil, err
	}
	req.Host = c.Host
	return by.Do(req)
}

// customerOf is whose a host is.
func (l *Lab) customerOf(host string) Customer {
	all := l.Shape.Customers()
	if i := slices.IndexFunc(all, func(c Customer) bool { return c.Host == host }); i >= 0 {
		return all[i]
	}
	return Customer{Host: host}
}

// loaded is a customer whose traffic is driven.
func (l *Lab) loaded(c Customer) load.Customer {
	out := load.Customer{ID: c.ID, Tenant: int64(c.Tenant), Host: c.Host}
	if c.ByName {
		out.Port = l.ports.entry
	}
	return out
}

// records are the record sets of the customers' zone, one line each.
func (l *Lab) records(ctx context.Context) (out []string, err error) {
	if l.Zone == "" {
		return nil, nil
	}
	pages := route53.NewListResourceRecordSetsPaginator(route53.NewFromConfig(l.AWSConfig()),
		&route53.ListResourceRecordSetsInput{HostedZoneId: &l.Zone})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the records of zone %s: %w", l.Zone, err)
		}
		for _, s := range page.ResourceRecordSets {
			line := fmt.Sprintf("record %s %s %s", aws.ToString(s.Name), s.Type, strconv.FormatInt(aws.ToInt64(s.TTL), 10))
			if s.SetIdentifier != nil {
				line += fmt.Sprintf(" %s %d", *s.SetIdentifier, aws.ToInt64(s.Weight))
			}
			for _, r := range s.ResourceRecords {
				line += " " + aws.ToString(r.Value)
			}
			if a := s.AliasTarget; a != nil {
				line += " alias of " + aws.ToString(a.DNSName)
			}
			out = append(out, line)
		}
	}
	return out, nil
}

// Records are the record sets of the customers' zone, one line each.
func (l *Lab) Records(ctx context.Context) ([]string, error) { return l.records(ctx) }
