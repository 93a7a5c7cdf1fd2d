package routes_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// kind is a Router that remembers what it was asked, in the order of all.
type kind struct {
	name  string
	asked *[]string
	fails error
}

func (k kind) say(what string) { *k.asked = append(*k.asked, what+" "+k.name) }

func (k kind) Check(context.Context, *migration.Spec) ([]migration.Finding, error) {
	return []migration.Finding{{Check: k.name}}, k.fails
}

func (k kind) Record(context.Context, *migration.Spec) error { k.say("record"); return k.fails }

func (k kind) Survey(context.Context, *migration.Spec) ([]migration.Thing, error) {
	return []migration.Thing{{Kind: k.name}}, k.fails
}

func (k kind) Restore(context.Context, *migration.Spec, []routes.Wanted) (routes.Restored, error) {
	k.say("restore")
	return routes.Restored{Deleted: 1, Differences: []string{k.name}}, k.fails
}

func (k kind) Reconcile(_ context.Context, _ *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	out := map[string]routes.State{}
	for _, w := range wanted {
		out[w.Customer] = routes.State{Customer: w.Customer, Home: w.Side, Rules: []string{k.name}, Wrong: "of " + k.name,
			Set: time.Unix(int64(len(k.name)), 0)}
	}
	if k.fails != nil {
		return nil, k.fails
	}
	return out, nil
}

func (k kind) Verify(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	return k.Reconcile(ctx, spec, wanted)
}

// named is a kind that prepares.
type named struct{ kind }

func (n named) Prepare(_ context.Context, _ *migration.Spec, customers []string, opens time.Time) (routes.Prepared, error) {
	return routes.Prepared{Ready: opens.Add(time.Duration(len(customers)) * time.Hour)}, n.fails
}

func (n named) Settle(_ context.Context, _ *migration.Spec, customers []string) error {
	for _, c := range customers {
		n.say("settle " + c)
	}
	return n.fails
}

func world() (routes.Kinds, *[]string, *migration.Spec) {
	asked := &[]string{}
	all := routes.Kinds{migration.RouteALB: kind{"alb", asked, nil}, migration.RouteDNS: named{kind{"dns", asked, nil}},
		migration.RouteHook: kind{"hook", asked, nil}}
	spec := &migration.Spec{Plan: "p", Routes: []migration.Route{
		{Name: "a", ALB: &migration.ALB{Workloads: map[string]string{"web": "group"}}},
		{Name: "d", DNS: &migration.DNS{Workloads: map[string]migration.Named{"portal": {}}}},
		{Name: "h", Hook: &migration.HookRoute{Workloads: map[string]string{"web": "http://10.0.0.1", "tool": "http://10.0.0.2"}}},
	}, Customers: []migration.Customer{{ID: "both", Workloads: []string{"web"}}, {ID: "name", Workloads: []string{"portal"}},
		{ID: "tool", Workloads: []string{"tool"}}, {ID: "none", Workloads: []string{"worker"}}}}
	return all, asked, spec
}

func TestEachCustomerIsRoutedByTheKindsThatCarryIt(t *testing.T) {
	all, _, spec := world()
	wanted := []routes.Wanted{{Customer: "both", Side: migration.AWS}, {Customer: "name"}, {Customer: "tool"}}
	for _, do := range []func(context.Context, *migration.Spec, []routes.Wanted) (map[string]routes.State, error){all.Reconcile,
		all.Verify} {
		got, err := do(t.Context(), spec, wanted)
		require.NoError(t, err)
		require.Len(t, got, 3)
		require.ElementsMatch(t, []string{"alb", "hook"}, got["both"].Rules)
		require.Contains(t, got["both"].Wrong, "of alb")
		require.Contains(t, got["both"].Wrong, "of hook")
		require.Equal(t, time.Unix(4, 0), got["both"].Set, "the later of both")
		require.Equal(t, []string{"dns"}, got["name"].Rules)
		require.Equal(t, []string{"hook"}, got["tool"].Rules)
	}
	_, err := all.Reconcile(t.Context(), spec, []routes.Wanted{{Customer: "nobody"}})
	require.Equal(t, "NoCustomer", permanent.Kind(err))
	_, err = all.Reconcile(t.Context(), spec, []routes.Wanted{{Customer: "none"}})
	require.Equal(t, "NoRoute", permanent.Kind(err))
}

func TestAKindThatCannotKeepsNoOtherFromItsPart(t *testing.T) {
	all, asked, spec := world()
	all[migration.RouteDNS] = named{kind{"dns", asked, errors.New("throttled")}}
	got, err := all.Reconcile(t.Context(), spec, []routes.Wanted{{Customer: "both"}, {Customer: "name"}})
	require.ErrorContains(t, err, "throttled")
	require.Contains(t, got, "both")
	require.NotContains(t, got, "name")
}

func TestLoadBalancersAreRecordedFirstAndRestoredLast(t *testing.T) {
	all, asked, spec := world()
	require.NoError(t, all.Record(t.Context(), spec))
	got, err := all.Restore(t.Context(), spec, nil)
	require.NoError(t, err)
	require.Equal(t, routes.Restored{Deleted: 3, Differences: []string{"dns", "hook", "alb"}}, got)
	require.Equal(t, []string{"record alb", "record hook", "record dns", "restore dns", "restore hook", "restore alb"}, *asked)
	found, err := all.Check(t.Context(), spec)
	require.NoError(t, err)
	require.Len(t, found, 3)
	things, err := all.Survey(t.Context(), spec)
	require.NoError(t, err)
	require.Len(t, things, 3)
}

func TestOnlyKindsThatPrepareAreWaitedFor(t *testing.T) {
	all, asked, spec := world()
	opens := time.Date(2026, 12, 2, 22, 0, 0, 0, time.UTC)
	got, err := all.Prepare(t.Context(), spec, []string{"both", "tool"}, opens)
	require.NoError(t, err)
	require.Zero(t, got)
	got, err = all.Prepare(t.Context(), spec, []string{"both", "name"}, opens)
	require.NoError(t, err)
	require.Equal(t, opens.Add(time.Hour), got.Ready)
	require.NoError(t, all.Settle(t.Context(), spec, []string{"both", "name"}))
	require.Equal(t, []string{"settle name dns"}, *asked)
}

func TestOnlyThoseAtHomeMayLoseTheirRoute(t *testing.T) {
	customers := []migration.Customer{{ID: "acme"}, {ID: "birch"}}
	home := func(a, b migration.Side) []routes.Wanted {
		return []routes.Wanted{{Customer: "acme", Side: a}, {Customer: "birch", Side: b}}
	}
	require.NoError(t, routes.AllHome(customers, home(migration.OnPrem, migration.OnPrem)))
	require.Equal(t, "NotHome", permanent.Kind(routes.AllHome(customers, home(migration.OnPrem, migration.AWS))))
	require.Equal(t, "NoHome", permanent.Kind(routes.AllHome(customers, home(migration.NoHome, migration.OnPrem))))
	require.Equal(t, "NoHome", permanent.Kind(routes.AllHome(customers, nil)))
}
