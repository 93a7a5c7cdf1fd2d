// Package measure records metrics (migration.Metrics) from activities.
package measure

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/migration"
)

// In is where the activity of ctx records what has these labels. Outside an activity nothing is
// recorded.
func In(ctx context.Context, labels map[string]string) client.MetricsHandler {
	if !activity.IsActivity(ctx) {
		return client.MetricsNopHandler
	}
	return activity.GetMetricsHandler(ctx).WithTags(labels)
}

// Carried counts the bytes that a mover brings to a side.
func Carried(ctx context.Context, plan, mover string, to migration.Side) func(bytes int64) {
	return In(ctx, map[string]string{"plan": plan, "mover": mover, "to": string(to)}).Counter(migration.MetricReplicated).Inc
}
