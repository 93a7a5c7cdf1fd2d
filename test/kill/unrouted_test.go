package kill

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	pggate "github.com/drover-migration/drover/lab/pg/gate"
	"github.com/drover-migration/drover/migration"
)

// front stands before AWS and refuses, while it is told to, what changes a rule.
type front struct {
	*httptest.Server
	refuses atomic.Bool
	refused atomic.Int32
}

func newFront(t *testing.T, l *lab.Lab) *front {
	t.Helper()
	at, err := url.Parse(l.Env()["AWS_ENDPOINT_URL"])
	require.NoError(t, err)
	pass, f := httputil.NewSingleHostReverseProxy(at), &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		what := string(body)
		if f.refuses.Load() && (strings.Contains(what, "Action=CreateRule") || strings.Contains(what, "Action=ModifyRule")) {
			f.refused.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// opened has do run when a freeze has just ended, before its route is set, and answers when its
// Move has set the route.
func opened(both []*twin, do func()) <-chan time.Duration {
	routed := make(chan time.Duration, 1)
	var at atomic.Pointer[time.Time]
	for _, w := range both {
		w.temporal.Set(func(_ context.Context, e gate.Event) bool {
			switch now := time.Now(); {
			case !strings.HasPrefix(e.WorkflowID, "move/"):
			case e.When == gate.Delivery && e.Activity == "ReconcileRoute" && at.CompareAndSwap(nil, &now):
				do()
			case e.When == gate.Completion && e.Activity == "ReconcileRoute" && at.Load() != nil:
				select {
				case routed <- time.Since(*at.Load()):
				default:
				}
			}
			return true
		})
	}
	return routed
}

// unrouted has the load balancer refuse a customer that has just opened on AWS, and then has
// premises go away at that moment.
func (b *bench) unrouted(ctx context.Context, t *testing.T, both []*twin, f *front, id string) {
	t.Run("a customer that cannot be routed to AWS goes home by itself", func(t *testing.T) {
		b.send(ctx, t, id, migration.OnPrem)
		b.settled(ctx, id, migration.OnPrem)
		opened(both, func() { f.refuses.Store(true) })
		b.send(ctx, t, id, migration.AWS)
		var c migration.CustomerStatus
		require.True(t, eventually(func() bool {
			s, err := b.client.Customer(ctx, b.lab.Shape.Name, id)
			c = s
			return err == nil && s.Phase == migration.CustomerRolledBack && s.Home == migration.OnPrem && s.Cause == migration.ByRoute
		}), "%+v", c)
		require.Contains(t, c.Reason, "its route to AWS could not be set")
		require.Greater(t, f.refused.Load(), int32(5), "it was tried again and again")
		f.refuses.Store(false)
		disarm(both)
		b.consistent(ctx, t)
	})
	t.Run("premises that go away after the open keep nobody from its route", func(t *testing.T) {
		routed := opened(both, func() {
			for _, w := range both {
				w.onprem.Set(func(pggate.Event) bool { return false })
			}
		})
		b.send(ctx, t, id, migration.AWS)
		select {
		case d := <-routed:
			t.Logf("routed %s after the open", d.Round(time.Millisecond))
		case <-time.After(settleLimit):
			require.Fail(t, "it was not routed while premises were away")
		}
		disarm(both)
		b.settled(ctx, id, migration.AWS)
		b.consistent(ctx, t)
	})
}
