// Package roll looks after those that a workflow depends on and that outlive it: it starts them,
// and calls the roll again and again, since somebody may have terminated one by hand.
package roll

import (
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	// Often lies between two roll calls of those that somebody may wait for.
	Often = 30 * time.Second
	// Moving lies between two roll calls of those that move: a customer whose workflows were
	// terminated after the seal is open nowhere before they are started again.
	Moving = 5 * time.Second
	// Lately is how long somebody is called that often after its last report. What stands still for
	// longer waits for a database or a route, and not for the roll.
	Lately = 2 * time.Minute
)

// Roll is part of a workflow's state: continue-as-new carries it over.
type Roll struct {
	Waits time.Time `json:"waits,omitzero"` // since when, for the next roll call
}

// Keep calls the roll, again and again. every says how long to wait before the next time; while it
// says 0, nobody is called. A run that goes on as new waits for what is left of that. It never
// returns; start it with workflow.Go.
func (r *Roll) Keep(ctx workflow.Context, every func() time.Duration, call func(workflow.Context)) {
	for carried := !r.Waits.IsZero(); ; carried = false {
		if workflow.Await(ctx, func() bool { return every() > 0 }) != nil {
			return
		}
		if !carried {
			r.Waits = workflow.Now(ctx)
		}
		wait := every()
		sooner := func() bool { return every() < wait } // somebody has begun to move, or nobody is left
		work.AwaitFor(ctx, max(wait-workflow.Now(ctx).Sub(r.Waits), time.Millisecond), "until the next roll call", sooner)
		if ctx.Err() != nil {
			return
		}
		if !sooner() {
			call(ctx)
		}
	}
}

// Start starts a workflow that outlives this one, waits until it has started and says whether it
// did: otherwise one of this id runs already, which is as good.
func Start(ctx workflow.Context, plan, id, summary string, wf, in any, attrs ...temporal.SearchAttributeUpdate) bool {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, WorkflowTaskTimeout: workflow.GetChildWorkflowOptions(ctx).WorkflowTaskTimeout,
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON, WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary: summary, TypedSearchAttributes: temporal.NewSearchAttributes(append(attrs, status.AttrPlan.ValueSet(plan))...),
	})
	err := workflow.ExecuteChildWorkflow(ctx, wf, in).GetChildWorkflowExecution().Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Info("not started: it runs already", "id", id, "error", err)
	}
	return err == nil
}
