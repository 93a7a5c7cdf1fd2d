package client

import (
	"context"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/drover-migration/drover/migration"
)

// formerPatience is how long a worker has to say where the migration before stood.
const formerPatience = 4 * time.Second

// former is what holds on from the migration that was submitted before under a plan's name; nil:
// there is none, it runs, or it came to its own end. A worker says it, from the history. Where none
// answers, the list of workflows still says whether the migration was paused.
func (c *Client) former(ctx context.Context, plan string, last *workflowpb.WorkflowExecutionInfo) *migration.Former {
	switch last.GetStatus() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return nil
	default:
	}
	ask, cancel := context.WithTimeout(ctx, formerPatience)
	defer cancel()
	s, err := c.Migration(ask, plan)
	if err != nil {
		s = migration.MigrationStatus{Paused: waitsFor(last) == migration.WaitResume}
	}
	f := &migration.Former{Back: map[string]string{}, Ends: map[string]*migration.Finalised{}}
	if s.Paused {
		if f.Paused = s.Reason; f.Paused == "" {
			f.Paused = "it was paused when its migration ended (" + last.GetStatus().String() + ")"
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

// waitsFor is what a workflow waits for, as the list of workflows has it.
func waitsFor(w *workflowpb.WorkflowExecutionInfo) (waits migration.Waiting) {
	if p := w.GetSearchAttributes().GetIndexedFields()[migration.AttrWaitingFor]; p != nil {
		_ = converter.GetDefaultDataConverter().FromPayload(p, &waits) // one that cannot be read is none
	}
	return waits
}
