package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// longTransactions looks for what is under way and would hold up an index build, a slot or a fence.
func longTransactions(ctx context.Context, s *survey, at *postgres.Server) error {
	var long int
	err := at.Pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
		AND backend_type = 'client backend' AND xact_start < now() - interval '5 minutes'`).Scan(&long)
	if err != nil {
		return fmt.Errorf("read sessions: %w", err)
	}
	if long > 0 {
		s.warn(s.database(at), fmt.Sprintf("%d transactions are older than five minutes: index builds and slots wait for them, and "+
			"fences for those that write", long), "see pg_stat_activity")
	}
	return nil
}
