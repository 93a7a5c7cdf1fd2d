package workflows

import (
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

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
