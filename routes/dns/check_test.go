package dns_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes/dns"
	"github.com/drover-migration/drover/routes/routetest"
)

func TestARouteByNameIsCheckedBeforeAnybodyMoves(t *testing.T) {
	const name = "c00." + domain + "."
	for _, c := range []struct {
		name  string
		world func(*testing.T, *routetest.DNS, *fake53)
		want  []string // check, and a part of its reason
	}{
		{"a zone whose records are as the plan says is fine", func(*testing.T, *routetest.DNS, *fake53) {}, nil},
		{"a zone that does not exist", func(_ *testing.T, w *routetest.DNS, _ *fake53) { w.Spec().Routes[0].DNS.Zone = "Z9" },
			[]string{"route-zone", "zone Z9 is not in account 123456789012"}},
		{"a host of another zone", func(_ *testing.T, w *routetest.DNS, _ *fake53) {
			w.Spec().Customers[0].Hosts = []string{"acme.example.org"}
		}, []string{"route-zone", `host acme.example.org of customer "c00" is not in zone Z1 (app.example.com)`}},
		{"a host that is delegated away", func(t *testing.T, w *routetest.DNS, _ *fake53) {
			w.Spec().Customers[0].Hosts = []string{"www.sub." + domain}
			w.Change(t, nil, []types.ResourceRecordSet{record("sub."+domain+".", types.RRTypeNs, 300, "ns.elsewhere.example.")})
		}, []string{"route-zone", "delegates sub.app.example.com to another zone"}},
		{"a record that does not lead to premises", func(t *testing.T, w *routetest.DNS, _ *fake53) {
			w.Change(t, []types.ResourceRecordSet{setOf(t, w, name+" CNAME ")},
				[]types.ResourceRecordSet{record(name, types.RRTypeCname, 300, "other.example.net.")})
		}, []string{"route-record", "has CNAME other.example.net, TTL 300"}},
		{"a host without a record", func(t *testing.T, w *routetest.DNS, _ *fake53) {
			w.Change(t, []types.ResourceRecordSet{setOf(t, w, name+" CNAME ")}, nil)
		}, []string{"route-record", "c00.app.example.com has no record"}},
		{"a record with a routing policy of somebody's own", func(t *testing.T, w *routetest.DNS, _ *fake53) {
			theirs := record(name, types.RRTypeCname, 300, routetest.DNSOnPrem)
			theirs.SetIdentifier, theirs.Weight = aws.String("a"), aws.Int64(1)
			w.Change(t, []types.ResourceRecordSet{setOf(t, w, name+" CNAME ")}, []types.ResourceRecordSet{theirs})
		}, []string{"route-record", "weight 1"}},
		{"a record that another plan has", func(t *testing.T, w *routetest.DNS, _ *fake53) {
			w.Change(t, nil, []types.ResourceRecordSet{record("_drover."+name, types.RRTypeTxt, 5,
				`"drover plan=other customer=c00 token=1 share=0 ttl=30 was=30 since=1 at=1"`)})
		}, []string{"route-host-claimed", `plan "other"`}},
		{"clients that use IPv6", func(t *testing.T, w *routetest.DNS, _ *fake53) {
			w.Change(t, []types.ResourceRecordSet{setOf(t, w, name+" CNAME ")}, []types.ResourceRecordSet{
				record(name, types.RRTypeA, 300, "192.0.2.1"), record(name, types.RRTypeAaaa, 300, "2001:db8::1")})
			w.Spec().Routes[0].DNS.Workloads = map[string]migration.Named{"web": {Addresses: []string{"192.0.2.1"}},
				"api": {Addresses: []string{"192.0.2.1"}}}
			w.Spec().Customers = w.Spec().Customers[:1]
		}, []string{"route-record", "a record of type AAAA"}},
		{"a TTL of a day", func(t *testing.T, w *routetest.DNS, _ *fake53) {
			w.Change(t, []types.ResourceRecordSet{setOf(t, w, name+" CNAME ")},
				[]types.ResourceRecordSet{record(name, types.RRTypeCname, 86400, routetest.DNSOnPrem)})
		}, []string{"route-ttl", "has a TTL of 86400 s"}},
		{"a zone that has no room", func(_ *testing.T, _ *routetest.DNS, f *fake53) { f.limit = 40 },
			[]string{"route-quota", "the route needs up to 39 more, and its quota is 40"}},
		{"more at a time than Route 53 takes", func(_ *testing.T, w *routetest.DNS, _ *fake53) {
			many := w.Spec().Customers[0]
			var ids []string
			for i := range 60 {
				many.ID, many.Hosts = fmt.Sprintf("m%d", i), []string{"c01." + domain}
				w.Spec().Customers = append(w.Spec().Customers, many)
				ids = append(ids, many.ID)
			}
			w.Spec().Batches = []migration.Batch{{Name: "all", Customers: ids, Concurrency: 60}}
		}, []string{"route-rate", "batch all moves 60 customers by name at a time"}},
		{"a private zone", func(_ *testing.T, _ *routetest.DNS, f *fake53) { f.private = true }, nil}, // its servers are named by hand
	} {
		t.Run(c.name, func(t *testing.T) {
			w, f := world(t)
			c.world(t, w, f)
			f.writes()
			found, err := checked(t, w, f).Check(t.Context(), w.Spec())
			require.NoError(t, err)
			if c.want == nil {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 1, "%v", found)
			require.Equal(t, c.want[0], found[0].Check)
			require.Contains(t, found[0].Reason, c.want[1])
			require.NotEmpty(t, found[0].Remedy)
			require.Equal(t, "route names", found[0].Subject)
			require.Zero(t, f.writes())
		})
	}
}

// checked is a router whose resolver knows the zone.
func checked(t *testing.T, w *routetest.DNS, f *fake53) *dns.Router {
	at := routetest.ServeZone(t, f, "Z1", f.everywhere)
	return dns.New(dns.ClientsFunc(func(context.Context, migration.Target) (dns.API, error) { return f, nil }), lb{}, nil,
		dns.Options{Servers: []string{at}, Resolver: at, PerSecond: 10000})
}

func TestServersThatDoNotAnswerAreABlocker(t *testing.T) {
	w, f := world(t)
	at := routetest.ServeZone(t, f, "Z1", f.everywhere)
	r := dns.New(dns.ClientsFunc(func(context.Context, migration.Target) (dns.API, error) { return f, nil }), lb{}, nil,
		dns.Options{Servers: []string{"127.0.0.1:1"}, Resolver: at, PerSecond: 10000})
	found, err := r.Check(t.Context(), w.Spec())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "route-servers", found[0].Check)
	require.Contains(t, found[0].Remedy, "DROVER_ZONE_SERVERS")

	own := dns.New(dns.ClientsFunc(func(context.Context, migration.Target) (dns.API, error) { return f, nil }), lb{}, nil,
		dns.Options{Resolver: at, PerSecond: 10000})
	found, err = own.Check(t.Context(), w.Spec())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Contains(t, found[0].Reason, "find the name servers of zone app.example.com", "its resolver does not know ns1.test")
}

func TestAZoneThatNobodyAsksIsABlocker(t *testing.T) {
	w, f := world(t)
	others := func() (out []types.ResourceRecordSet) {
		for _, s := range f.everywhere() {
			if s.Type == types.RRTypeNs {
				s = record(aws.ToString(s.Name), types.RRTypeNs, 300, "ns1.registrar.example.")
			}
			out = append(out, s)
		}
		return out
	}
	r := dns.New(dns.ClientsFunc(func(context.Context, migration.Target) (dns.API, error) { return f, nil }), lb{}, nil,
		dns.Options{Servers: []string{routetest.ServeZone(t, f, "Z1", f.everywhere)}, Resolver: routetest.ServeZone(t, f, "Z1", others),
			PerSecond: 10000})
	found, err := r.Check(t.Context(), w.Spec())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Contains(t, found[0].Reason, "the world asks ns1.registrar.example for app.example.com")
}
