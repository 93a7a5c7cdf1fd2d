package customer

import (
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// count counts the tries of Moves by their direction and how they ended: a migration.MoveOutcome,
// or "repaired" for one that did not say. No metric names a customer: ten thousand of them would
// be ten thousand series of each.
func count(ctx workflow.Context, to migration.Side, outcome string) {
	workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"to": string(to), "outcome": outcome}).Counter("drover_moves").Inc(1)
}

// measured records the freeze of a Move that arrived, and what was predicted of it before the
// fence: drover_freeze_seconds and drover_freeze_predicted_seconds.
func measured(ctx workflow.Context, result migration.MoveResult) {
	m := workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"to": string(result.To)})
	m.Timer("drover_freeze").Record(result.Freeze.D())
	m.Timer("drover_freeze_predicted").Record(result.Predicted.D())
}
