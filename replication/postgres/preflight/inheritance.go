package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// inheritance looks for tables that inherit from others without being partitions: a publication of
// one takes the other along.
func inheritance(ctx context.Context, s *survey, t postgres.Table) error {
	kin, err := names(ctx, s.OnPrem.Pool, `SELECT CASE WHEN h.inhparent = $1 THEN h.inhrelid ELSE h.inhparent END::regclass::text FROM
		pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
		WHERE (h.inhparent = $1 OR h.inhrelid = $1) AND NOT c.relispartition ORDER BY 1`, t.OID)
	if err != nil {
		return fmt.Errorf("read what inherits from it: %w", err)
	}
	if len(kin) > 0 {
		s.block("table "+t.String(), "it is tied to "+strings.Join(kin, ", ")+" by inheritance (INHERITS), which row filters do not know",
			"make them partitions of a partitioned table, or ALTER TABLE ... NO INHERIT")
	}
	return nil
}
