package temporal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// resetPatience is how long Reset waits for a task that it can go back to.
const resetPatience = 10 * time.Second

// errNoTask says that a run has no completed task yet.
var errNoTask = errors.New("no completed task to go back to")

// Reset starts a workflow over from the first completed task of its newest run, as Temporal's UI
// offers it. A run that has just begun has none, such as one that goes on as new: that is waited
// for.
func Reset(ctx context.Context, c client.Client, namespace, id, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, resetPatience)
	defer cancel()
	for {
		err := resetNow(ctx, c, namespace, id, reason)
		if !errors.Is(err, errNoTask) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("reset %s: %w", id, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func resetNow(ctx context.Context, c client.Client, namespace, id, reason string) error {
	d, err := c.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return err
	}
	run := &commonpb.WorkflowExecution{WorkflowId: id, RunId: d.GetWorkflowExecutionInfo().GetExecution().GetRunId()}
	for it := c.GetWorkflowHistory(ctx, id, run.GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		if err != nil {
			return err
		}
		if e.GetEventType() != enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			continue
		}
		_, err = c.ResetWorkflowExecution(ctx, &workflowservice.ResetWorkflowExecutionRequest{Namespace: namespace,
			WorkflowExecution: run, Reason: reason, RequestId: uuid.NewString(), WorkflowTaskFinishEventId: e.GetEventId()})
		return err
	}
	return errNoTask
}
