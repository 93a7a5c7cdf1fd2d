package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// triggerFires looks for triggers that fire for replicated rows too: what they do, both sides would
// do.
func triggerFires(ctx context.Context, s *survey, t postgres.Table) error {
	for _, at := range s.Both() {
		list, err := names(ctx, at.Pool, `SELECT DISTINCT g.tgname::text FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid JOIN
			pg_namespace n ON n.oid = f.pronamespace
			WHERE (g.tgrelid = to_regclass($1) OR g.tgrelid IN (SELECT relid
			FROM pg_partition_tree(to_regclass($1)))) AND NOT g.tgisinternal AND n.nspname <> 'drover'
			AND g.tgenabled IN ('A', 'R') ORDER BY 1`, t.Ident())
		if err != nil {
			return fmt.Errorf("read its triggers: %w", err)
		}
		if len(list) > 0 {
			s.block("table "+t.String()+" "+at.Where(), "its triggers "+strings.Join(list, ", ")+" are ENABLE ALWAYS or ENABLE REPLICA: "+
				"they fire for rows that replication brings, and what they write comes twice",
				"ALTER TABLE "+t.Ident()+" ENABLE TRIGGER ..., or let the table that they write be excluded")
		}
	}
	return nil
}
