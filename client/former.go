package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/drover-migration/drover/migration"
)

// formerPatience is how long a worker has to say where the migration before stood.
const formerPatience = 4 * time.Second

// former is what holds on from the migration that was submitted before under a plan's name; nil:
// there is none, it runs, or it came to its own end. A worker says it, from the history. While none
// answers the plan is refused: a batch that people were taking back would send its customers out
// again. Where a worker answers, and cannot read that history, the plan starts paused.
func (c *Client) former(ctx context.Context, doing, plan string, last *workflowpb.WorkflowExecutionInfo) (*migration.Former, error) {
	switch last.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return nil, nil
	default:
	}
	first, err := c.unbegun(ctx, doing, last)
	if err != nil {
		return nil, err
	}
	if first != nil {
		return first.Former, nil
	}
	ask, cancel := context.WithTimeout(ctx, formerPatience)
	defer cancel()
	s, err := c.Migration(ask, plan)
	ended := executionOf(last.GetStatus())
	switch {
	case errors.Is(err, ErrUnreachable):
		return nil, &Problem{Kind: ErrUnreachable, Doing: doing, Err: err,
			Why: fmt.Sprintf("its migration ended (%s), and no worker answered in time to say what people wanted of it: a pause, batches "+
				"on their way home, batches that are finalised", ended),
			Next: "start `drover worker`, see that `drover status " + plan + "` answers, then submit again; until then nobody is moved"}
	case err != nil:
		return &migration.Former{Paused: fmt.Sprintf("what people wanted of the migration before, which ended (%s), cannot be read: %v. "+
			"Roll back the batches that they were taking back, then resume", ended, err)}, nil
	}
	return formerOf(s, ended), nil
}

func formerOf(s migration.MigrationStatus, ended string) *migration.Former {
	f := &migration.Former{Back: map[string]string{}, Ends: map[string]*migration.Finalised{}}
	if s.Paused {
		if f.Paused = s.Reason; f.Paused == "" {
			f.Paused = "it was paused when its migration ended (" + ended + ")"
		}
	}
	for _, b := range s.Batches {
		if b.Phase == migration.BatchTakingBack || b.Phase == migration.BatchTakenBack {
			f.Back[b.Name] = b.Reason
		}
		if b.Finalised != nil {
			f.Ends[b.Name] = b.Finalised
		}
	}
	if f.Paused == "" && len(f.Back)+len(f.Ends) == 0 {
		return nil
	}
	return f
}

// unbegun is what a run was started with that ended before any worker had begun it: nobody can have
// wanted anything else of it, and no worker can say more. nil: a worker had, or it went on from
// another run.
func (c *Client) unbegun(ctx context.Context, doing string, run *workflowpb.WorkflowExecutionInfo) (*migration.MigrationInput, error) {
	of := run.GetExecution()
	events := c.temporal.GetWorkflowHistory(ctx, of.GetWorkflowId(), of.GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var in migration.MigrationInput
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, problem(doing, err)
		}
		if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			return nil, nil
		}
		started := e.GetWorkflowExecutionStartedEventAttributes()
		switch {
		case started == nil:
		case started.GetContinuedExecutionRunId() != "":
			return nil, nil
		default:
			if err := c.payloads.FromPayloads(started.GetInput(), &in); err != nil {
				return nil, &Problem{Doing: doing, Why: fmt.Sprintf("what was submitted before cannot be read: %v", err), Err: err}
			}
		}
	}
	return &in, nil
}
