package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// retryInterval wants a replication worker that was restarted not to wait for long.
func retryInterval(ctx context.Context, s *survey, at *postgres.Server) error {
	var ms int
	if err := at.Pool.QueryRow(ctx,
		`SELECT setting::int FROM pg_settings WHERE name = 'wal_retrieve_retry_interval'`).Scan(&ms); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if ms > 1000 {
		s.warn(s.database(at), fmt.Sprintf("wal_retrieve_retry_interval is %d ms: a replication worker that was restarted waits as long",
			ms), "set it to 100ms: "+setting(at))
	}
	return nil
}
