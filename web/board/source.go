package board

import (
	"context"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

// Source is what a board reads; client.Client is one. Every call is a question to Temporal.
type Source interface {
	List(ctx context.Context) ([]client.PlanSummary, error)
	Execution(ctx context.Context, at client.Aim) (string, error)
	Spec(ctx context.Context, plan string) (*migration.Spec, error)
	Migration(ctx context.Context, plan string) (migration.MigrationStatus, error)
	Work(ctx context.Context, s migration.MigrationStatus) (client.Work, error)
	Batch(ctx context.Context, plan, batch string) (migration.BatchStatus, error)
	Customer(ctx context.Context, plan, id string) (migration.CustomerStatus, error)
	Messages(ctx context.Context, plan, customer string) (migration.MessagesStatus, error)
}
