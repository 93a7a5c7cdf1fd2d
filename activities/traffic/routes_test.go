package traffic_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// world is a plan of one customer, its home record, and a router that sends it where it is told.
type world struct {
	traffic.Router
	spec  migration.Spec
	home  routes.Wanted
	reads int
	turn  func() // once, while the router works

	sent map[string]migration.Side
}

func newWorld(side migration.Side) *world {
	return &world{spec: migration.Spec{Plan: "p", Customers: []migration.Customer{{ID: "acme"}}},
		home: routes.Wanted{Customer: "acme", Side: side, Token: 1},
		sent: map[string]migration.Side{"acme": migration.OnPrem}}
}

func (w *world) activities() *traffic.Activities { return traffic.New(w, w, w) }

func (w *world) Spec(context.Context, migration.SpecRef) (*migration.Spec, error) {
	return &w.spec, nil
}

func (w *world) Wanted(context.Context, *migration.Spec, []migration.Customer) ([]routes.Wanted, error) {
	w.reads++
	return []routes.Wanted{w.home}, nil
}

func (w *world) Reconcile(_ context.Context, _ *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	out := map[string]routes.State{}
	for _, x := range wanted {
		if x.Side != migration.NoHome {
			w.sent[x.Customer] = x.Side
		}
		out[x.Customer] = routes.State{Customer: x.Customer, Home: x.Side}
	}
	if w.turn != nil {
		w.turn()
		w.turn = nil
	}
	return out, nil
}

func (w *world) Verify(_ context.Context, _ *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	out := map[string]routes.State{}
	for _, x := range wanted {
		s := routes.State{Customer: x.Customer, Home: x.Side}
		if x.Side != migration.NoHome && w.sent[x.Customer] != x.Side {
			s.Wrong = "it is sent to " + string(w.sent[x.Customer])
		}
		out[x.Customer] = s
	}
	return out, nil
}

func TestARequestThatSaysWhatIsWantedReadsNoHome(t *testing.T) {
	w := newWorld(migration.OnPrem)
	req := traffic.ReconcileRouteRequest{Customer: "acme", Wanted: []traffic.WantedRoute{{Customer: "acme", Side: migration.AWS, Token: 2}}}
	for range 2 {
		got, err := w.activities().ReconcileRoute(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, migration.AWS, got.Home)
		require.Equal(t, migration.AWS, w.sent["acme"])
		_, err = w.activities().VerifyRoute(t.Context(), req)
		require.NoError(t, err)
	}
	w.sent["acme"] = migration.OnPrem
	_, err := w.activities().VerifyRoute(t.Context(), req)
	require.EqualError(t, err, `verify the route of customer "acme": it is sent to onprem`)
	require.Empty(t, permanent.Kind(err), "it is tried again")
	many, err := w.activities().VerifyRoutes(t.Context(), traffic.VerifyRoutesRequest{Wanted: req.Wanted})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"acme": "it is sent to onprem"}, many.Wrong)
	require.Zero(t, w.reads)
}

func TestARequestThatSaysNothingFollowsTheHomeAlsoWhereItTurnsMeanwhile(t *testing.T) {
	w := newWorld(migration.OnPrem)
	w.turn = func() { w.home.Side, w.home.Token = migration.AWS, 2 }
	got, err := w.activities().ReconcileRoute(t.Context(), traffic.ReconcileRouteRequest{Customer: "acme"})
	require.NoError(t, err)
	require.Equal(t, migration.AWS, got.Home)
	require.Equal(t, migration.AWS, w.sent["acme"])
}

func TestWhoseDataNamesNoHomeIsLeftAsItIs(t *testing.T) {
	w := newWorld(migration.NoHome)
	w.sent["acme"] = migration.AWS
	for _, req := range []traffic.ReconcileRouteRequest{{Customer: "acme"},
		{Customer: "acme", Wanted: []traffic.WantedRoute{{Customer: "acme"}}}} {
		_, err := w.activities().ReconcileRoute(t.Context(), req)
		require.Equal(t, "NoHome", permanent.Kind(err))
		_, err = w.activities().VerifyRoute(t.Context(), req)
		require.Equal(t, "NoHome", permanent.Kind(err))
	}
	require.Equal(t, migration.AWS, w.sent["acme"])
}
