package customer

import (
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// count counts the tries of Moves by their direction and how they ended.
func count(ctx workflow.Context, to migration.Side, outcome migration.MoveOutcome) {
	of := map[string]string{"to": string(to), "outcome": string(outcome)}
	workflow.GetMetricsHandler(ctx).WithTags(of).Counter(migration.MetricMoves).Inc(1)
}

// measured records the freeze of a Move that arrived, what was predicted of it before the fence,
// and how long the customer's requests may have waited for their route to follow.
func measured(ctx workflow.Context, result migration.MoveResult) {
	m := workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"to": string(result.To)})
	m.Timer(migration.MetricFreeze).Record(result.Freeze.D())
	m.Timer(migration.MetricFreezePredicted).Record(result.Predicted.D())
	if !result.Fenced.IsZero() && !result.Routed.IsZero() {
		m.Timer(migration.MetricStall).Record(result.Stall())
	}
}

// counted counts the verdict over a bake.
func counted(ctx workflow.Context, v migration.Verdict) {
	workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"during": migration.DuringBake, "outcome": string(v.Outcome)}).
		Counter(migration.MetricVerdicts).Inc(1)
}
