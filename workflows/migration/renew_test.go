package migration

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/roll"
)

// library has the plan, by the name that the workflow calls.
type library struct{}

func (*library) LoadPlan(context.Context, migration.SpecRef) (state.Plan, error) {
	return state.Plan{}, nil
}

// patient is a Temporal for tests in which a step may take a minute: the machine may be busy with
// something else.
func patient(suite *testsuite.WorkflowTestSuite) *testsuite.TestWorkflowEnvironment {
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	return env
}

// renewed plays a Migration that has gone on as new while its batch is under way, and that needs a
// minute to read the plan. Its batch ends after ten, and then it is finalised. What it says after
// five is noted, and which signal it has sent to whom.
func renewed(t *testing.T, say func(*testsuite.TestWorkflowEnvironment)) (says migration.MigrationStatus, told []string) {
	t.Helper()
	env := patient(&testsuite.WorkflowTestSuite{})
	env.RegisterActivity(&library{})
	env.RegisterWorkflow(Migration)
	plan := state.Plan{Batches: []migration.Batch{{Name: "wave", Customers: []string{"acme"}}}}
	plan.Policy.StopAfter = 1
	env.OnActivity("LoadPlan", mock.Anything, mock.Anything).After(time.Minute).Return(plan, nil)
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Run(func(args mock.Arguments) {
		told = append(told, args.String(3)+" to "+args.String(1))
	}).Return(nil)
	st := newMigration(Input{}).State
	st.Spec.Plan, st.Names, st.Started, st.Resume, st.Phase = "shop", []string{"wave"}, 1, migration.MigrationReleasing,
		migration.MigrationReleasing
	under := migration.BatchStatus{Name: "wave", Phase: migration.BatchCuttingOver,
		Counts: migration.Counts{Customers: 1, Moving: 1, Away: 1}}
	st.Batches["wave"] = under
	env.RegisterDelayedCallback(func() { say(env) }, time.Second)
	env.RegisterDelayedCallback(func() {
		v, err := env.QueryWorkflow(migration.QueryStatus, migration.Page{})
		require.NoError(t, err)
		require.NoError(t, v.Get(&says))
	}, 5*time.Minute)
	env.RegisterDelayedCallback(func() {
		under.Phase = migration.BatchDone
		env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: env.Now().UnixNano(), N: 2},
			Status: under, Closed: true})
	}, 10*time.Minute)
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflow(migration.UpdateResume, "", &testsuite.TestUpdateCallback{ // it may be paused, or not
			OnReject: func(error) {}, OnAccept: func() {}, OnComplete: func(any, error) {},
		}, migration.Command{RequestID: "go on", By: "ann"})
	}, 11*time.Minute)
	env.RegisterDelayedCallback(func() { finalise(t, env, migration.Command{RequestID: "end", By: "ann"}) }, 12*time.Minute)
	env.ExecuteWorkflow(Migration, Input{State: &st})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	return says, told
}

// Nobody sees that a Migration has gone on as new: it is asked to take everything back in that
// minute, and does.
func TestACommandIsHeardBeforeARenewedMigrationHasReadItsPlan(t *testing.T) {
	_, told := renewed(t, func(env *testsuite.TestWorkflowEnvironment) {
		env.UpdateWorkflow(migration.UpdateRollback, "", &testsuite.TestUpdateCallback{
			OnReject: func(err error) { require.NoError(t, err) }, OnAccept: func() {},
			OnComplete: func(_ any, err error) { require.NoError(t, err) },
		}, migration.Command{By: "ann", Reason: "they call"})
	})
	require.Contains(t, told, mail.SignalBack+" to "+migration.BatchID("shop", "wave"))
}

func TestAnIncidentCountsThatIsReportedBeforeARenewedMigrationHasReadItsPlan(t *testing.T) {
	says, told := renewed(t, func(env *testsuite.TestWorkflowEnvironment) {
		s := migration.BatchStatus{Name: "wave", Phase: migration.BatchCuttingOver,
			Counts: migration.Counts{Customers: 1, Held: 1, Away: 1}}
		env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: 1, N: 1}, Status: s, Incidents: 1})
	})
	require.True(t, says.Paused)
	require.True(t, slices.ContainsFunc(says.Timeline, func(e migration.Event) bool { return e.What == "the migration pauses itself" }))
	require.Contains(t, told, mail.SignalWord+" to "+migration.BatchID("shop", "wave"))
}

// Whoever was terminated with the batch that calls its roll is open nowhere until the batch is
// started again.
func TestABatchOfWhichSomebodyMovesIsCalledEveryFewSeconds(t *testing.T) {
	_, told := renewed(t, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() {
			env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: env.Now().UnixNano(), N: 1},
				Status: migration.BatchStatus{Name: "wave", Phase: migration.BatchCuttingOver,
					Counts: migration.Counts{Customers: 1, Moving: 1, Away: 1}}})
		}, 2*time.Minute)
	})
	require.NotContains(t, told, mail.SignalPause+" to "+migration.BatchID("shop", "wave"), "nobody pauses: no history may say so")
	told = slices.DeleteFunc(told, func(s string) bool { return s != mail.SignalWord+" to "+migration.BatchID("shop", "wave") })
	require.InDelta(t, float64(roll.Lately/roll.Moving+9*time.Minute/roll.Often), len(told), 5)
}

// The State may have been written by a version that did not know of all that is kept today.
func TestAMigrationGoesOnFromAStateWithoutWhatCameLater(t *testing.T) {
	m := newMigration(Input{State: &State{}})
	m.Ends["wave"] = &migration.Finalised{By: "ann"}
	m.Stopped["orders"], m.Closed["wave"], m.Incidents["wave"] = true, true, 1
	m.Batches["wave"], m.Pieces["web"], m.Orders["wave"] = migration.BatchStatus{}, migration.PieceStatus{}, mail.Order{}
}
