package preflight

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// triggerName looks for triggers called as Drover's are, and after them.
func triggerName(ctx context.Context, s *survey, t postgres.Table) error {
	rows, err := s.OnPrem.Pool.Query(ctx, `SELECT g.tgname::text FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
		JOIN pg_namespace n ON n.oid = f.pronamespace
		WHERE g.tgrelid = $1 AND NOT g.tgisinternal AND n.nspname <> 'drover' AND g.tgname >= 'zzzz_drover'
		AND (g.tgtype & 2) = 2 ORDER BY 1`, t.OID)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if len(list) > 0 {
		s.block("table "+t.String(), "its triggers "+strings.Join(list, ", ")+" sort after Drover's guard, which must see a row last",
			"rename them")
	}
	return nil
}
