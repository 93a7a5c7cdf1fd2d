package batch

import (
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/evidence"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// keepEvidence has what is known of the batch signed and kept, where the plan wants it: nothing
// more happens to anybody, and Temporal forgets. It is tried for as long as that may help, and what
// does not let it be kept is said: the batch ends all the same.
func (b *batch) keepEvidence(ctx workflow.Context) {
	if b.ended = true; !b.plan.Evidence {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	b.Show(ctx)
	c := work.Collection.In(ctx, "sign the evidence of the batch, and keep it")
	req := evidence.KeepRequest{Spec: b.in.Spec, Batch: b.in.Batch.Name, Run: workflow.GetInfo(ctx).FirstRunID}
	var r evidence.KeepResult
	if err := workflow.ExecuteActivity(c, work.Evidence.KeepEvidence, req).Get(c, &r); err != nil {
		why := work.Reason(err)
		b.Note(ctx, "its evidence was not kept", migration.Command{Reason: why})
		why = strings.TrimPrefix(b.Reason+"; its evidence was not kept: "+why, "; ")
		b.Set(ctx, b.Phase, migration.WaitNothing, why)
		return
	}
	b.Kept = r.At
	b.Note(ctx, "its evidence is kept", migration.Command{Reason: r.At})
	b.Show(ctx)
	b.tellMigration(ctx)
}
