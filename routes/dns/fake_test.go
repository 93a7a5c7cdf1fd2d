package dns_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes/routetest"
)

// fake53 is one hosted zone in memory, with Route 53's rules for batches: all of one or nothing,
// what is deleted must stand as it says, what is created must not.
type fake53 struct {
	mu      sync.Mutex
	name    string
	private bool
	limit   int64
	sets    []types.ResourceRecordSet
	n       int
	calls   map[string]int
	fails   map[string]error // by call
	pending map[string]int   // change -> looks until it is everywhere
	looks   int              // that a change takes until it is everywhere
	spread  []types.ResourceRecordSet
}

func newFake53(name string) *fake53 {
	f := &fake53{name: name, limit: 10000, calls: map[string]int{}, fails: map[string]error{}, pending: map[string]int{}}
	f.sets = []types.ResourceRecordSet{record(name, types.RRTypeSoa, 900, "ns1. hostmaster. 1 7200 900 1209600 86400"),
		record(name, types.RRTypeNs, 172800, "ns1.test.")}
	f.spread = f.sets
	return f
}

func record(name string, kind types.RRType, ttl int64, says ...string) types.ResourceRecordSet {
	s := types.ResourceRecordSet{Name: aws.String(name), Type: kind, TTL: &ttl}
	for _, v := range says {
		s.ResourceRecords = append(s.ResourceRecords, types.ResourceRecord{Value: aws.String(v)})
	}
	return s
}

// enter counts a call, holds the lock until the answer is made, and may fail.
func (f *fake53) enter(call string) (func(), error) {
	f.mu.Lock()
	f.calls[call]++
	return f.mu.Unlock, f.fails[call]
}

// count is how often calls were made since the last count.
func (f *fake53) count(calls ...string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range calls {
		n += f.calls[c]
		f.calls[c] = 0
	}
	return n
}

func (f *fake53) writes() int { return f.count("ChangeResourceRecordSets") }

// everywhere are the sets that the zone's servers answer with.
func (f *fake53) everywhere() []types.ResourceRecordSet {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spread
}

func id(s types.ResourceRecordSet) string {
	return fmt.Sprint(strings.ToLower(aws.ToString(s.Name)), " ", s.Type, " ", aws.ToString(s.SetIdentifier))
}

// all is a set with everything that it has, in a line.
func all(s types.ResourceRecordSet) string {
	line := fmt.Sprint(id(s), " ", aws.ToInt64(s.TTL), " ", s.Weight != nil, " ", aws.ToInt64(s.Weight), s.HealthCheckId != nil)
	if a := s.AliasTarget; a != nil {
		line += fmt.Sprint(" alias ", aws.ToString(a.DNSName), " ", aws.ToString(a.HostedZoneId), a.EvaluateTargetHealth)
	}
	for _, r := range s.ResourceRecords {
		line += " " + aws.ToString(r.Value)
	}
	return line
}

func reversed(name string) string {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	slices.Reverse(labels)
	return strings.Join(labels, "\x00")
}

func (f *fake53) sorted() []types.ResourceRecordSet {
	return slices.SortedFunc(slices.Values(f.sets), func(a, b types.ResourceRecordSet) int {
		return cmp.Or(cmp.Compare(reversed(aws.ToString(a.Name)), reversed(aws.ToString(b.Name))), cmp.Compare(a.Type, b.Type),
			cmp.Compare(aws.ToString(a.SetIdentifier), aws.ToString(b.SetIdentifier)))
	})
}

func (f *fake53) GetHostedZone(_ context.Context, in *sdk.GetHostedZoneInput, _ ...func(*sdk.Options)) (*sdk.GetHostedZoneOutput, error) {
	done, err := f.enter("GetHostedZone")
	defer done()
	if err != nil {
		return nil, err
	}
	if aws.ToString(in.Id) != "Z1" {
		return nil, &types.NoSuchHostedZone{}
	}
	out := &sdk.GetHostedZoneOutput{HostedZone: &types.HostedZone{Id: in.Id, Name: &f.name,
		Config:                 &types.HostedZoneConfig{PrivateZone: f.private},
		ResourceRecordSetCount: aws.Int64(int64(len(f.sets)))}}
	if !f.private {
		out.DelegationSet = &types.DelegationSet{NameServers: []string{"ns1.test"}}
	}
	return out, nil
}

func (f *fake53) GetHostedZoneLimit(context.Context, *sdk.GetHostedZoneLimitInput,
	...func(*sdk.Options)) (*sdk.GetHostedZoneLimitOutput, error) {
	done, err := f.enter("GetHostedZoneLimit")
	defer done()
	return &sdk.GetHostedZoneLimitOutput{Count: int64(len(f.sets)), Limit: &types.HostedZoneLimit{Value: &f.limit}}, err
}

func (f *fake53) ListResourceRecordSets(_ context.Context, in *sdk.ListResourceRecordSetsInput,
	_ ...func(*sdk.Options)) (*sdk.ListResourceRecordSetsOutput, error) {
	done, err := f.enter("ListResourceRecordSets")
	defer done()
	if err != nil {
		return nil, err
	}
	most := int(aws.ToInt32(in.MaxItems))
	if most == 0 {
		most = 300
	}
	out := &sdk.ListResourceRecordSetsOutput{}
	for _, s := range f.sorted() {
		at := cmp.Or(cmp.Compare(reversed(aws.ToString(s.Name)), reversed(aws.ToString(in.StartRecordName))), cmp.Compare(s.Type,
			in.StartRecordType), cmp.Compare(aws.ToString(s.SetIdentifier), aws.ToString(in.StartRecordIdentifier)))
		if in.StartRecordName != nil && at < 0 {
			continue
		}
		if len(out.ResourceRecordSets) == most {
			out.IsTruncated, out.NextRecordName, out.NextRecordType, out.NextRecordIdentifier = true, s.Name, s.Type, s.SetIdentifier
			break
		}
		s.Name = aws.String(strings.ReplaceAll(aws.ToString(s.Name), "*", `\052`))
		out.ResourceRecordSets = append(out.ResourceRecordSets, s)
	}
	return out, nil
}

func (f *fake53) ChangeResourceRecordSets(_ context.Context, in *sdk.ChangeResourceRecordSetsInput,
	_ ...func(*sdk.Options)) (*sdk.ChangeResourceRecordSetsOutput, error) {
	done, err := f.enter("ChangeResourceRecordSets")
	defer done()
	if err != nil {
		return nil, err
	}
	next := slices.Clone(f.sets)
	records, characters := 0, 0
	for _, c := range in.ChangeBatch.Changes {
		records += max(1, len(c.ResourceRecordSet.ResourceRecords))
		for _, r := range c.ResourceRecordSet.ResourceRecords {
			characters += len(aws.ToString(r.Value))
		}
		if next, err = change(next, c); err != nil {
			return nil, err
		}
	}
	if records > 1000 || characters > 32000 {
		return nil, &types.InvalidChangeBatch{Message: aws.String("Number of records limit exceeded.")}
	}
	if err := coexist(next); err != nil {
		return nil, err
	}
	f.sets = next
	f.n++
	change := "/change/C" + strconv.Itoa(f.n)
	if f.pending[change] = f.looks; f.looks == 0 {
		f.spread = f.sets
	}
	return &sdk.ChangeResourceRecordSetsOutput{ChangeInfo: &types.ChangeInfo{Id: &change, Status: types.ChangeStatusPending,
		SubmittedAt: aws.Time(time.Now())}}, nil
}

func change(sets []types.ResourceRecordSet, c types.Change) ([]types.ResourceRecordSet, error) {
	s := *c.ResourceRecordSet
	s.Name = aws.String(strings.ToLower(strings.TrimSuffix(aws.ToString(s.Name), ".") + "."))
	at := slices.IndexFunc(sets, func(o types.ResourceRecordSet) bool { return id(o) == id(s) })
	switch {
	case c.Action == types.ChangeActionDelete && at < 0:
		return nil, invalid("Tried to delete resource record set [%s] but it was not found", id(s))
	case c.Action == types.ChangeActionDelete && all(sets[at]) != all(s):
		return nil, invalid("Tried to delete resource record set [%s] but the values provided do not match the current values", id(s))
	case c.Action == types.ChangeActionDelete:
		return slices.Delete(slices.Clone(sets), at, at+1), nil
	case c.Action == types.ChangeActionCreate && at >= 0:
		return nil, invalid("Tried to create resource record set [%s] but it already exists", id(s))
	}
	return append(sets, s), nil
}

// coexist wants a CNAME to stand alone, and weighted sets apart from others of their type.
func coexist(sets []types.ResourceRecordSet) error {
	for _, s := range sets {
		for _, o := range sets {
			if aws.ToString(s.Name) != aws.ToString(o.Name) {
				continue
			}
			if s.Type == types.RRTypeCname && o.Type != s.Type {
				return invalid("RRSet of type CNAME with DNS name %s is not permitted as it conflicts with other records with the same "+
					"DNS name",
					*s.Name)
			}
			if s.Type == o.Type && (s.SetIdentifier == nil) != (o.SetIdentifier == nil) {
				return invalid("RRSet with DNS name %s, type %s cannot be created as other RRSets exist with the same name and type",
					*s.Name,
					s.Type)
			}
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	m := fmt.Sprintf(format, args...)
	return &types.InvalidChangeBatch{Message: &m, Messages: []string{m}}
}

func (f *fake53) GetChange(_ context.Context, in *sdk.GetChangeInput, _ ...func(*sdk.Options)) (*sdk.GetChangeOutput, error) {
	done, err := f.enter("GetChange")
	defer done()
	if err != nil {
		return nil, err
	}
	status := types.ChangeStatusPending
	if f.pending[aws.ToString(in.Id)]--; f.pending[aws.ToString(in.Id)] < 0 {
		status, f.spread = types.ChangeStatusInsync, f.sets
	}
	return &sdk.GetChangeOutput{ChangeInfo: &types.ChangeInfo{Id: in.Id, Status: status, SubmittedAt: aws.Time(time.Now())}}, nil
}

const domain = "app.example.com"

var prod = migration.Target{Name: "prod", Account: "123456789012", Region: "us-east-1"}

func place(t *testing.T, f *fake53) routetest.DNSPlace {
	return routetest.DNSPlace{Client: f, Target: prod, Zone: "Z1", Domain: domain, Servers: []string{
		routetest.ServeZone(t, f, "Z1", f.everywhere), routetest.ServeZone(t, f, "Z1", f.everywhere)}}
}

func world(t *testing.T) (*routetest.DNS, *fake53) {
	f := newFake53(domain + ".")
	return routetest.NewDNS(t, place(t, f)), f
}
