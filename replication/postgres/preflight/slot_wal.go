package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// slotWAL wants a slot to keep the WAL that its subscriber has not read, however much it is and
// however long that takes.
func slotWAL(ctx context.Context, s *survey, at *postgres.Server) error {
	var keep, idle string
	if err := at.Pool.QueryRow(ctx, `SELECT current_setting('max_slot_wal_keep_size'),
		coalesce(current_setting('idle_replication_slot_timeout', true), '0')`).Scan(&keep, &idle); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if keep != "-1" {
		s.warn(s.database(at), "max_slot_wal_keep_size is "+keep+": a slot that falls behind by more is lost, and with it this direction",
			"raise it, or set -1 and watch the disk")
	}
	if idle != "0" {
		s.warn(s.database(at), "idle_replication_slot_timeout is "+idle+": a slot whose subscriber is away for longer is lost, and with "+
			"it this direction", "set it to 0 and watch the disk")
	}
	return nil
}
