package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// slots wants one slot for the way out, and while the first copy runs one for each table worker.
func slots(ctx context.Context, s *survey, at *postgres.Server) error {
	var free int
	err := at.Pool.QueryRow(ctx,
		`SELECT current_setting('max_replication_slots')::int - count(*)::int FROM pg_replication_slots WHERE slot_name <> $1`,
		s.Names.Outgoing(at.Side)).Scan(&free)
	if err != nil {
		return fmt.Errorf("read replication slots: %w", err)
	}
	need, err := connections(ctx, at)
	if err == nil && free < need {
		s.block(s.database(at), fmt.Sprintf("%d replication slots are free, %d are needed", max(free, 0), need),
			"raise max_replication_slots: "+setting(at))
	}
	return err
}

// connections are those by which the other side reads this one at once.
func connections(ctx context.Context, at *postgres.Server) (int, error) {
	if at.Side == migration.AWS {
		return 1, nil
	}
	tables, err := tableWorkers(ctx, at)
	return 1 + tables, err
}

// tableWorkers copy tables at the same time for one subscription.
func tableWorkers(ctx context.Context, at *postgres.Server) (n int, err error) {
	if err := at.Pool.QueryRow(ctx, `SELECT current_setting('max_sync_workers_per_subscription')::int`).Scan(&n); err != nil {
		return 0, fmt.Errorf("read settings: %w", err)
	}
	return n, nil
}
