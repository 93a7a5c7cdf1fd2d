package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// walLevel wants changes to be decodable.
func walLevel(ctx context.Context, s *survey, at *postgres.Server) error {
	var level string
	if err := at.Pool.QueryRow(ctx, `SELECT current_setting('wal_level')`).Scan(&level); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if level == "logical" {
		return nil
	}
	remedy := "set wal_level = logical and restart the server"
	if at.Side == migration.AWS {
		remedy = "set rds.logical_replication = 1 in the DB parameter group and reboot the instance"
	}
	s.block(s.database(at), "wal_level is "+level+"; logical replication needs logical", remedy)
	return nil
}
