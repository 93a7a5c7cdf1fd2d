package dns_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/dns"
	"github.com/drover-migration/drover/routes/routetest"
)

func router(w *routetest.DNS) *dns.Router { return w.NewRouter().(*dns.Router) }

func to(side migration.Side, token int64, customers ...string) (out []routes.Wanted) {
	for _, c := range customers {
		out = append(out, routes.Wanted{Customer: c, Side: side, Token: token})
	}
	return out
}

// lines are all sets of the zone with everything that they have.
func lines(t *testing.T, w *routetest.DNS) (out []string) {
	for _, s := range w.Sets(t) {
		s.Name = aws.String(strings.ReplaceAll(aws.ToString(s.Name), `\052`, "*"))
		out = append(out, all(s))
	}
	slices.Sort(out)
	return out
}

// setOf is the one set of a name, type and identifier.
func setOf(t *testing.T, w *routetest.DNS, want string) types.ResourceRecordSet {
	t.Helper()
	for _, s := range w.Sets(t) {
		if id(s) == want {
			return s
		}
	}
	t.Fatalf("no %s", want)
	return types.ResourceRecordSet{}
}

func TestWhoWasNeverOnAWSHasNothingOfDrovers(t *testing.T) {
	w, f := world(t)
	before := lines(t, w)
	f.writes()
	r := router(w)
	require.NoError(t, r.Record(t.Context(), w.Spec()))
	states, err := r.Reconcile(t.Context(), w.Spec(), to(migration.OnPrem, 3, "c00", "c01"))
	require.NoError(t, err)
	require.Empty(t, states["c00"].Wrong)
	require.Zero(t, f.writes())
	require.Equal(t, before, lines(t, w))
}

func TestManyCustomersAreOneReadAndOneBatch(t *testing.T) {
	w, f := world(t)
	r := router(w)
	var all []string
	for _, c := range w.Spec().Customers {
		all = append(all, c.ID)
	}
	f.count("ChangeResourceRecordSets", "GetChange")
	states, err := r.Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, all...))
	require.NoError(t, err)
	require.Len(t, states, len(all))
	require.Equal(t, 2, f.count("ChangeResourceRecordSets", "GetChange"))
}

var errAway = errors.New("nobody answers")

// That all is as wanted is asked of the zone's servers: it costs the account no call.
func TestASteadyStateCostsNoCall(t *testing.T) {
	w, f := world(t)
	r := router(w)
	all := []string{"c00", "c01", "c02", "c03"}
	_, err := r.Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, all...))
	require.NoError(t, err)
	f.count("ListResourceRecordSets")
	asks := &counting{API: f}
	other := dns.New(dns.ClientsFunc(func(context.Context, migration.Target) (dns.API, error) { return asks, nil }), lb{}, nil,
		dns.Options{Servers: []string{routetest.ServeZone(t, f, "Z1", f.everywhere)}})
	for range 3 {
		states, err := other.Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, all...))
		require.NoError(t, err)
		require.Empty(t, states["c03"].Wrong)
		_, err = other.Verify(t.Context(), w.Spec(), to(migration.AWS, 2, all...))
		require.NoError(t, err)
	}
	require.Zero(t, asks.lists, "records were read")
	states, err := other.Verify(t.Context(), w.Spec(), to(migration.OnPrem, 3, "c00"))
	require.NoError(t, err)
	require.NotEmpty(t, states["c00"].Wrong)
	require.NotZero(t, asks.lists, "what is wrong is read")
}

// A change counts when all servers have it: until then nobody is told that the route is set.
func TestARouteIsSetWhenAllServersSaySo(t *testing.T) {
	w, f := world(t)
	f.looks = 3
	f.count("GetChange")
	states, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, "c00"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, f.count("GetChange"), 4)
	require.False(t, states["c00"].Set.IsZero())

	f.looks = 1 << 30
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = router(w).Reconcile(short, w.Spec(), to(migration.AWS, 2, "c01"))
	require.ErrorContains(t, err, "is not everywhere yet: change /change/")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// Another worker, which finds the records as they should be, does not believe it either.
	short, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	f.writes()
	_, err = router(w).Reconcile(short, w.Spec(), to(migration.AWS, 2, "c01"))
	require.ErrorContains(t, err, "has no _drover.c01.app.example.com")
	require.Zero(t, f.writes())
	f.mu.Lock()
	f.spread = f.sets
	f.mu.Unlock()
	_, err = router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, "c01"))
	require.NoError(t, err)
	require.Zero(t, f.writes())
}

// A process that was told an older token, and knows of nothing newer but the record, changes
// nothing.
func TestAnOlderTokenIsRefusedByTheRecord(t *testing.T) {
	w, f := world(t)
	_, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 7, "c00"))
	require.NoError(t, err)
	f.writes()
	states, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.OnPrem, 6, "c00"))
	require.NoError(t, err)
	require.Equal(t, migration.AWS, states["c00"].Home, "it says what counts")
	require.Zero(t, f.writes())
	_, err = router(w).Reconcile(t.Context(), w.Spec(), to(migration.OnPrem, 8, "c00"))
	require.NoError(t, err)
	require.Equal(t, 0, w.Share(t, "c00."+domain, "/"))
}

// What somebody else changes between the look and the batch is not written over: the batch names
// what was read, and Route 53 refuses it.
func TestSomebodyElsesChangeInBetweenIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		first bool // Drover has been there before
	}{{"of a record that Drover has not touched", false}, {"of a pair of Drover's", true}} {
		t.Run(c.name, func(t *testing.T) {
			w, _ := world(t)
			deletes, brings := setOf(t, w, "c00."+domain+". CNAME "), record("c00."+domain+".", types.RRTypeCname, 300,
				"maintenance.example.org.")
			if c.first {
				_, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, "c00"))
				require.NoError(t, err)
				deletes = setOf(t, w, "c00."+domain+". CNAME drover-aws")
				brings = deletes
				brings.ResourceRecords = []types.ResourceRecord{{Value: aws.String("maintenance.example.org.")}}
			}
			slow := router(w)
			reached, release := w.HoldLook(slow)
			type answer struct {
				states map[string]routes.State
				err    error
			}
			done := make(chan answer, 1)
			side := migration.AWS
			if c.first {
				side = migration.OnPrem
			}
			go func() {
				states, err := slow.Reconcile(t.Context(), w.Spec(), to(side, 3, "c00"))
				done <- answer{states, err}
			}()
			<-reached
			w.Change(t, []types.ResourceRecordSet{deletes}, []types.ResourceRecordSet{brings})
			theirs := lines(t, w)
			release()
			got := <-done
			require.NoError(t, got.err)
			require.Contains(t, got.states["c00"].Wrong, "maintenance.example.org")
			require.Equal(t, theirs, lines(t, w), "it stands as they left it")
			again, err := router(w).Reconcile(t.Context(), w.Spec(), to(side, 3, "c00"))
			require.NoError(t, err)
			require.Contains(t, again["c00"].Wrong, "maintenance.example.org")
			require.Equal(t, theirs, lines(t, w))

			// Others are served all the same, and once it is put back, so is this one.
			states, err := router(w).Reconcile(t.Context(), w.Spec(), slices.Concat(to(side, 3, "c00"), to(migration.AWS, 2, "c01")))
			require.NoError(t, err)
			require.NotEmpty(t, states["c00"].Wrong)
			require.Empty(t, states["c01"].Wrong)
			w.Change(t, []types.ResourceRecordSet{brings}, []types.ResourceRecordSet{deletes})
			states, err = router(w).Reconcile(t.Context(), w.Spec(), to(side, 3, "c00"))
			require.NoError(t, err)
			require.Empty(t, states["c00"].Wrong)
		})
	}
}

// The operator's other way out: the record says premises alone, and the token is taken away.
func TestARecordThatIsHandedBackIsDroversAgain(t *testing.T) {
	w, _ := world(t)
	_, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 9, "c00"))
	require.NoError(t, err)
	name := "c00." + domain + "."
	w.Change(t, []types.ResourceRecordSet{setOf(t, w, name+" CNAME drover-aws"), setOf(t, w, name+" CNAME drover-onprem"),
		setOf(t, w, "_drover."+name+" TXT ")}, []types.ResourceRecordSet{record(name, types.RRTypeCname, 60, routetest.DNSOnPrem)})
	states, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 4, "c00"))
	require.NoError(t, err)
	require.Empty(t, states["c00"].Wrong)
	require.Equal(t, 100, w.Share(t, "c00."+domain, "/"))
}

// Somebody takes the token record of a pair away, and nothing else: the pair is Drover's still. It
// is never taken for what stood before Drover came, and gets its token record back.
func TestATokenRecordThatIsTakenAwayIsWrittenAnew(t *testing.T) {
	const name = "c00." + domain + "."
	away := func(t *testing.T, w *routetest.DNS) {
		w.Change(t, []types.ResourceRecordSet{setOf(t, w, "_drover."+name+" TXT ")}, nil)
	}
	begin := func(t *testing.T) (w *routetest.DNS, before, set []string) {
		w, _ = world(t)
		before = lines(t, w)
		require.NoError(t, router(w).Record(t.Context(), w.Spec()))
		_, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 9, "c00"))
		require.NoError(t, err)
		set = lines(t, w)
		away(t, w)
		return w, before, set
	}
	home := func(w *routetest.DNS) (out []routes.Wanted) {
		for _, c := range w.Spec().Customers {
			out = append(out, to(migration.OnPrem, 12, c.ID)...)
		}
		return out
	}
	t.Run("by the next look", func(t *testing.T) {
		w, _, set := begin(t)
		states, err := router(w).Verify(t.Context(), w.Spec(), to(migration.AWS, 9, "c00"))
		require.NoError(t, err)
		require.Empty(t, states["c00"].Wrong, "its requests go where they should")
		states, err = router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 9, "c00"))
		require.NoError(t, err)
		require.Empty(t, states["c00"].Wrong)
		require.Equal(t, pairs(set), pairs(lines(t, w)))
		require.Contains(t, all(setOf(t, w, "_drover."+name+" TXT ")), "token=9 share=100 ttl=30 was=300")
	})
	t.Run("by a Move", func(t *testing.T) {
		w, _, _ := begin(t)
		states, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.OnPrem, 11, "c00"))
		require.NoError(t, err)
		require.Empty(t, states["c00"].Wrong)
		require.Equal(t, 0, w.Share(t, "c00."+domain, "/"))
	})
	t.Run("while its TTL is looked after", func(t *testing.T) {
		w, _, set := begin(t)
		_, err := router(w).Prepare(t.Context(), w.Spec(), []string{"c00"}, time.Now())
		require.NoError(t, err)
		require.Equal(t, pairs(set), pairs(lines(t, w)))
		setOf(t, w, "_drover."+name+" TXT ")
	})
	t.Run("after the plan was submitted again, and what stood before is put back", func(t *testing.T) {
		w, before, _ := begin(t)
		require.NoError(t, router(w).Record(t.Context(), w.Spec()))
		_, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.OnPrem, 11, "c00"))
		require.NoError(t, err)
		away(t, w)
		require.NoError(t, router(w).Record(t.Context(), w.Spec()))
		things, err := router(w).Survey(t.Context(), w.Spec())
		require.NoError(t, err)
		require.Len(t, things, 1)
		restored, err := router(w).Restore(t.Context(), w.Spec(), home(w))
		require.NoError(t, err)
		require.Empty(t, restored.Differences)
		require.Equal(t, before, lines(t, w), "to the last TTL")
	})
	t.Run("but not where the plan has never come", func(t *testing.T) {
		w, _, _ := begin(t)
		theirs := lines(t, w)
		w.Spec().Plan = "other"
		require.NoError(t, router(w).Record(t.Context(), w.Spec()))
		states, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 9, "c00"))
		require.NoError(t, err)
		require.Contains(t, states["c00"].Wrong, "by Drover's names, and no _drover.c00.app.example.com that says whose they are; have it "+
			"say CNAME edge.dc1.example.net, TTL 30 alone, in one batch")
		restored, err := router(w).Restore(t.Context(), w.Spec(), home(w))
		require.NoError(t, err)
		require.Len(t, restored.Differences, 1)
		require.Equal(t, theirs, lines(t, w))
	})
}

// pairs are lines without those of token records, which say when they were written.
func pairs(lines []string) (out []string) {
	for _, l := range lines {
		if !strings.Contains(l, "_drover.") {
			out = append(out, l)
		}
	}
	return out
}

func TestTheTTLIsLoweredAsEarlyAsTheOldOneLastsAndPutBack(t *testing.T) {
	w, f := world(t)
	before := lines(t, w)
	require.NoError(t, router(w).Record(t.Context(), w.Spec()))
	ids := []string{"c00", "c01"}
	name := "c00." + domain + ". CNAME drover-onprem"

	// The old TTL is five minutes, and a change spreads within one.
	opens := time.Now().Add(time.Hour)
	got, err := router(w).Prepare(t.Context(), w.Spec(), ids, opens)
	require.NoError(t, err)
	require.WithinDuration(t, opens.Add(-6*time.Minute), got.Again, time.Second)
	require.Equal(t, before, lines(t, w), "it is too early")

	r := router(w)
	got, err = r.Prepare(t.Context(), w.Spec(), ids, time.Now().Add(5*time.Minute))
	require.NoError(t, err)
	require.Zero(t, got.Again)
	require.WithinDuration(t, time.Now().Add(5*time.Minute), got.Ready, 5*time.Second, "from when all servers were seen with it")
	require.EqualValues(t, 30, aws.ToInt64(setOf(t, w, name).TTL))
	require.Equal(t, 0, w.Share(t, "c00."+domain, "/"), "nobody has moved")

	f.writes()
	again, err := r.Prepare(t.Context(), w.Spec(), ids, time.Now())
	require.NoError(t, err)
	require.Equal(t, got, again)
	other, err := router(w).Prepare(t.Context(), w.Spec(), ids, time.Now())
	require.NoError(t, err)
	require.WithinDuration(t, got.Ready.Add(time.Minute), other.Ready, 5*time.Second, "who did not see it counts a minute more")
	require.Zero(t, f.writes())

	_, err = r.Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, ids...))
	require.NoError(t, err)
	require.EqualValues(t, 30, aws.ToInt64(setOf(t, w, name).TTL), "while it may go back soon")
	for range 2 {
		require.NoError(t, r.Settle(t.Context(), w.Spec(), ids))
		require.EqualValues(t, 300, aws.ToInt64(setOf(t, w, name).TTL))
		require.Equal(t, 100, w.Share(t, "c00."+domain, "/"), "it stays where it is")
	}
	_, err = r.Reconcile(t.Context(), w.Spec(), to(migration.OnPrem, 4, ids...))
	require.NoError(t, err)
	require.EqualValues(t, 30, aws.ToInt64(setOf(t, w, name).TTL), "who moves after all moves with the low one")

	var home []routes.Wanted
	for _, c := range w.Spec().Customers {
		home = append(home, to(migration.OnPrem, 4, c.ID)...)
	}
	restored, err := router(w).Restore(t.Context(), w.Spec(), home)
	require.NoError(t, err)
	require.Empty(t, restored.Differences)
	require.Equal(t, 6, restored.Deleted)
	require.Equal(t, before, lines(t, w), "to the last TTL")
}

func TestWhoseTTLIsShortAlreadyIsReadyAtOnce(t *testing.T) {
	w, f := world(t)
	name := "c00." + domain + "."
	w.Change(t, []types.ResourceRecordSet{setOf(t, w, name+" CNAME ")},
		[]types.ResourceRecordSet{record(name, types.RRTypeCname, 10, routetest.DNSOnPrem)})
	f.writes()
	got, err := router(w).Prepare(t.Context(), w.Spec(), []string{"c00"}, time.Now())
	require.NoError(t, err)
	require.Zero(t, got)
	require.Zero(t, f.writes())
	_, err = router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, "c00"))
	require.NoError(t, err)
	require.EqualValues(t, 10, aws.ToInt64(setOf(t, w, name+" CNAME drover-aws").TTL), "it is never raised")
}

func TestWhoseRecordIsNotAsThePlanSaysDoesNotMove(t *testing.T) {
	w, f := world(t)
	name := "c00." + domain + "."
	w.Change(t, []types.ResourceRecordSet{setOf(t, w, name+" CNAME ")},
		[]types.ResourceRecordSet{record(name, types.RRTypeCname, 300, "other.example.net.")})
	f.writes()
	_, err := router(w).Prepare(t.Context(), w.Spec(), []string{"c00"}, time.Now())
	require.Equal(t, "ForeignRecord", permanent.Kind(err))
	require.ErrorContains(t, err, `customer "c00": c00.app.example.com has CNAME other.example.net, TTL 300, and the plan says that CNAME `+
		`edge.dc1.example.net serves it on premises`)
	require.Zero(t, f.writes())
}

// Hosts that a wildcard serves get records of their own, which go again; so do aliases.
func TestWildcardsAndAliasesAreMovedAndRestored(t *testing.T) {
	w, _ := world(t)
	spec := w.Spec()
	apex := domain + "."
	spec.Customers[0].Hosts = []string{"wild." + domain}
	spec.Customers[1].Hosts = []string{domain}
	spec.Customers[1].Workloads = []string{"whole"}
	spec.Workloads = append(spec.Workloads, migration.Workload{Name: "whole", Ingress: &migration.Ingress{Port: 8080,
		Paths: []string{"/*"}}})
	spec.Routes[0].DNS.Workloads["whole"] = migration.Named{Addresses: []string{"192.0.2.1", "192.0.2.2"}}
	w.Change(t, nil, []types.ResourceRecordSet{record("*."+apex, types.RRTypeCname, 120, routetest.DNSOnPrem),
		record(apex, types.RRTypeA, 60, "192.0.2.2", "192.0.2.1")})
	before := lines(t, w)
	r := router(w)
	require.NoError(t, r.Record(t.Context(), spec))
	got, err := r.Prepare(t.Context(), spec, []string{"c00", "c01"}, time.Now())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(2*time.Minute), got.Ready, 5*time.Second, "the wildcard's TTL counts")
	states, err := r.Reconcile(t.Context(), spec, to(migration.AWS, 2, "c00", "c01"))
	require.NoError(t, err)
	require.Empty(t, states["c00"].Wrong+states["c01"].Wrong)
	require.Equal(t, 100, w.Share(t, "wild."+domain, "/"))
	alias := setOf(t, w, apex+" A drover-aws")
	require.Equal(t, routetest.DNSOnAWS, aws.ToString(alias.AliasTarget.DNSName))
	require.EqualValues(t, 100, aws.ToInt64(alias.Weight))
	states, err = router(w).Verify(t.Context(), spec, to(migration.AWS, 2, "c00", "c01"))
	require.NoError(t, err)
	require.Empty(t, states["c00"].Wrong+states["c01"].Wrong)
	leads, err := r.Leads(t.Context(), prod, spec.Routes[0], "wild."+domain)
	require.NoError(t, err)
	require.Equal(t, strings.TrimSuffix(routetest.DNSOnAWS, "."), leads)

	_, err = r.Reconcile(t.Context(), spec, to(migration.OnPrem, 4, "c00", "c01"))
	require.NoError(t, err)
	var home []routes.Wanted
	for _, c := range spec.Customers {
		home = append(home, to(migration.OnPrem, 4, c.ID)...)
	}
	things, err := r.Survey(t.Context(), spec)
	require.NoError(t, err)
	require.Equal(t, []migration.Thing{{Kind: "records", ID: "wild." + domain, Of: "customer c00", Where: "zone Z1"},
		{Kind: "records", ID: domain, Of: "customer c01", Where: "zone Z1"}}, things)
	restored, err := r.Restore(t.Context(), spec, home)
	require.NoError(t, err)
	require.Empty(t, restored.Differences)
	require.Equal(t, before, lines(t, w))
}

// What others changed is told when the routes are restored, and left.
func TestRestoreLeavesWhatOthersChanged(t *testing.T) {
	w, _ := world(t)
	r := router(w)
	require.NoError(t, r.Record(t.Context(), w.Spec()))
	_, err := r.Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, "c00"))
	require.NoError(t, err)
	theirs := setOf(t, w, "c00."+domain+". CNAME drover-aws")
	bent := theirs
	bent.Weight = aws.Int64(50)
	w.Change(t, []types.ResourceRecordSet{theirs, setOf(t, w, "c01."+domain+". CNAME ")},
		[]types.ResourceRecordSet{bent, record("c01."+domain+".", types.RRTypeCname, 300, "new.example.net.")})
	var home []routes.Wanted
	for _, c := range w.Spec().Customers {
		home = append(home, to(migration.OnPrem, 4, c.ID)...)
	}
	got, err := r.Restore(t.Context(), w.Spec(), home)
	require.NoError(t, err)
	require.Len(t, got.Differences, 2)
	require.Contains(t, got.Differences[0], "c00.app.example.com were changed by somebody else")
	require.Contains(t, got.Differences[1], "CNAME new.example.net, TTL 300, where CNAME edge.dc1.example.net, TTL 300 stood")
	require.Equal(t, 1, got.Deleted, "the token")
	require.Equal(t, int64(50), aws.ToInt64(setOf(t, w, "c00."+domain+". CNAME drover-aws").Weight))
}

// A worker that died after its batch, or before it, left all or nothing of it.
func TestABatchWhoseAnswerIsLostIsThereOrIsNot(t *testing.T) {
	w, f := world(t)
	for i, there := range []bool{true, false} {
		c := fmt.Sprintf("c%02d", i)
		lost := &losing{API: f, after: there}
		cut := dns.New(dns.ClientsFunc(func(context.Context, migration.Target) (dns.API, error) { return lost, nil }), lb{},
			routetest.NewBucket(), dns.Options{Servers: []string{routetest.ServeZone(t, f, "Z1", f.everywhere)}, PerSecond: 1000,
				Poll: 10 * time.Millisecond})
		_, err := cut.Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, c))
		require.ErrorIs(t, err, errAway)
		require.Equal(t, there, w.Share(t, c+"."+domain, "/") == 100)
		f.writes()
		states, err := router(w).Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, c))
		require.NoError(t, err)
		require.Empty(t, states[c].Wrong)
		require.Equal(t, 100, w.Share(t, c+"."+domain, "/"))
		require.Equal(t, there, f.writes() == 0)
	}
}

func TestManyProcessesPrepareAndMoveAtOnce(t *testing.T) {
	w, _ := world(t)
	var all sync.WaitGroup
	errs := make(chan error, 100)
	for i := range 13 {
		for range 3 {
			r := router(w)
			c := fmt.Sprintf("c%02d", i)
			all.Go(func() {
				if _, err := r.Prepare(t.Context(), w.Spec(), []string{c}, time.Now()); err != nil {
					errs <- err
				}
				if _, err := r.Reconcile(t.Context(), w.Spec(), to(migration.AWS, 2, c)); err != nil {
					errs <- err
				}
			})
		}
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	for i := range 13 {
		require.Equal(t, 100, w.Share(t, fmt.Sprintf("c%02d.%s", i, domain), "/"))
	}
}
