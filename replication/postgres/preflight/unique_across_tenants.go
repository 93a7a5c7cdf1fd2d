package preflight

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// uniqueAcrossTenants looks for keys and exclusions that tenants share, those of single partitions
// included. A value that is made by a sequence or is a UUID cannot collide. Columns that an index
// only carries along (INCLUDE) tell nothing apart, nor does an exclusion's column that is not
// compared for equality.
func uniqueAcrossTenants(ctx context.Context, s *survey, t postgres.Table) error {
	rows, err := s.OnPrem.Pool.Query(ctx, `SELECT x.relname::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
		JOIN pg_class x ON x.oid = i.indexrelid
		  LEFT JOIN pg_constraint e ON e.conindid = i.indexrelid AND e.conrelid = i.indrelid AND i.indisexclusion
		WHERE (i.indrelid = $1 OR i.indrelid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))
		AND (i.indisunique OR i.indisexclusion)
		  AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
		  AND NOT EXISTS (
		  SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n
		  WHERE k.o <= i.indnkeyatts
		    AND (e.conexclop IS NULL OR EXISTS (SELECT FROM pg_operator p WHERE p.oid = e.conexclop[k.o] AND p.oprname = '='))
		    AND (a.attname = $2 OR a.attidentity <> '' OR a.atttypid = 'uuid'::regtype
		      OR EXISTS (SELECT FROM pg_attrdef f WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum
		      AND pg_get_expr(f.adbin, f.adrelid) LIKE 'nextval(%')))
		ORDER BY 1`, t.OID, t.Column)
	if err != nil {
		return err
	}
	type index struct{ Name, Def string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	if err != nil {
		return err
	}
	for _, x := range list {
		s.block("index "+x.Name+" of table "+t.String(), "it is unique across tenants: two customers on different sides can take the "+
			"same value, and replication of all of them stops ("+x.Def+")",
			"add "+t.Column+" to its key columns (an exclusion: with =)")
	}
	return nil
}
