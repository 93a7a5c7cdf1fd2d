// Package evidence answers with the signed evidence of a batch.
package evidence

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/evidence"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Evidence has a main worker sign what is known of a batch: the key never leaves it. Of a batch
// that has ended it answers what was kept. It is tried for as long as who asked waits.
func Evidence(ctx workflow.Context, in migration.EvidenceInput) (migration.EvidenceBundle, error) {
	if in.Spec == nil {
		return migration.EvidenceBundle{}, temporal.NewNonRetryableApplicationError("evidence: no plan was given", "BadRequest", nil)
	}
	req := evidence.MakeRequest{Batch: in.Batch}
	q := work.Question.In(ctx, "name the plan")
	if err := workflow.ExecuteActivity(q, work.State.SaveSpec, state.SaveSpecRequest{Spec: in.Spec}).Get(q, &req.Spec); err != nil {
		return migration.EvidenceBundle{}, err
	}
	c := work.Collection.In(ctx, "sign what is known of batch "+in.Batch)
	var out migration.EvidenceBundle
	err := workflow.ExecuteActivity(c, work.Evidence.MakeEvidence, req).Get(c, &out)
	return out, err
}
