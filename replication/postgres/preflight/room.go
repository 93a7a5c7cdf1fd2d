package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// room wants a connection for every customer that may be on its way at a time, and for the freeze.
// What Drover holds now counts as free.
func room(ctx context.Context, s *survey, at *postgres.Server) error {
	var free int
	err := at.Pool.QueryRow(ctx, `SELECT least(
			current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
				- coalesce(current_setting('reserved_connections', true)::int, 0) - count(*),
			CASE WHEN NOT r.rolsuper AND r.rolconnlimit >= 0 THEN r.rolconnlimit - count(*) FILTER (WHERE a.usesysid = r.oid) END,
			CASE WHEN NOT r.rolsuper AND d.datconnlimit >= 0 THEN d.datconnlimit - count(*) FILTER (WHERE a.datid = d.oid) END)::int
		FROM pg_roles r JOIN pg_database d ON d.datname = current_database()
		LEFT JOIN pg_stat_activity a ON a.backend_type = 'client backend' AND a.application_name <> 'drover'
		WHERE r.rolname = current_user
		GROUP BY r.rolsuper, r.rolconnlimit, d.datconnlimit`).Scan(&free)
	if err != nil {
		return fmt.Errorf("read the limits of connections: %w", err)
	}
	moving := s.moves.Going + s.moves.Back
	need, least := postgres.Connections(moving), postgres.Connections(1)
	remedy := "raise max_connections, or the limit of the role or the database: " + setting(at)
	switch {
	case free < least:
		s.block(s.database(at), fmt.Sprintf("%d connections are free, and one Move needs %d", max(free, 0), least), remedy)
	case free < need:
		s.warn(s.database(at), fmt.Sprintf("%d connections are free, and a worker takes %d while %d customers go and %d come back at a "+
			"time: a Move that waits for one is late, or given up", free, need, s.moves.Going, s.moves.Back),
			remedy+"; or lower the batches' concurrency and policy.backConcurrency")
	}
	return nil
}
