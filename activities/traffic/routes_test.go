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

// world is a plan of one customer, and a router that sends it where it is told.
type world struct {
	traffic.Router
	spec  migration.Spec
	sent  map[string]migration.Side
	taken bool // by somebody else's rule: it stays where it is sent
}

func newWorld() *world {
	return &world{spec: migration.Spec{Plan: "p", Customers: []migration.Customer{{ID: "acme"}}},
		sent: map[string]migration.Side{"acme": migration.OnPrem}}
}

func (w *world) activities() *traffic.Activities { return traffic.New(w, w, nil) }

func (w *world) Spec(context.Context, migration.SpecRef) (*migration.Spec, error) {
	return &w.spec, nil
}

func (w *world) Reconcile(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	for _, x := range wanted {
		if x.Side != migration.NoHome && !w.taken {
			w.sent[x.Customer] = x.Side
		}
	}
	return w.Verify(ctx, spec, wanted)
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

func TestACustomerIsSentWhereItIsWanted(t *testing.T) {
	w := newWorld()
	req := traffic.ReconcileRouteRequest{Customer: "acme", Wanted: []traffic.WantedRoute{{Customer: "acme", Side: migration.AWS, Token: 2}}}
	for range 2 {
		got, err := w.activities().ReconcileRoute(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, migration.AWS, got.Home)
		require.Equal(t, migration.AWS, w.sent["acme"])
	}
	w.sent["acme"], w.taken = migration.OnPrem, true
	_, err := w.activities().ReconcileRoute(t.Context(), req)
	require.EqualError(t, err, `route customer "acme": it is sent to onprem`)
	require.Empty(t, permanent.Kind(err), "it is tried again")
	many, err := w.activities().VerifyRoutes(t.Context(), traffic.VerifyRoutesRequest{Wanted: req.Wanted})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"acme": "it is sent to onprem"}, many.Wrong)
}

func TestWhoseDataNamesNoHomeIsLeftAsItIs(t *testing.T) {
	w := newWorld()
	w.sent["acme"] = migration.AWS
	req := traffic.ReconcileRouteRequest{Customer: "acme", Wanted: []traffic.WantedRoute{{Customer: "acme"}}}
	_, err := w.activities().ReconcileRoute(t.Context(), req)
	require.Equal(t, "NoHome", permanent.Kind(err))
	require.Equal(t, migration.AWS, w.sent["acme"])
}

// restoring keeps what it was told of the homes.
type restoring struct {
	traffic.Router
	told []routes.Wanted
}

func (r *restoring) Restore(_ context.Context, _ *migration.Spec, wanted []routes.Wanted) (routes.Restored, error) {
	r.told = wanted
	return routes.Restored{}, nil
}

func TestRoutesAreRestoredByWhatEachCustomersFirstDatabaseSays(t *testing.T) {
	w, r := newWorld(), &restoring{}
	w.spec.Datasets = []migration.Dataset{{Name: "files", Files: &migration.Files{}}, {Name: "orders", Postgres: &migration.Postgres{}},
		{Name: "archive", Postgres: &migration.Postgres{}}}
	w.spec.Customers = []migration.Customer{{ID: "acme", Tenant: 1,
		Datasets: []string{"files", "orders", "archive"}}, {ID: "zeta", Tenant: 2, Datasets: []string{"archive"}},
		{ID: "odd", Tenant: 3, Datasets: []string{"orders"}}}
	_, err := traffic.New(w, r, nil).RestoreRoute(t.Context(), traffic.RestoreRouteRequest{Homes: map[string]map[int64]migration.Homed{
		"orders":  {1: {Side: migration.OnPrem, Token: 4}},
		"archive": {1: {Side: migration.AWS, Token: 3}, 2: {Side: migration.AWS, Token: 9}},
	}})
	require.NoError(t, err)
	require.Equal(t, []routes.Wanted{{Customer: "acme", Side: migration.OnPrem, Token: 4},
		{Customer: "zeta", Side: migration.AWS, Token: 9}, {Customer: "odd"}}, r.told, "of whom nothing is known is said to have no home")
}
