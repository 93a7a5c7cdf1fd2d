package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// places are where a customer's requests go.
type places struct {
	front  Endpoint
	behind map[string][]Endpoint // workload -> machines, on both sides
	err    error
	metric func() (float64, bool, error)
}

func (p places) Metric(context.Context, string, migration.Target, migration.Route, migration.Workload, migration.Side,
	migration.CloudWatchQuery, time.Time) (float64, bool, error) {
	return p.metric()
}

func (p places) Front(context.Context, migration.Target, migration.Route, string) (Endpoint, error) {
	return p.front, p.err
}

func (p places) Behind(_ context.Context, _ string, _ migration.Target, _ migration.Route, w migration.Workload,
	_ migration.Side) ([]Endpoint, error) {
	return p.behind[w.Name], p.err
}

func (p places) Anchors(string, migration.Route) []string { return nil }

// site is a customer's application.
type site struct {
	*httptest.Server
	asked atomic.Int64
}

// serve answers the nth request, from 1, with the status that answer gives; 0 is no answer at all.
func serve(t *testing.T, answer func(n int64, r *http.Request) int) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Host, ".invalid") { // a control sample: the default action
			w.WriteHeader(http.StatusNotFound)
			return
		}
		code := answer(s.asked.Add(1), r)
		if code == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(s.Close)
	return s
}

func always(code int) func(int64, *http.Request) int {
	return func(int64, *http.Request) int { return code }
}

func (s *site) at() Endpoint { return Endpoint{Address: s.Listener.Addr().String()} }

// nobody is an address that refuses connections.
func nobody(t *testing.T) Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return Endpoint{Address: l.Addr().String()}
}

func httpProbe(path string, failAfter int) migration.Probe {
	return migration.Probe{HTTP: &migration.HTTPProbe{Path: path, Expect: 200}, Every: migration.Duration(10 * time.Millisecond),
		Timeout: migration.Duration(2 * time.Second), FailAfter: failAfter}
}

func tcpProbe(failAfter int) migration.Probe {
	p := httpProbe("", failAfter)
	p.HTTP, p.TCP = nil, &migration.TCPProbe{}
	return p
}

func groupProbe(failAfter int) migration.Probe {
	p := httpProbe("", failAfter)
	p.HTTP, p.TargetGroup = nil, &migration.TargetGroupProbe{}
	return p
}

func workload(name string, paths ...string) migration.Workload {
	return migration.Workload{Name: name, Target: "main", Ingress: &migration.Ingress{Port: 80, Protocol: "http", Paths: paths}}
}

func slice(probes ...migration.Probe) migration.CustomerSlice {
	return migration.CustomerSlice{
		Customer:  migration.Customer{ID: "acme", Hosts: []string{"acme.example.com", "www.acme.example.com"}},
		Targets:   []migration.Target{{Name: "main"}},
		Workloads: []migration.Workload{workload("web", "/*")},
		Routes:    []migration.Route{{Name: "public", ALB: &migration.ALB{Target: "main"}}},
		Health:    migration.Health{Probes: probes},
	}
}

// quiet is nobody to tell how many samples there are.
func quiet(int) {}

func watch(t *testing.T, p places, req Question) migration.Verdict {
	t.Helper()
	v, err := New(p, nil, "").Watch(t.Context(), req, quiet)
	require.NoError(t, err)
	return v
}

func TestACustomerThatAnswersWellPasses(t *testing.T) {
	s := serve(t, func(_ int64, r *http.Request) int {
		if r.Host != "acme.example.com" || r.URL.Path != "/healthz" {
			return 404
		}
		return 200
	})
	v := watch(t, places{front: s.at()}, Question{Slice: slice(httpProbe("/healthz", 1)), For: migration.Duration(300 * time.Millisecond)})
	require.Equal(t, migration.Pass, v.Outcome, v.Reason)
	require.Positive(t, v.Samples)
	require.Zero(t, v.Errors)
	require.Positive(t, v.P95)
	require.WithinDuration(t, time.Now(), v.At, time.Minute)
}

func TestFailuresInARowFailTheWatchBeforeItsTime(t *testing.T) {
	s := serve(t, func(n int64, _ *http.Request) int {
		if n <= 2 {
			return 200
		}
		return 503
	})
	v := watch(t, places{front: s.at()}, Question{Slice: slice(httpProbe("/healthz", 3)), For: migration.Duration(time.Hour)})
	require.Equal(t, migration.Fail, v.Outcome)
	require.Equal(t, "probe http /healthz expecting 200 failed 3 times in a row, last: HTTP 503", v.Reason)
	require.Equal(t, "http /healthz expecting 200", v.Probe)
	require.Equal(t, "HTTP 503", v.LastAnswer)
	require.Equal(t, 5, v.Samples)
	require.Equal(t, 3, v.Errors)
	require.Equal(t, []migration.Asked{{Probe: "http /healthz expecting 200", Good: 2, Failed: 3, Last: "HTTP 503"}}, v.Asked)
}

func TestFailuresWithGoodAnswersBetweenThemAreNotInARow(t *testing.T) {
	s := serve(t, func(n int64, _ *http.Request) int {
		if n <= 6 && n%3 == 0 {
			return 200
		}
		return 503
	})
	v := watch(t, places{front: s.at()}, Question{Slice: slice(httpProbe("/", 3)), For: migration.Duration(time.Hour)})
	require.Equal(t, migration.Fail, v.Outcome)
	require.Equal(t, 9, v.Samples, "two and two failures went before the three")
}

func TestFailuresOfTwoProbesAreNotInOneRow(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	s := serve(t, func(_ int64, r *http.Request) int {
		mu.Lock()
		defer mu.Unlock()
		asked[r.URL.Path]++
		if n := asked[r.URL.Path]; n%2 == 1 || r.URL.Path == "/a" && n > 6 {
			return 500
		}
		return 200
	})
	v := watch(t, places{front: s.at()}, Question{Slice: slice(httpProbe("/a", 2), httpProbe("/b", 2)), For: migration.Duration(time.Hour)})
	require.Equal(t, migration.Fail, v.Outcome)
	require.Equal(t, "http /a expecting 200", v.Probe)
	mu.Lock()
	defer mu.Unlock()
	require.GreaterOrEqual(t, asked["/a"], 8)
}

func TestAProbeThatNeverAnsweredWellIsInconclusive(t *testing.T) {
	s := serve(t, func(_ int64, r *http.Request) int {
		if r.URL.Path == "/good" {
			return 200
		}
		return 500
	})
	v := watch(t, places{front: s.at()}, Question{Slice: slice(httpProbe("/good", 1), httpProbe("/bad", 1000)),
		For: migration.Duration(300 * time.Millisecond)})
	require.Equal(t, migration.Inconclusive, v.Outcome)
	require.Equal(t, "probe http /bad expecting 200 had no good answer, last: HTTP 500", v.Reason)
	require.Equal(t, "HTTP 500", v.LastAnswer)
}

func TestAWatchInWhichNothingAnswersIsInconclusive(t *testing.T) {
	held := make(chan struct{})
	s := serve(t, func(int64, *http.Request) int { <-held; return 200 })
	t.Cleanup(func() { close(held) })
	p := httpProbe("/", 1)
	p.Timeout = migration.Duration(time.Hour)
	v := watch(t, places{front: s.at()}, Question{Slice: slice(p), For: migration.Duration(50 * time.Millisecond)})
	require.Equal(t, migration.Inconclusive, v.Outcome)
	require.Equal(t, "no probe has answered", v.Reason)
}

func TestAWatchThatIsCutOffIsNoVerdict(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(int64, *http.Request) int { cancel(); return 200 })
	a := New(places{front: s.at()}, nil, "")
	w, err := a.watcher(ctx, Question{Slice: slice(httpProbe("/", 1)), For: migration.Duration(time.Hour)}, quiet)
	require.NoError(t, err)
	_, err = w.run(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestTheMachinesOnAWSAreWatchedToo(t *testing.T) {
	up := serve(t, always(200)).at()
	up.Healthy = true
	sick := Endpoint{Address: "10.0.0.7:80", Reason: "Target.Timeout"}
	down := nobody(t)
	for _, c := range []struct {
		name   string
		probe  migration.Probe
		behind []Endpoint
		want   migration.Outcome
		answer string
	}{
		{"a port that takes connections", tcpProbe(2), []Endpoint{up}, migration.Pass, ""},
		{"one port of two that takes none", tcpProbe(2), []Endpoint{up, down}, migration.Fail,
			"web at " + down.Address + ": dial: connect: connection refused"},
		{"a target that is healthy", groupProbe(2), []Endpoint{up}, migration.Pass, ""},
		{"one target of two that is not", groupProbe(2), []Endpoint{up, sick}, migration.Fail, "web at 10.0.0.7:80: Target.Timeout"},
		{"no target at all", groupProbe(2), nil, migration.Fail, "web has no machine registered on aws"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := watch(t, places{behind: map[string][]Endpoint{"web": c.behind}},
				Question{Slice: slice(c.probe), For: migration.Duration(300 * time.Millisecond)})
			require.Equal(t, c.want, v.Outcome, v.Reason)
			require.Equal(t, c.answer, v.LastAnswer)
		})
	}
}

// throttled does not say whom to ask, on every other question or on all of them.
type throttled struct {
	places
	asked  *atomic.Int64
	always bool
}

func (p throttled) Behind(ctx context.Context, plan string, t migration.Target, r migration.Route, w migration.Workload,
	side migration.Side) ([]Endpoint, error) {
	if p.asked.Add(1)%2 == 0 || p.always {
		return nil, errors.New("ThrottlingException: Rate exceeded")
	}
	return p.places.Behind(ctx, plan, t, r, w, side)
}

// A question that AWS does not answer says nothing of the customer: it is neither moved back for it
// nor called well.
func TestAnAnswerThatAWSOwesCountsNeitherWay(t *testing.T) {
	up := serve(t, always(200)).at()
	up.Healthy = true
	for _, c := range []struct {
		always bool
		want   migration.Outcome
		reason string
	}{
		{false, migration.Pass, " samples good"},
		{true, migration.Inconclusive, "it cannot be judged: not asked: machines of workload \"web\" on aws: " +
			"ThrottlingException: Rate exceeded"},
	} {
		a := New(throttled{places{behind: map[string][]Endpoint{"web": {up}}}, &atomic.Int64{}, c.always}, nil, "")
		v, err := a.Watch(t.Context(), Question{Slice: slice(groupProbe(1)), For: migration.Duration(300 * time.Millisecond)}, quiet)
		require.NoError(t, err)
		require.Equal(t, c.want, v.Outcome, v.Reason)
		require.Contains(t, v.Reason, c.reason)
		require.Zero(t, v.Errors)
	}
}

// watched is a watcher with samples: of good answers and bad ones that took a millisecond each, and
// of slow good ones that took 100.
func watched(c *migration.Compare, b *Baseline, good, bad, slow int) *watcher {
	s := slice(httpProbe("/", 1000))
	s.Health.Compare = c
	w, _ := New(places{}, nil, "").watcher(context.Background(), Question{Slice: s, Baseline: b}, quiet)
	for n, one := range map[*int]sample{&good: {took: time.Millisecond, ok: true}, &bad: {took: time.Millisecond},
		&slow: {took: 100 * time.Millisecond, ok: true}} {
		for range *n {
			w.add(0, one)
		}
	}
	return w
}

func TestACustomerIsJudgedAgainstItsOwnNumbers(t *testing.T) {
	rate, p95 := &migration.Bound{Times: 1, Plus: 0.02}, &migration.Bound{Times: 2}
	for _, c := range []struct {
		name            string
		compare         *migration.Compare
		base            *Baseline
		good, bad, slow int
		want            migration.Outcome
		reason          string
	}{
		{"without a comparison the probes decide", nil, &Baseline{Samples: 100}, 10, 10, 0, migration.Pass, "10 of 20 samples good"},
		{"without a baseline the probes decide", &migration.Compare{ErrorRate: rate, MinSamples: 100}, nil, 10, 10, 0, migration.Pass,
			"10 of 20 samples good"},
		{"too few samples on AWS", &migration.Compare{ErrorRate: rate, MinSamples: 100}, &Baseline{Samples: 100}, 99, 0, 0,
			migration.Inconclusive, "99 samples on AWS and 100 before; the comparison wants 100 of each"},
		{"too few samples before", &migration.Compare{ErrorRate: rate, MinSamples: 100}, &Baseline{Samples: 99}, 100, 0, 0,
			migration.Inconclusive, "100 samples on AWS and 99 before; the comparison wants 100 of each"},
		{"as many as wanted, and an error rate at the bound", &migration.Compare{ErrorRate: rate, MinSamples: 100},
			&Baseline{Samples: 100, ErrorRate: 0.01}, 97, 3, 0, migration.Pass, "100 samples: error rate 3.0% (before 1.0%), p95 1ms " +
				"(before 0s)"},
		{"an error rate above the bound", &migration.Compare{ErrorRate: rate, MinSamples: 100}, &Baseline{Samples: 100, ErrorRate: 0.01},
			96, 4, 0, migration.Fail, "error rate 4.0% on AWS, 1.0% before; allowed <= 1x + 0.02"},
		{"a p95 above the bound", &migration.Compare{P95: p95, MinSamples: 100}, &Baseline{Samples: 100, P95: 0.04}, 94, 0, 6,
			migration.Fail, "p95 100ms on AWS, 40ms before; allowed <= 2x"},
		{"a p95 within the bound, with slow answers beyond it", &migration.Compare{P95: p95, MinSamples: 100},
			&Baseline{Samples: 100, P95: 0.04}, 95, 0, 5, migration.Pass, "100 samples: error rate 0.0% (before 0.0%), p95 1ms (before " +
				"40ms)"},
		{"errors are said before slowness", &migration.Compare{ErrorRate: rate, P95: p95, MinSamples: 100},
			&Baseline{Samples: 100, P95: 0.04}, 84, 6, 10, migration.Fail, "error rate 6.0% on AWS, 0.0% before; allowed <= 1x + 0.02"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := watched(c.compare, c.base, c.good, c.bad, c.slow).judge()
			require.Equal(t, c.want, v.Outcome)
			require.Equal(t, c.reason, v.Reason)
			require.Equal(t, c.good+c.bad+c.slow, v.Samples)
			require.Equal(t, c.bad, v.Errors)
			if c.base != nil {
				require.Equal(t, *c.base, Baseline{Samples: c.base.Samples, ErrorRate: v.BaselineRate, P95: v.BaselineP95})
			}
		})
	}
}

// The baseline is of http probes alone: a thousand good connections must not thin out a customer's
// errors, nor bad ones make them.
func TestOnlyTheSamplesThatHaveABaselineAreCompared(t *testing.T) {
	for _, c := range []struct {
		name   string
		tcp    sample
		bad    int
		want   migration.Outcome
		reason string
	}{
		{"good connections beside bad answers", sample{ok: true}, 10, migration.Fail, "error rate 10.0% on AWS, 0.0% before; allowed <= " +
			"1x + 0.02"},
		{"bad connections beside good answers", sample{}, 0, migration.Pass, "100 samples: error rate 0.0% (before 0.0%), p95 1ms " +
			"(before 0s)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := watched(&migration.Compare{ErrorRate: &migration.Bound{Times: 1, Plus: 0.02}, MinSamples: 100}, &Baseline{Samples: 100},
				100-c.bad, c.bad, 0)
			w.req.Slice.Health.Probes = append(w.req.Slice.Health.Probes, tcpProbe(1000))
			w.good, w.bad, w.unseen = append(w.good, 1), append(w.bad, 0), append(w.unseen, time.Time{})
			w.inRow, w.last = append(w.inRow, 0), append(w.last, "")
			for range 900 {
				w.add(1, c.tcp)
			}
			v := w.judge()
			require.Equal(t, c.want, v.Outcome)
			require.Equal(t, c.reason, v.Reason)
		})
	}
}

func TestABaselineHasAsManySamplesAsTheComparisonWants(t *testing.T) {
	s := serve(t, func(n int64, _ *http.Request) int {
		if n%5 == 0 {
			return 500
		}
		return 200
	})
	for _, c := range []struct{ min, want int }{{0, 20}, {10, 20}, {25, 25}} {
		req := Question{Slice: slice(httpProbe("/", 1), tcpProbe(1))}
		req.Slice.Health.Compare = &migration.Compare{MinSamples: c.min}
		a := New(places{front: s.at()}, nil, "")
		b, err := a.MeasureBaseline(t.Context(), req, quiet)
		require.NoError(t, err)
		require.Equal(t, c.want, b.Samples)
		require.InDelta(t, 0.2, b.ErrorRate, 1e-9)
		require.Positive(t, b.P95)
	}
}

func TestABaselineThatHasNoTimeForAllItsSamplesEndsWithThoseItHas(t *testing.T) {
	s := serve(t, func(n int64, r *http.Request) int {
		if n > 3 {
			<-r.Context().Done() // as slow as the probe's patience
		}
		return 200
	})
	p := httpProbe("/", 1)
	p.Timeout = migration.Duration(time.Minute)
	req := Question{Slice: slice(p)}
	req.Slice.Health.Compare = &migration.Compare{MinSamples: 100}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	b, err := New(places{front: s.at()}, nil, "").MeasureBaseline(ctx, req, quiet)
	require.NoError(t, err)
	require.Equal(t, 3, b.Samples, "the one that was cut off is no sample")
	require.Zero(t, b.ErrorRate)
}

func TestABaselineThatIsCutOffIsNone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(int64, *http.Request) int { cancel(); return 200 })
	_, err := New(places{front: s.at()}, nil, "").MeasureBaseline(ctx, Question{Slice: slice(httpProbe("/", 1))}, quiet)
	require.ErrorIs(t, err, context.Canceled)
}

func TestABaselineWithoutHTTPProbesIsEmptyAndComesAtOnce(t *testing.T) {
	a := New(places{}, nil, "")
	b, err := a.MeasureBaseline(t.Context(), Question{Slice: slice(tcpProbe(1))}, quiet)
	require.NoError(t, err)
	require.Equal(t, Baseline{}, b)
}

func TestARouteThatCannotBeReadIsAnErrorThatNamesIt(t *testing.T) {
	a := New(places{err: errors.New("throttled")}, nil, "")
	_, front := a.MeasureBaseline(t.Context(), Question{Slice: slice(httpProbe("/", 1))}, quiet)
	_, behind := check(t.Context(), a, slice(httpProbe("/", 1)), migration.AWS)
	require.ErrorContains(t, front, `where route "public" takes requests: throttled`)
	require.ErrorContains(t, behind, `machines of workload "web" on aws: throttled`)
}

// check asks the load balancer what there is, and then those machines.
func check(ctx context.Context, d *Doctor, s migration.CustomerSlice, side migration.Side) ([]migration.Finding, error) {
	machines, err := d.FindMachines(ctx, "", s, side)
	if err != nil {
		return nil, err
	}
	return New(nil, nil, "").CheckDestination(ctx, s, side, machines) // at the site nobody asks a load balancer
}

func TestCheckDestination(t *testing.T) {
	well, ill := serve(t, always(200)), serve(t, always(503))
	down := nobody(t)
	for _, c := range []struct {
		name   string
		behind []Endpoint
		probe  migration.Probe
		want   []string // subject: reason
	}{
		{"every machine answers", []Endpoint{well.at(), well.at()}, httpProbe("/healthz", 2), nil},
		{"no machine", nil, httpProbe("/healthz", 2), []string{"workload web: it has no machine registered on aws"}},
		{"one machine of two answers badly", []Endpoint{well.at(), ill.at()}, httpProbe("/healthz", 2),
			[]string{"workload web at " + ill.at().Address + ": probe http /healthz expecting 200: HTTP 503"}},
		{"a machine that is not there", []Endpoint{down}, tcpProbe(1),
			[]string{"workload web at " + down.Address + ": probe tcp: dial: connect: connection refused"}},
		{"a target that the load balancer finds unhealthy", []Endpoint{{Address: "10.0.0.7:80", Reason: "Target.Timeout"}}, groupProbe(1),
			[]string{"workload web at 10.0.0.7:80: probe target group: Target.Timeout"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := New(places{behind: map[string][]Endpoint{"web": c.behind}}, nil, "")
			got, err := check(t.Context(), a, slice(c.probe), migration.AWS)
			require.NoError(t, err)
			var found []string
			for _, f := range got {
				require.Equal(t, migration.Blocker, f.Severity)
				require.NotEmpty(t, f.Remedy)
				found = append(found, f.Subject+": "+f.Reason)
			}
			require.Equal(t, c.want, found)
		})
	}
}

func TestAMachineMayFailOneTimeLessThanTheProbeAllows(t *testing.T) {
	for failures, want := range map[int64]int{2: 0, 3: 1} {
		s := serve(t, func(n int64, _ *http.Request) int {
			if n <= failures {
				return 0
			}
			return 200
		})
		a := New(places{behind: map[string][]Endpoint{"web": {s.at()}}}, nil, "")
		got, err := check(t.Context(), a, slice(httpProbe("/", 3)), migration.AWS)
		require.NoError(t, err)
		require.Len(t, got, want)
		require.EqualValues(t, 3, s.asked.Load())
	}
}

func TestAMachineIsAskedOnlyForThePathsOfItsWorkload(t *testing.T) {
	web := serve(t, func(_ int64, r *http.Request) int { return map[string]int{"/": 200, "/apiary": 200}[r.URL.Path] })
	api := serve(t, func(_ int64, r *http.Request) int { return map[string]int{"/api/v1/ping": 200}[r.URL.Path] })
	s := slice(httpProbe("/", 1), httpProbe("/apiary", 1), httpProbe("/api/v1/ping", 1))
	s.Workloads = append(s.Workloads, workload("api", "/api/*"))
	a := New(places{behind: map[string][]Endpoint{"web": {web.at()}, "api": {api.at()}}}, nil, "")
	got, err := check(t.Context(), a, s, migration.AWS)
	require.NoError(t, err)
	require.Empty(t, got)
	require.EqualValues(t, 2, web.asked.Load())
	require.EqualValues(t, 1, api.asked.Load())
}

// What a load balancer would do:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_PathPatternConditionConfig.html
func TestAProbeGoesWhereTheLoadBalancerWouldSendIt(t *testing.T) {
	all := []migration.Workload{workload("web", "/*"), workload("api", "/api/*", "/v?/api"), workload("health", "/api/*/health")}
	for at, want := range map[string]string{
		"/":                   "web",
		"/apiary":             "web",
		"/api/":               "api",
		"/api/v1/x":           "api",
		"/v2/api":             "api",
		"/v22/api":            "web",
		"/API/":               "web",
		"/v2/api?deep=1":      "api",
		"/?to=/api/x":         "web",
		"/api/a/health":       "health",
		"/api/a/b/health":     "health",
		"/api/a/health?all=1": "health",
		"/api/a/healthy":      "api",
	} {
		require.Equal(t, want, server(all, at), at)
	}
	require.Empty(t, server(all[1:], "/healthz"))
}

// A machine that is dead costs its own patience once, however many there are: a check that runs out
// of time names none of them.
func TestTheMachinesAreAskedAllAtOnce(t *testing.T) {
	const n = 20
	var all sync.WaitGroup
	all.Add(n)
	s := serve(t, func(int64, *http.Request) int { all.Done(); all.Wait(); return 200 }) // none is answered before all have been asked
	a := New(places{behind: map[string][]Endpoint{"web": slices.Repeat([]Endpoint{s.at()}, n)}}, nil, "")
	p := httpProbe("/", 1)
	p.Timeout = migration.Duration(time.Minute)
	got, err := check(t.Context(), a, slice(p), migration.AWS)
	require.NoError(t, err)
	require.Empty(t, got)
}

// A worker that is stopped in the middle must not tell the Move that the destination is ill.
func TestACheckThatIsCutOffFindsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(int64, *http.Request) int { cancel(); return 0 })
	a := New(places{behind: map[string][]Endpoint{"web": {s.at()}}}, nil, "")
	got, err := check(ctx, a, slice(httpProbe("/", 3)), migration.AWS)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, got)
}

func TestARedirectIsAnAnswerAndIsNotFollowed(t *testing.T) {
	s := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	t.Cleanup(s.Close)
	p := httpProbe("/", 1)
	p.HTTP.Expect = 302
	r := newProber("")
	got := r.http(t.Context(), r.route, Endpoint{Address: s.Listener.Addr().String()}, "acme.example.com", p)
	require.True(t, got.ok, got.answer)
}

func TestAnAnswerThatDoesNotComeInTimeIsSaidSo(t *testing.T) {
	held := make(chan struct{})
	s := serve(t, func(int64, *http.Request) int { <-held; return 200 })
	t.Cleanup(func() { close(held) })
	p := httpProbe("/", 1)
	p.Timeout = migration.Duration(20 * time.Millisecond)
	r := newProber("")
	got := r.http(t.Context(), r.route, s.at(), "acme.example.com", p)
	require.False(t, got.ok)
	require.Equal(t, "no answer within 20ms", got.answer)
	require.GreaterOrEqual(t, got.took, 20*time.Millisecond)
}

// A load balancer chooses its certificate by the name that TLS is told, and has none for the
// address that it is reached by.
func TestTheRouteIsAskedForTheCustomersCertificate(t *testing.T) {
	var told atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { told.Store(h.ServerName); return nil, nil }}
	s.StartTLS() // with a certificate for example.com
	t.Cleanup(s.Close)
	at := Endpoint{Address: s.Listener.Addr().String(), HTTPS: true}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	r := newProber("")
	r.route.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots

	got := r.http(t.Context(), r.route, at, "example.com", httpProbe("/", 1))
	require.True(t, got.ok, got.answer)
	require.Equal(t, "example.com", told.Load())

	got = r.http(t.Context(), r.route, at, "acme.test", httpProbe("/", 1))
	require.False(t, got.ok, "the customer's browser would refuse it")
	require.Contains(t, got.answer, "certificate is valid for")
	require.Equal(t, "acme.test", told.Load())

	got = r.http(t.Context(), r.machines, at, "acme.test", httpProbe("/", 1))
	require.True(t, got.ok, "a load balancer does not ask for a machine's certificate: %s", got.answer)
}
