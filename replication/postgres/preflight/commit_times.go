package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// commitTimes wants each server to know when a row was written, and where it came from: after a
// failover or a restore that alone tells what one side only has.
func commitTimes(ctx context.Context, s *survey, at *postgres.Server) error {
	var on bool
	if err := at.Pool.QueryRow(ctx, `SELECT current_setting('track_commit_timestamp')::bool`).Scan(&on); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if on {
		return nil
	}
	remedy := "set track_commit_timestamp = on and restart the server"
	if at.Side == migration.AWS {
		remedy = "set track_commit_timestamp = 1 in the DB parameter group and reboot the instance"
	}
	s.warn(s.database(at), "track_commit_timestamp is off: should this server be failed over or restored, nothing tells which rows were "+
		"written there only, and drover doctor carries none of them over", remedy)
	return nil
}
