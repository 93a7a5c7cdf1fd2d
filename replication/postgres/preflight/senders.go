package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// senders wants a WAL sender for each slot.
func senders(ctx context.Context, s *survey, at *postgres.Server) error {
	var free int
	err := at.Pool.QueryRow(ctx,
		`SELECT current_setting('max_wal_senders')::int - count(*)::int FROM pg_stat_replication WHERE application_name IS DISTINCT FROM $1`,
		s.Names.Outgoing(at.Side)).Scan(&free)
	if err != nil {
		return fmt.Errorf("read WAL senders: %w", err)
	}
	need, err := connections(ctx, at)
	if err == nil && free < need {
		s.block(s.database(at), fmt.Sprintf("%d WAL senders are free, %d are needed", max(free, 0), need),
			"raise max_wal_senders: "+setting(at))
	}
	return err
}
