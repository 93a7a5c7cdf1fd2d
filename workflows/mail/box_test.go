package mail_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

// renewing waits for a second, goes on as new where it must, and ends when it has heard.
func renewing(ctx workflow.Context) error {
	heard := false
	mail.Listen(ctx, mail.SignalBack, "", func(workflow.Context, mail.Wish) { heard = true })
	work.AwaitFor(ctx, time.Second, "a second", func() bool { return false })
	for !heard {
		if mail.Renewable(ctx, mail.SignalBack) {
			return workflow.NewContinueAsNewError(ctx, renewing)
		}
		_ = workflow.Await(ctx, func() bool { return heard })
	}
	return nil
}

// A signal that comes in the task in which a workflow finds its history too long is heard: the next
// run would not get it.
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
		add(enums.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
			&historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowTaskScheduledEventAttributes{
				WorkflowTaskScheduledEventAttributes: &historypb.WorkflowTaskScheduledEventAttributes{TaskQueue: queue}}})
		add(enums.EVENT_TYPE_WORKFLOW_TASK_STARTED,
			&historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowTaskStartedEventAttributes{
				WorkflowTaskStartedEventAttributes: &historypb.WorkflowTaskStartedEventAttributes{ScheduledEventId: n,
					SuggestContinueAsNew: suggested}}})
		add(enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
			&historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowTaskCompletedEventAttributes{
				WorkflowTaskCompletedEventAttributes: &historypb.WorkflowTaskCompletedEventAttributes{ScheduledEventId: n,
					StartedEventId: n + 1}}})
	}
	said, err := converter.GetDefaultDataConverter().ToPayloads(mail.Wish{By: mail.ByDrover})
	require.NoError(t, err)
	add(enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
		&historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
			WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{
				WorkflowType: &commonpb.WorkflowType{Name: "renewing"}, TaskQueue: queue}}})
	task(false)
	add(enums.EVENT_TYPE_TIMER_STARTED,
		&historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_TimerStartedEventAttributes{
			TimerStartedEventAttributes: &historypb.TimerStartedEventAttributes{TimerId: "5", WorkflowTaskCompletedEventId: 4}}})
	add(enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
		&historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{
			WorkflowExecutionSignaledEventAttributes: &historypb.WorkflowExecutionSignaledEventAttributes{SignalName: mail.SignalBack,
				Input: said}}})
	add(enums.EVENT_TYPE_TIMER_FIRED,
		&historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_TimerFiredEventAttributes{
			TimerFiredEventAttributes: &historypb.TimerFiredEventAttributes{TimerId: "5", StartedEventId: 5}}})
	task(true)
	add(enums.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
		&historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionCompletedEventAttributes{
			WorkflowExecutionCompletedEventAttributes: &historypb.WorkflowExecutionCompletedEventAttributes{
				WorkflowTaskCompletedEventId: 10}}})
	require.NoError(t, r.ReplayWorkflowHistory(nil, h))
}
