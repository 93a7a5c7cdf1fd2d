package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// unlogged looks for tables and partitions whose changes are not in the WAL: unlogged ones, and
// those of other servers.
func unlogged(ctx context.Context, s *survey, t postgres.Table) error {
	parts, err := names(ctx, s.OnPrem.Pool, `SELECT c.oid::regclass::text FROM pg_class c WHERE (c.oid = $1
		OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))
		AND (c.relpersistence = 'u' AND c.relkind = 'r' OR c.relkind = 'f') ORDER BY 1`, t.OID)
	if err != nil {
		return fmt.Errorf("read its partitions: %w", err)
	}
	if len(parts) > 0 {
		s.block("table "+t.String(), "changes of "+strings.Join(parts, ", ")+" are not in the WAL and cannot be replicated: unlogged, "+
			"or of another server",
			"ALTER TABLE ... SET LOGGED, take the foreign partition out, or exclude the table")
	}
	return nil
}

// names collects what a question answers in one text column.
func names(ctx context.Context, q postgres.Querier, question string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, question, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
