package health_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/health"
	engine "github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/migration"
)

// front is a load balancer with nothing behind it.
type front engine.Endpoint

func (f front) Front(context.Context, migration.Target, migration.Route) (engine.Endpoint, error) {
	return engine.Endpoint(f), nil
}

func (f front) Behind(context.Context, string, migration.Target, migration.Route, migration.Workload, migration.Side) ([]engine.Endpoint, error) {
	return nil, nil
}

// Temporal takes a worker that does not heartbeat for a few seconds for dead, and a probe may take a minute.
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
			a := health.New(engine.New(front{Address: s.Listener.Addr().String()}, ""))
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
