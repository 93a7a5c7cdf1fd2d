package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// workers wants one that applies changes and those that copy tables.
func workers(ctx context.Context, s *survey, at *postgres.Server) error {
	var processes, free int
	err := at.Pool.QueryRow(ctx, `SELECT current_setting('max_worker_processes')::int,
		current_setting('max_logical_replication_workers')::int
		- (SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL AND subname <> $1)::int`, s.Names.Outgoing(at.Side.Other())).Scan(&processes, &free)
	if err != nil {
		return fmt.Errorf("read replication workers: %w", err)
	}
	tables, err := tableWorkers(ctx, at)
	if err == nil && (free < 1+tables || processes <= tables) {
		s.block(s.database(at), fmt.Sprintf("%d logical replication workers are free of %d worker processes, %d are needed", max(free, 0),
			processes, 1+tables),
			"raise max_logical_replication_workers and max_worker_processes: "+setting(at))
	}
	return err
}
