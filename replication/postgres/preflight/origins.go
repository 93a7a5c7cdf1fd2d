package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// origins wants room for what a subscriber keeps of each source: one for the way in, and while the
// first copy runs one for each table worker. Without it a worker fails over and over.
func origins(ctx context.Context, s *survey, at *postgres.Server) error {
	limit, need := "max_active_replication_origins", 1
	if s.versions[at.Side] < 180000 {
		limit = "max_replication_slots"
	}
	if at.Side == migration.AWS {
		tables, err := tableWorkers(ctx, at)
		if err != nil {
			return err
		}
		need += tables
	}
	// A subscription's are called pg_OID, those of its table workers pg_OID_TABLE.
	var free int
	err := at.Pool.QueryRow(ctx, `SELECT current_setting($1)::int - (SELECT count(*) FROM pg_replication_origin o
		  WHERE NOT EXISTS (SELECT FROM pg_subscription u WHERE u.subname = $2 AND split_part(o.roname, '_', 2) = u.oid::text))::int`,
		limit, s.Names.Outgoing(at.Side.Other())).Scan(&free)
	if err != nil {
		return fmt.Errorf("read replication origins: %w", err)
	}
	if free < need {
		s.block(s.database(at), fmt.Sprintf("%d replication origins are free, %d are needed to subscribe", max(free, 0), need),
			"raise "+limit+": "+setting(at))
	}
	return nil
}
