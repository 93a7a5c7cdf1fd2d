package routetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	wire "github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes/dns"
)

// Where the customers of a DNS world are served.
const (
	DNSOnPrem = "edge.dc1.example.net."
	DNSOnAWS  = "public-1.us-east-1.elb.amazonaws.com."
)

// DNS is a World on a hosted zone of Route 53.
type DNS struct {
	at     DNSPlace
	spec   *migration.Spec
	bucket *bucket
	looks  looks
}

// DNSPlace is where a DNS world is built: an empty zone, and name servers that answer for it.
type DNSPlace struct {
	Client  dns.API
	Target  migration.Target
	Zone    string // id
	Domain  string // the zone's name, without its final dot
	Servers []string
}

// NewDNS builds the world: 13 customers, each with a CNAME that leads to premises and lasts five
// minutes, and the records of others that stand before Drover comes.
func NewDNS(t *testing.T, at DNSPlace) *DNS {
	w := &DNS{at: at, bucket: newBucket()}
	named := migration.Named{OnPrem: strings.TrimSuffix(DNSOnPrem, ".")}
	w.spec = &migration.Spec{
		Plan: "suite", Targets: []migration.Target{at.Target},
		Workloads: []migration.Workload{
			{Name: "api", Target: at.Target.Name, Ingress: &migration.Ingress{Port: 8080, Protocol: "http", Paths: []string{"/api/*"}}},
			{Name: "web", Target: at.Target.Name, Ingress: &migration.Ingress{Port: 8080, Protocol: "http", Paths: []string{"/*"}}},
		},
		Routes: []migration.Route{{Name: "names", DNS: &migration.DNS{Target: at.Target.Name, Zone: at.Zone, Listener: "listener",
			TTL: migration.Duration(30 * time.Second), Workloads: map[string]migration.Named{"web": named, "api": named}}}},
	}
	sets := []types.ResourceRecordSet{
		set("legacy."+at.Domain, types.RRTypeA, 60, "192.0.2.9"), set(at.Domain, types.RRTypeMx, 3600, "10 mail.example.net."),
		set("c01x."+at.Domain, types.RRTypeTxt, 60, `"not a customer's"`),
	}
	for i := range 13 {
		id := fmt.Sprintf("c%02d", i)
		w.spec.Customers = append(w.spec.Customers,
			migration.Customer{ID: id, Tenant: int64(i + 1), Hosts: []string{id + "." + at.Domain}, Workloads: []string{"web", "api"}})
		sets = append(sets, set(id+"."+at.Domain, types.RRTypeCname, 300, DNSOnPrem))
	}
	w.Change(t, nil, sets)
	return w
}

func set(name string, kind types.RRType, ttl int64, says string) types.ResourceRecordSet {
	return types.ResourceRecordSet{Name: aws.String(name + "."), Type: kind, TTL: &ttl,
		ResourceRecords: []types.ResourceRecord{{Value: &says}}}
}

// Change is somebody else's change of the zone.
func (w *DNS) Change(t *testing.T, deletes, brings []types.ResourceRecordSet) {
	t.Helper()
	var changes []types.Change
	for _, s := range deletes {
		changes = append(changes, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &s})
	}
	for _, s := range brings {
		changes = append(changes, types.Change{Action: types.ChangeActionCreate, ResourceRecordSet: &s})
	}
	_, err := w.at.Client.ChangeResourceRecordSets(t.Context(), &sdk.ChangeResourceRecordSetsInput{HostedZoneId: &w.at.Zone,
		ChangeBatch: &types.ChangeBatch{Changes: changes}})
	require.NoError(t, err)
}

// Spec is the spec.
func (w *DNS) Spec() *migration.Spec { return w.spec }

// NewRouter is another worker's router.
func (w *DNS) NewRouter() Router {
	e := &lookingGlass{API: w.at.Client, w: w}
	r := dns.New(dns.ClientsFunc(func(context.Context, migration.Target) (dns.API, error) { return e, nil }), balancer{}, w.bucket,
		dns.Options{Servers: w.at.Servers, PerSecond: 10000, Poll: 10 * time.Millisecond})
	e.router = r
	return r
}

// balancer is every listener's.
type balancer struct{}

func (balancer) Named(context.Context, migration.Target, string) (name, zone string, err error) {
	return DNSOnAWS, "Z35SXDOTRQ7X7K", nil
}

// HoldLook holds the next answer to r of what records there are.
func (w *DNS) HoldLook(r Router) (<-chan struct{}, func()) { return w.looks.hold(r) }

// lookingGlass is how one router sees the zone.
type lookingGlass struct {
	dns.API
	w      *DNS
	router Router
}

func (e *lookingGlass) ListResourceRecordSets(ctx context.Context, in *sdk.ListResourceRecordSetsInput,
	o ...func(*sdk.Options)) (*sdk.ListResourceRecordSetsOutput, error) {
	seen := e.w.looks.begin(e.router)
	out, err := e.API.ListResourceRecordSets(ctx, in, o...)
	seen()
	return out, err
}

// Sets are all record sets of the zone, each once.
func (w *DNS) Sets(t *testing.T) []types.ResourceRecordSet {
	t.Helper()
	all, err := setsOf(t.Context(), w.at.Client, w.at.Zone)
	require.NoError(t, err)
	return all
}

func setsOf(ctx context.Context, c dns.API, zone string) (out []types.ResourceRecordSet, err error) {
	in := &sdk.ListResourceRecordSetsInput{HostedZoneId: &zone}
	seen := map[string]bool{}
	for {
		page, err := c.ListResourceRecordSets(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range page.ResourceRecordSets {
			id := fmt.Sprint(lower(s), " ", s.Type, " ", aws.ToString(s.SetIdentifier))
			if !seen[id] {
				seen[id] = true
				out = append(out, s)
			}
		}
		if !page.IsTruncated {
			return out, nil
		}
		in.StartRecordName, in.StartRecordType, in.StartRecordIdentifier = page.NextRecordName, page.NextRecordType,
			page.NextRecordIdentifier
	}
}

func lower(s types.ResourceRecordSet) string {
	return strings.TrimSuffix(strings.ToLower(strings.ReplaceAll(aws.ToString(s.Name), `\052`, "*")), ".") + "."
}

// leadsTo are the values of a host's records by weight, as percentages.
func (w *DNS) leadsTo(t *testing.T, host string) map[string]int {
	t.Helper()
	out, all := map[string]int{}, 0
	for _, s := range w.Sets(t) {
		if lower(s) != host+"." || s.Type == types.RRTypeTxt {
			continue
		}
		weight := 1
		if s.Weight != nil {
			weight = int(*s.Weight)
		}
		require.Len(t, s.ResourceRecords, 1)
		out[aws.ToString(s.ResourceRecords[0].Value)] += weight
		all += weight
	}
	require.NotZero(t, all, "%s leads nowhere", host)
	for to := range out {
		out[to] = out[to] * 100 / all
	}
	return out
}

// Serves asks the records and, where they lead to one side alone, the name server. Which workload
// takes a path the front door of either side decides.
func (w *DNS) Serves(t *testing.T, host, reqPath string) (side migration.Side, workload string) {
	t.Helper()
	workload = "web"
	if strings.HasPrefix(reqPath, "/api/") {
		workload = "api"
	}
	to := w.leadsTo(t, host)
	if side = migration.OnPrem; to[DNSOnAWS] > 0 {
		side = migration.AWS
	}
	if share := to[DNSOnAWS]; share == 0 || share == 100 {
		want := map[migration.Side]string{migration.OnPrem: DNSOnPrem, migration.AWS: DNSOnAWS}[side]
		for _, at := range w.at.Servers {
			a, err := wire.Exchange(new(wire.Msg).SetQuestion(host+".", wire.TypeCNAME), at)
			require.NoError(t, err)
			require.Len(t, a.Answer, 1, host)
			require.Equal(t, want, a.Answer[0].(*wire.CNAME).Target, "%s at name server %s", host, at)
		}
	}
	return side, workload
}

// Share counts weights.
func (w *DNS) Share(t *testing.T, host, _ string) int {
	t.Helper()
	return w.leadsTo(t, host)[DNSOnAWS]
}

var wasTTL = regexp.MustCompile(` was=(\d+) `)

// Standing is all that others put there. Of a pair of Drover's it is the record on premises that
// the pair stands for, with the TTL that it had.
func (w *DNS) Standing(t *testing.T) string {
	t.Helper()
	was := map[string]int64{}
	for _, s := range w.Sets(t) {
		if host, ok := strings.CutPrefix(lower(s), "_drover."); ok {
			m := wasTTL.FindStringSubmatch(aws.ToString(s.ResourceRecords[0].Value))
			require.NotNil(t, m, aws.ToString(s.ResourceRecords[0].Value))
			was[host], _ = strconv.ParseInt(m[1], 10, 64)
		}
	}
	lines := map[string]bool{}
	for _, s := range w.Sets(t) {
		ttl := aws.ToInt64(s.TTL)
		switch id := aws.ToString(s.SetIdentifier); {
		case strings.HasPrefix(lower(s), "_drover."), id == "drover-aws":
			continue
		case id == "drover-onprem":
			ttl = was[lower(s)]
		case id != "":
			lines[fmt.Sprintf("%s %s: %s weighs %d", lower(s), s.Type, id, aws.ToInt64(s.Weight))] = true
		}
		for _, r := range s.ResourceRecords {
			lines[fmt.Sprintf("%s %d %s %s", lower(s), ttl, s.Type, aws.ToString(r.Value))] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(lines)), "\n")
}

// Drovers counts pairs, each record by itself, and tokens.
func (w *DNS) Drovers(t *testing.T) (n int) {
	t.Helper()
	for _, s := range w.Sets(t) {
		if strings.HasPrefix(lower(s), "_drover.") || strings.HasPrefix(aws.ToString(s.SetIdentifier), "drover-") {
			n++
		}
	}
	return n
}

// Packed is a pair and a token for every host: who came home keeps them, so that what is late
// changes nothing.
func (w *DNS) Packed(int) int { return 3 * len(w.spec.Customers) }

// ServeZone is a name server that answers for a zone as Route 53 would: of weighted records one by
// weight, what a wildcard says for names that do not exist, and an alias by an address. It answers
// its address. sees says what it answers from; nil: all that stands.
func ServeZone(t *testing.T, c dns.API, zone string, sees func() []types.ResourceRecordSet) (addr string) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &wire.Server{PacketConn: pc, Handler: wire.HandlerFunc(func(w wire.ResponseWriter, q *wire.Msg) {
		m := new(wire.Msg).SetReply(q)
		m.Authoritative = true
		var sets []types.ResourceRecordSet
		var err error
		if sees != nil {
			sets = sees()
		} else {
			sets, err = setsOf(context.Background(), c, zone)
		}
		if err != nil {
			m.Rcode = wire.RcodeServerFailure
		} else {
			answer(m, sets, strings.ToLower(q.Question[0].Name), q.Question[0].Qtype)
		}
		_ = w.WriteMsg(m)
	})}
	started := make(chan struct{})
	srv.NotifyStartedFunc = func() { close(started) }
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = srv.Shutdown(); <-done })
	return pc.LocalAddr().String()
}

func answer(m *wire.Msg, sets []types.ResourceRecordSet, name string, kind uint16) {
	exists := false
	of := func(name string) (out []types.ResourceRecordSet) {
		for _, s := range sets {
			if lower(s) == name {
				out = append(out, s)
			}
			exists = exists || lower(s) == name || strings.HasSuffix(lower(s), "."+name)
		}
		return out
	}
	mine := of(name)
	if !exists {
		_, parent, _ := strings.Cut(name, ".")
		mine = of("*." + parent)
	}
	if !exists {
		m.Rcode = wire.RcodeNameError
		return
	}
	for _, k := range []types.RRType{types.RRType(wire.TypeToString[kind]), types.RRTypeCname} {
		if s, ok := draw(mine, k); ok {
			m.Answer = append(m.Answer, says(name, s)...)
			return
		}
	}
}

// draw takes one set of a type, by weight.
func draw(sets []types.ResourceRecordSet, kind types.RRType) (types.ResourceRecordSet, bool) {
	total := int64(0)
	var of []types.ResourceRecordSet
	for _, s := range sets {
		if s.Type == kind {
			of, total = append(of, s), total+aws.ToInt64(s.Weight)
		}
	}
	if len(of) == 0 {
		return types.ResourceRecordSet{}, false
	}
	n := rand.Int64N(max(total, 1))
	for _, s := range of {
		if n -= aws.ToInt64(s.Weight); n < 0 {
			return s, true
		}
	}
	return of[0], true
}

func says(name string, s types.ResourceRecordSet) (out []wire.RR) {
	if s.AliasTarget != nil {
		return []wire.RR{&wire.A{Hdr: wire.RR_Header{Name: name, Rrtype: wire.TypeA, Class: wire.ClassINET, Ttl: 60},
			A: net.ParseIP("198.51.100.7")}}
	}
	for _, r := range s.ResourceRecords {
		if rr, err := wire.NewRR(fmt.Sprintf("%s %d IN %s %s", name, aws.ToInt64(s.TTL), s.Type, aws.ToString(r.Value))); err == nil {
			out = append(out, rr)
		}
	}
	return out
}
