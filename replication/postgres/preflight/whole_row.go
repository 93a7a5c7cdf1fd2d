package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// wholeRow wants the server to be able to identify a row of a table without a key by all of it: by
// no column that is generated, and by none whose type knows no equality.
func wholeRow(ctx context.Context, s *survey, t postgres.Table) error {
	key, err := postgres.RowKey(ctx, s.OnPrem.Pool, t)
	if err != nil || key != nil && t.NotNull {
		return err
	}
	columns, err := names(ctx, s.OnPrem.Pool, `SELECT a.attname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN pg_type d ON t.typtype = 'd' AND d.oid = t.typbasetype
		LEFT JOIN pg_type e ON e.oid = coalesce(d.typelem, t.typelem) AND coalesce(d.typcategory, t.typcategory) = 'A'
		CROSS JOIN LATERAL (SELECT coalesce(e.oid, d.oid, t.oid) AS oid, coalesce(e.typtype, d.typtype, t.typtype) AS kind) b
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
		  AND (a.attgenerated <> '' OR b.kind = 'b' AND NOT EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
		    WHERE m.amname IN ('btree', 'hash') AND o.opcdefault AND (o.opcintype = b.oid
		      OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource = b.oid AND c.casttarget = o.opcintype
		      AND c.castmethod = 'b' AND c.castcontext = 'i'))))
		ORDER BY a.attnum`, t.OID)
	if err != nil {
		return fmt.Errorf("read its columns: %w", err)
	}
	if len(columns) > 0 {
		s.block("table "+t.String(), "it has no key of columns that are never null, and its columns "+strings.Join(columns, ", ")+
			" are generated or of a type without equality: no server can tell its rows apart, and updates would fail",
			"give it a primary key, or a unique index over columns that are NOT NULL")
	}
	return nil
}
