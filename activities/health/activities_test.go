package health_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/health"
	engine "github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// front is a load balancer with nothing behind it.
type front engine.Endpoint

func (f front) Metric(context.Context, string, migration.Target, migration.Route, migration.Workload, migration.Side,
	migration.CloudWatchQuery, time.Time) (float64, bool, error) {
	return 0, false, nil
}

func (f front) Front(context.Context, migration.Target, migration.Route, string) (engine.Endpoint, error) {
	return engine.Endpoint(f), nil
}

func (f front) Behind(context.Context, string, migration.Target, migration.Route, migration.Workload,
	migration.Side) ([]engine.Endpoint, error) {
	return nil, nil
}

func (f front) Anchors(string, migration.Route) []string { return nil }

// Temporal takes a worker that does not heartbeat for a few seconds for dead, and a probe may take
// a minute.
func TestTheHeartbeatsDoNotWaitForAProbe(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(*health.Activities) any
	}{
		{"a baseline", func(a *health.Activities) any { return a.MeasureBaseline }},
		{"a watch", func(a *health.Activities) any { return a.WatchHealth }},
	} {
		t.Run(c.name, func(t *testing.T) {
			beaten := make(chan struct{})
			var asked atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) == 1 {
					select {
					case <-beaten:
					case <-time.After(10 * time.Second):
						w.WriteHeader(http.StatusInternalServerError)
					}
				}
			}))
			t.Cleanup(s.Close)
			a := health.New(engine.New(front{Address: s.Listener.Addr().String()}, nil, ""), nil, nil)
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestActivityEnvironment()
			env.RegisterActivity(a)
			var once sync.Once
			env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { once.Do(func() { close(beaten) }) })
			req := health.WatchRequest{For: migration.Duration(200 * time.Millisecond), Slice: migration.CustomerSlice{
				Customer: migration.Customer{ID: "acme", Hosts: []string{"acme.example.com"}},
				Routes:   []migration.Route{{Name: "public", ALB: &migration.ALB{}}},
				Health: migration.Health{Probes: []migration.Probe{{HTTP: &migration.HTTPProbe{Path: "/", Expect: 200},
					Every: migration.Duration(10 * time.Millisecond), Timeout: migration.Duration(time.Minute), FailAfter: 1}}},
			}}
			v, err := env.ExecuteActivity(c.run(a), req)
			require.NoError(t, err)
			var got struct{ ErrorRate float64 }
			require.NoError(t, v.Get(&got))
			require.Zero(t, got.ErrorRate, "the first probe was answered, when there had been a heartbeat")
		})
	}
}

func TestACancelledWatchKeepsItsVerdict(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	a := health.New(engine.New(front{Address: s.Listener.Addr().String()}, nil, ""), nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	_, err := a.WatchHealth(ctx, health.WatchRequest{Slice: plan().slice("acme"), For: migration.Duration(time.Hour)})
	var gone *temporal.CanceledError
	require.ErrorAs(t, err, &gone)
	require.True(t, gone.HasDetails())
	var v migration.Verdict
	require.NoError(t, gone.Details(&v))
	require.Equal(t, migration.Pass, v.Outcome)
	require.Positive(t, v.Samples)
}

// router is where customers are sent.
type router struct {
	rules  map[string]migration.Side
	stuck  error
	asked  int
	looked int
}

func (r *router) Reconcile(_ context.Context, _ *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	r.asked++
	for _, w := range wanted {
		if r.stuck == nil && w.Side != migration.NoHome {
			r.rules[w.Customer] = w.Side
		}
	}
	return nil, r.stuck
}

func (r *router) Verify(_ context.Context, _ *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	r.looked++
	out := map[string]routes.State{}
	for _, w := range wanted {
		s := routes.State{Customer: w.Customer, Home: w.Side}
		if w.Side != migration.NoHome && r.rules[w.Customer] != w.Side {
			s.Wrong = "it is sent to " + string(r.rules[w.Customer])
		}
		out[w.Customer] = s
	}
	return out, nil
}

type spec migration.Spec

func (s *spec) Spec(context.Context, migration.SpecRef) (*migration.Spec, error) {
	return (*migration.Spec)(s), nil
}

func (s *spec) slice(id string) migration.CustomerSlice {
	c, _ := (*migration.Spec)(s).Slice(id)
	return c
}

// plan has three customers behind one load balancer.
func plan() *spec {
	s := &spec{Plan: "p", Routes: []migration.Route{{Name: "public", ALB: &migration.ALB{Workloads: map[string]string{"web": "group"}}}},
		Health: migration.Health{Probes: []migration.Probe{{HTTP: &migration.HTTPProbe{Path: "/", Expect: 200},
			Every: migration.Duration(10 * time.Millisecond), Timeout: migration.Duration(time.Second), FailAfter: 2}}}}
	for _, id := range []string{"acme", "zeta", "odd"} {
		s.Customers = append(s.Customers, migration.Customer{ID: id, Hosts: []string{id + ".example.com"}, Workloads: []string{"web"}})
	}
	return s
}

func TestOneLookJudgesManyAndSendsEachWhereItIsHomed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "zeta.example.com" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(s.Close)
	r := &router{rules: map[string]migration.Side{"acme": migration.OnPrem, "zeta": migration.AWS, "odd": migration.AWS}}
	a := health.New(engine.New(front{Address: s.Listener.Addr().String()}, nil, ""), plan(), r)
	req := health.WatchManyRequest{Customers: []health.Soaking{
		{Customer: "acme", Side: migration.AWS, Token: 2}, {Customer: "zeta", Side: migration.AWS, Token: 2}, {Customer: "odd"},
	}}
	for range 2 { // twice is once
		got, err := a.WatchMany(t.Context(), req)
		require.NoError(t, err)
		require.Empty(t, got.Routes)
		require.Empty(t, got.Blind)
		require.Equal(t, migration.Pass, got.Verdicts["acme"].Outcome)
		require.Equal(t, migration.Fail, got.Verdicts["zeta"].Outcome)
		require.Equal(t, migration.Pass, got.Verdicts["odd"].Outcome)
		require.Equal(t, migration.AWS, r.rules["acme"], "its route was healed")
		require.Equal(t, migration.AWS, r.rules["odd"], "whose data names no home is left as it is")
	}
	require.Equal(t, []int{2, 2}, []int{r.asked, r.looked}, "one reconciliation and one reading each")

	r.rules["acme"], r.stuck = migration.OnPrem, errors.New("the rule quota is used up")
	got, err := a.WatchMany(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"acme": "it is sent to onprem; it could not be set: the rule quota is used up"}, got.Routes)
	require.Equal(t, migration.Pass, got.Verdicts["acme"].Outcome, "the route is one thing and the customer's health another")

	_, err = a.WatchMany(t.Context(), health.WatchManyRequest{Customers: []health.Soaking{{Customer: "nobody"}}})
	require.Equal(t, "NoCustomer", permanent.Kind(err))
}

func TestThatNobodyAnswersWhoCountsRequestsIsNoErrorOfTheActivity(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(s.Close)
	p := plan()
	p.Health.Requests = &migration.RequestQueries{Failed: &migration.CountQuery{
		Prometheus: &migration.PrometheusQuery{URL: s.URL, Query: "q"}}}
	a := health.New(engine.New(front{}, nil, ""), p, nil)
	for range 2 {
		got, err := a.CountRequests(t.Context(), health.RequestsRequest{Slice: p.slice("acme"), From: time.Now().Add(-time.Minute),
			To: time.Now()})
		require.NoError(t, err)
		require.Contains(t, got.Failed.Why, "it answers 502")
		require.Nil(t, got.Retried)
		found, err := a.CheckRequests(t.Context(), migration.SpecRef{})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, migration.Warning, found[0].Severity)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.CountRequests(gone, health.RequestsRequest{Slice: p.slice("acme")})
	require.ErrorIs(t, err, context.Canceled, "what was cut off says nothing of who counts")
}
