package workflows

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
)

// What a workflow knows when nothing has happened yet is what it knows after it has gone on as new.
func TestAStateComesBackAsItWasCarriedOver(t *testing.T) {
	conv := converter.GetDefaultDataConverter()
	there := func(from, to any) {
		t.Helper()
		p, err := conv.ToPayload(from)
		require.NoError(t, err)
		require.NoError(t, conv.FromPayload(p, to))
	}
	m := newMigration(MigrationInput{}).migrationState
	var m2 migrationState
	there(m, &m2)
	require.Equal(t, m, m2)
	b := newBatch(BatchInput{Batch: migration.Batch{Name: "wave", Customers: []string{"c1"}}}).batchState
	var b2 batchState
	there(b, &b2)
	require.Equal(t, b, b2)
	c := newCustomer(CustomerInput{}).customerState
	var c2 customerState
	there(c, &c2)
	require.Equal(t, c, c2)
	r := newReplication(ReplicationInput{}).replicationState
	var r2 replicationState
	there(r, &r2)
	require.Equal(t, r, r2)
}

// renewing waits for a second, goes on as new where it must, and ends when it has heard.
func renewing(ctx workflow.Context) error {
	heard := false
	listen(ctx, signalBack, "", func(workflow.Context, wish) { heard = true })
	awaitFor(ctx, 1e9, "a second", func() bool { return false })
	for !heard {
		if renewable(ctx, signalBack) {
			return workflow.NewContinueAsNewError(ctx, renewing)
		}
		_ = workflow.Await(ctx, func() bool { return heard })
	}
	return nil
}

// A signal that comes in the task in which a workflow finds its history too long is heard: the next run would not get it.
func TestASignalIsNotLostToContinueAsNew(t *testing.T) {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflow(renewing)
	queue := &taskqueuepb.TaskQueue{Name: "drover"}
	h := &historypb.History{}
	add := func(kind enums.EventType, e *historypb.HistoryEvent) {
		e.EventId, e.EventType = int64(len(h.Events)+1), kind
		h.Events = append(h.Events, e)
	}
	task := func(suggested bool) {
		n := int64(len(h.Events) + 1)
		add(enums.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowTaskScheduledEventAttributes{WorkflowTaskScheduledEventAttributes: &historypb.WorkflowTaskScheduledEventAttributes{TaskQueue: queue}}})
		add(enums.EVENT_TYPE_WORKFLOW_TASK_STARTED, &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowTaskStartedEventAttributes{WorkflowTaskStartedEventAttributes: &historypb.WorkflowTaskStartedEventAttributes{ScheduledEventId: n, SuggestContinueAsNew: suggested}}})
		add(enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowTaskCompletedEventAttributes{WorkflowTaskCompletedEventAttributes: &historypb.WorkflowTaskCompletedEventAttributes{ScheduledEventId: n, StartedEventId: n + 1}}})
	}
	said, err := converter.GetDefaultDataConverter().ToPayloads(wish{By: "drover"})
	require.NoError(t, err)
	add(enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{WorkflowType: &commonpb.WorkflowType{Name: "renewing"}, TaskQueue: queue}}})
	task(false)
	add(enums.EVENT_TYPE_TIMER_STARTED, &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_TimerStartedEventAttributes{TimerStartedEventAttributes: &historypb.TimerStartedEventAttributes{TimerId: "5", WorkflowTaskCompletedEventId: 4}}})
	add(enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{SignalName: signalBack, Input: said}}})
	add(enums.EVENT_TYPE_TIMER_FIRED, &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_TimerFiredEventAttributes{TimerFiredEventAttributes: &historypb.TimerFiredEventAttributes{TimerId: "5", StartedEventId: 5}}})
	task(true)
	add(enums.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionCompletedEventAttributes{WorkflowExecutionCompletedEventAttributes: &historypb.WorkflowExecutionCompletedEventAttributes{WorkflowTaskCompletedEventId: 10}}})
	require.NoError(t, r.ReplayWorkflowHistory(nil, h))
}

// renewed plays a Migration that has gone on as new while its batch is under way, and that needs a minute to read the plan. It ends when the
// batch does, after ten. What it says after five is noted, and which signal it has sent to whom.
func renewed(t *testing.T, say func(*testsuite.TestWorkflowEnvironment)) (says migration.MigrationStatus, told []string) {
	t.Helper()
	env := newEnvironment()
	env.RegisterActivity(&systems{})
	env.RegisterWorkflow(Migration)
	plan := state.Plan{Batches: []migration.Batch{{Name: "wave", Customers: []string{"acme"}}}}
	plan.Policy.StopAfter = 1
	env.OnActivity("LoadPlan", mock.Anything, mock.Anything).After(time.Minute).Return(plan, nil)
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Run(func(args mock.Arguments) {
		told = append(told, args.String(3)+" to "+args.String(1))
	}).Return(nil)
	st := newMigration(MigrationInput{}).migrationState
	st.Spec.Plan, st.Names, st.Started, st.Resume, st.Standing.Phase = "shop", []string{"wave"}, 1, migration.PhaseReleasing, migration.PhaseReleasing
	under := migration.BatchStatus{Name: "wave", Phase: migration.PhaseCuttingOver, Counts: migration.Counts{Customers: 1, Moving: 1, Away: 1}}
	st.Batches["wave"] = under
	env.RegisterDelayedCallback(func() { say(env) }, time.Second)
	env.RegisterDelayedCallback(func() {
		v, err := env.QueryWorkflow(migration.QueryStatus, migration.Page{})
		require.NoError(t, err)
		require.NoError(t, v.Get(&says))
	}, 5*time.Minute)
	env.RegisterDelayedCallback(func() {
		under.Phase = migration.PhaseDone
		env.SignalWorkflow(signalBatch, batchReport{Order: order{At: 2, N: 2}, Status: under, Closed: true})
	}, 10*time.Minute)
	env.ExecuteWorkflow(Migration, MigrationInput{State: &st})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	return says, told
}

// Nobody sees that a Migration has gone on as new: it is asked to take everything back in that minute, and does.
func TestACommandIsHeardBeforeARenewedMigrationHasReadItsPlan(t *testing.T) {
	_, told := renewed(t, func(env *testsuite.TestWorkflowEnvironment) {
		env.UpdateWorkflow(migration.UpdateRollback, "", &testsuite.TestUpdateCallback{
			OnReject: func(err error) { require.NoError(t, err) }, OnAccept: func() {}, OnComplete: func(_ any, err error) { require.NoError(t, err) },
		}, migration.Command{By: "ann", Reason: "they call"})
	})
	require.Contains(t, told, signalBack+" to "+migration.BatchID("shop", "wave"))
}

func TestAnIncidentCountsThatIsReportedBeforeARenewedMigrationHasReadItsPlan(t *testing.T) {
	says, told := renewed(t, func(env *testsuite.TestWorkflowEnvironment) {
		s := migration.BatchStatus{Name: "wave", Phase: migration.PhaseCuttingOver, Counts: migration.Counts{Customers: 1, Held: 1, Away: 1}}
		env.SignalWorkflow(signalBatch, batchReport{Order: order{At: 1, N: 1}, Status: s, Incidents: 1})
	})
	require.True(t, says.Paused)
	require.True(t, slices.ContainsFunc(says.Timeline, func(e migration.Event) bool { return e.What == "the migration pauses itself" }))
	require.Contains(t, told, signalPause+" to "+migration.BatchID("shop", "wave"))
}
