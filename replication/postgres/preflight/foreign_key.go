package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// foreignKey are not checked where changes are applied: what they point to has to come along.
func foreignKey(ctx context.Context, s *survey, t postgres.Table) error {
	rows, err := s.OnPrem.Pool.Query(ctx,
		`SELECT k.conname::text, k.confrelid::oid FROM pg_constraint k
			WHERE k.conrelid = $1 AND k.contype = 'f' AND k.confrelid <> k.conrelid`, t.OID)
	if err != nil {
		return err
	}
	type key struct {
		Name string
		To   uint32
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[key])
	if err != nil {
		return err
	}
	for _, k := range list {
		for _, to := range s.tables[migration.OnPrem] {
			if to.OID == k.To && to.Class == postgres.Excluded {
				s.block("table "+t.String(), fmt.Sprintf("its foreign key %s points to %s, which is excluded: on AWS the rows it needs "+
					"are missing", k.Name, to), "make that table a reference table, or drop the key on AWS")
			}
		}
	}
	return nil
}
