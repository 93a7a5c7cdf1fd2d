package check

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// ward is what a doctor touches: databases by name, each with the side that is lost and the home
// that both sides say. Its exported methods are the activities.
type ward struct {
	lost   map[string]migration.Side // "": both sides answer
	homes  map[string]migration.Side
	opened []string
	owners map[string]bool
	routed []traffic.WantedRoute
	within time.Duration // that routes may take
	carry  func(postgres.CarryRequest) (postgres.CarryResult, error)
}

func (w *ward) AcceptLoss(_ context.Context, req postgres.AcceptLossRequest) (postgres.AcceptLossResult, error) {
	lost := w.lost[req.Dataset.Name]
	if lost == "" {
		return postgres.AcceptLossResult{Home: w.homes[req.Dataset.Name], Both: true}, nil
	}
	if req.Look {
		return postgres.AcceptLossResult{Home: lost.Other()}, nil
	}
	w.opened = append(w.opened, req.Customer+" "+req.Dataset.Name)
	w.owners[req.Owner] = true
	return postgres.AcceptLossResult{Home: lost.Other(), Loss: &migration.Loss{Side: lost, Token: 1001, By: req.By, Why: req.Reason}}, nil
}

func (w *ward) CarryOver(_ context.Context, req postgres.CarryRequest) (postgres.CarryResult, error) {
	return w.carry(req)
}

func (w *ward) ExamineServers(_ context.Context, req postgres.ExamineRequest) (postgres.ExamineResult, error) {
	return postgres.ExamineResult{Whole: len(req.Tenants)}, nil
}

func (w *ward) ReconcileRoute(ctx context.Context, req traffic.ReconcileRouteRequest) (traffic.RouteState, error) {
	w.routed, w.within = append(w.routed, req.Wanted...), activity.GetInfo(ctx).ScheduleToCloseTimeout
	return traffic.RouteState{}, nil
}

func (w *ward) SweepState(context.Context, state.SweepRequest) (state.SweepResult, error) {
	return state.SweepResult{}, nil
}

func (w *ward) VerifyRoutes(context.Context, traffic.VerifyRoutesRequest) (traffic.VerifyRoutesResult, error) {
	return traffic.VerifyRoutesResult{}, nil
}

func (w *ward) SurveyRoutes(context.Context, traffic.SurveyRoutesRequest) (traffic.SurveyRoutesResult, error) {
	return traffic.SurveyRoutesResult{}, nil
}

func twoDatabases() *migration.Spec {
	database := func(name string) migration.Dataset {
		return migration.Dataset{Name: name, Postgres: &migration.Postgres{Site: "dc1", Target: "prod"}}
	}
	return &migration.Spec{Plan: "shop", Datasets: []migration.Dataset{database("orders"), database("billing")},
		Customers: []migration.Customer{{ID: "acme", Tenant: 1, Datasets: []string{"orders", "billing"}}, {ID: "birch", Tenant: 2,
			Datasets: []string{"orders"}}, {ID: "page", Tenant: 3}},
		Batches: []migration.Batch{{Name: "all", Customers: []string{"acme", "birch", "page"}}}}
}

// commanded gives a doctor a command, and answers with its report, or why it was refused.
func commanded(t *testing.T, w *ward, spec *migration.Spec, cmd migration.Command, name string) (r migration.DoctorReport, refused error) {
	t.Helper()
	w.owners = map[string]bool{}
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	env.RegisterWorkflow(Doctor)
	env.RegisterActivity(w)
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { refused = err }, OnComplete: func(any, error) {}}, cmd)
	}, 0)
	env.ExecuteWorkflow(Doctor, migration.DoctorInput{Spec: spec, Awaits: name})
	require.True(t, env.IsWorkflowCompleted())
	if refused != nil {
		require.ErrorContains(t, env.GetWorkflowError(), "nobody gave the command")
		return r, refused
	}
	require.NoError(t, env.GetWorkflowError())
	require.NoError(t, env.GetWorkflowResult(&r))
	return r, nil
}

func TestDoctorRefusesACommandThatNamesNobodyOrNoReason(t *testing.T) {
	for says, cmd := range map[string]migration.Command{
		"say who asks":                  {Reason: "x", Customers: []string{"acme"}},
		"say why":                       {By: "ann", Customers: []string{"acme"}},
		"name the customers":            {By: "ann", Reason: "x"},
		`the plan has no customer "x"`:  {By: "ann", Reason: "x", Customers: []string{"acme", "x"}},
		"customer page has no database": {By: "ann", Reason: "x", Customers: []string{"page"}},
		"the command came too late":     {By: "ann", Reason: "x", Customers: []string{"acme"}, Until: time.Unix(1, 0)},
	} {
		_, err := commanded(t, &ward{}, twoDatabases(), cmd, migration.UpdateAcceptLoss)
		require.ErrorContains(t, err, says)
	}
}

func TestCustomersGoOnWithoutASideByNameAndTheirRouteFollows(t *testing.T) {
	spec := twoDatabases()
	spec.Routes = []migration.Route{{Name: "public", ALB: &migration.ALB{Workloads: map[string]string{"web": "arn"}}}}
	for i := range spec.Customers {
		spec.Customers[i].Workloads = []string{"web"}
	}
	w := &ward{lost: map[string]migration.Side{"orders": migration.OnPrem}, homes: map[string]migration.Side{"billing": migration.AWS}}
	r, err := commanded(t, w, spec, migration.Command{By: "ann", Reason: "it burnt down", Customers: []string{"birch", "acme"}},
		migration.UpdateAcceptLoss)
	require.NoError(t, err)
	require.Equal(t, []string{"acme orders", "birch orders"}, w.opened, "billing has lost nothing")
	require.Len(t, w.owners, 1, "asked again they answer the same")
	require.Equal(t, []traffic.WantedRoute{{Customer: "acme", Side: migration.AWS, Token: 1001},
		{Customer: "birch", Side: migration.AWS, Token: 1001}}, w.routed)
	require.Contains(t, r.Mended[0], "customer acme, dataset orders: premises were given up by ann")
	require.Contains(t, r.Mended[0], "(it burnt down)")
}

// Route 53 takes minutes to have a change everywhere: who is found by a name has the time for it.
func TestANameHasTheTimeThatItTakesWhereASideWasGivenUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		route  migration.Route
		within time.Duration
	}{
		{"by name", migration.Route{Name: "public", DNS: &migration.DNS{Workloads: map[string]migration.Named{"web": {}}}},
			mendWithin + work.NameSpreads},
		{"by load balancer", migration.Route{Name: "public", ALB: &migration.ALB{Workloads: map[string]string{"web": "arn"}}}, mendWithin},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := twoDatabases()
			spec.Routes = []migration.Route{c.route}
			spec.Customers[1].Workloads = []string{"web"}
			w := &ward{lost: map[string]migration.Side{"orders": migration.OnPrem}}
			_, err := commanded(t, w, spec, migration.Command{By: "ann", Reason: "it burnt down", Customers: []string{"birch"}},
				migration.UpdateAcceptLoss)
			require.NoError(t, err)
			require.Len(t, w.routed, 1)
			require.Equal(t, c.within, w.within)
		})
	}
}

func TestACustomerWhoseDatabasesWouldPartGoesNowhere(t *testing.T) {
	for name, w := range map[string]*ward{
		"its databases would not go on at one side (premises: billing; AWS: orders)": {
			lost: map[string]migration.Side{"orders": migration.OnPrem}, homes: map[string]migration.Side{"billing": migration.OnPrem}},
		"its databases would not go on at one side (premises: orders; AWS: billing)": {
			lost: map[string]migration.Side{"orders": migration.AWS, "billing": migration.OnPrem}},
		"both sides of its databases answer": {homes: map[string]migration.Side{"orders": migration.OnPrem, "billing": migration.OnPrem}},
	} {
		r, err := commanded(t, w, twoDatabases(), migration.Command{By: "ann", Reason: "x", Customers: []string{"acme"}},
			migration.UpdateAcceptLoss)
		require.NoError(t, err)
		require.Empty(t, w.opened)
		require.Empty(t, r.Mended)
		require.Contains(t, r.Unseen[0], "customer acme does not go on without a side: ")
		require.Contains(t, r.Unseen[0], name)
	}
}

func TestAnAnswerNamesRowsThatAreCarriedOverAndThoseThatAreNot(t *testing.T) {
	w := &ward{carry: func(req postgres.CarryRequest) (postgres.CarryResult, error) {
		if req.Dataset.Name == "billing" {
			return postgres.CarryResult{}, temporal.NewNonRetryableApplicationError("it is not sound", postgres.ErrorNotSound, nil)
		}
		return postgres.CarryResult{
			Done: []postgres.Carried{{From: migration.OnPrem, Rows: 2, Words: "table orders: 2 rows: id=1, id=2"}},
		}, nil
	}}
	r, err := commanded(t, w, twoDatabases(), migration.Command{By: "ann", Reason: "CHG-7", Customers: []string{"acme"}},
		migration.UpdateCarryOver)
	require.NoError(t, err)
	require.Len(t, r.Mended, 1)
	require.Contains(t, r.Mended[0], "2 rows that were written on side onprem alone are at home now, for ann (CHG-7): table orders: 2 rows")
	require.Contains(t, r.Unseen[0], "customer acme, dataset billing: nothing more was carried over: it is not sound")
}
