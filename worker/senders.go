package worker

import (
	"context"
	"strings"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// unheard begins the name under which a signal that no workflow of the same plan sent reaches a
// workflow: nobody listens to it.
const unheard = "not heard: "

// senders lets workflows hear only the workflows of their own plan. Signals are how workflows talk
// to each other; people use Updates, which can be refused and signed. Anybody who reaches Temporal
// can send a signal, but only Temporal itself writes into the history that a workflow sent it.
//
// The workflow code cannot see that. So the history is changed on its way to the worker: a signal
// of anybody else gets a name that nobody listens to. That depends on the history alone, so that a
// replay is the same. In Temporal, and for whoever reads it there, the history stays as it is.
//
// After a reset Temporal delivers once more what came after the point that was gone back to, and
// does not say any more who had sent it. Those signals are heard: they lie between the task that
// the reset ended and the next one, where nobody else's can come.
func senders() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if err := invoke(ctx, method, req, reply, cc, opts...); err != nil {
			return err
		}
		switch got := reply.(type) {
		case *workflowservice.PollWorkflowTaskQueueResponse:
			hush(got.GetWorkflowExecution().GetWorkflowId(), got.GetHistory().GetEvents())
		case *workflowservice.RespondWorkflowTaskCompletedResponse: // with the next task
			t := got.GetWorkflowTask()
			hush(t.GetWorkflowExecution().GetWorkflowId(), t.GetHistory().GetEvents())
		case *workflowservice.GetWorkflowExecutionHistoryResponse:
			if asked, ok := req.(*workflowservice.GetWorkflowExecutionHistoryRequest); ok {
				hush(asked.GetExecution().GetWorkflowId(), got.GetHistory().GetEvents())
			}
		}
		return nil
	})
}

// hush renames the signals of a workflow's history that none of its plan sent.
func hush(workflow string, events []*history.HistoryEvent) {
	mine := planOf(workflow)
	if mine == "" {
		return // none of Drover's
	}
	again := false // delivered once more by a reset
	for _, e := range events {
		switch e.GetEventType() {
		case enums.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			again = e.GetWorkflowTaskFailedEventAttributes().GetCause() == enums.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
		case enums.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
			again = false
		case enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
			s := e.GetWorkflowExecutionSignaledEventAttributes()
			sender := planOf(s.GetExternalWorkflowExecution().GetWorkflowId())
			if !again && sender != mine {
				s.SignalName = unheard + s.GetSignalName()
			}
		default: // no other says who sent what
		}
	}
}

// planOf is the plan that a workflow belongs to, by its id (migration.MigrationID and those beside
// it): KIND/PLAN or KIND/PLAN/MORE.
func planOf(workflow string) string {
	kind, rest, _ := strings.Cut(workflow, "/")
	if !talks[kind] {
		return ""
	}
	plan, _, _ := strings.Cut(rest, "/")
	return plan
}

// talks are the kinds of workflows that send signals to each other.
var talks = map[string]bool{"migration": true, "batch": true, "customer": true, "workload": true, "replication": true, "outbox": true}
