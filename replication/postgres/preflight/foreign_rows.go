package preflight

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// foreignRows looks for rows of one tenant that point to rows of another: those stay where their
// own tenant is.
func foreignRows(ctx context.Context, s *survey, t postgres.Table) error {
	rows, err := s.OnPrem.Pool.Query(ctx, `SELECT k.conname::text, k.confrelid::oid,
		  (SELECT string_agg(format('c.%I = p.%I', a.attname, b.attname), ' AND ') FROM unnest(k.conkey, k.confkey) x(f, t)
		     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.f
		     JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = x.t),
		  array(SELECT b.attname::text FROM unnest(k.conkey, k.confkey) x(f, t)
		     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.f AND a.attname = $2
		     JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = x.t)
		FROM pg_constraint k WHERE k.conrelid = $1 AND k.contype = 'f' ORDER BY 1`, t.OID, t.Column)
	if err != nil {
		return err
	}
	type key struct {
		Name string
		To   uint32
		Join string
		Own  []string // the columns that the tenant's column refers to
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[key])
	if err != nil {
		return err
	}
	for _, k := range list {
		at := slices.IndexFunc(s.tables[migration.OnPrem], func(x postgres.Table) bool { return x.OID == k.To })
		if at < 0 || s.tables[migration.OnPrem][at].Class != postgres.Tenants {
			continue
		}
		to := s.tables[migration.OnPrem][at]
		if slices.Contains(k.Own, to.Column) {
			continue // the key holds the tenant
		}
		own, other := pgx.Identifier{t.Column}.Sanitize(), pgx.Identifier{to.Column}.Sanitize()
		var leads bool
		err := s.OnPrem.Pool.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s c JOIN %s p ON %s WHERE c.%s IS DISTINCT FROM p.%s)`,
			t.Ident(), to.Ident(), k.Join, own, other)).Scan(&leads)
		switch {
		case postgres.IsCode(err, "57014"):
			s.warn("table "+t.String(), fmt.Sprintf("whether its foreign key %s leads to rows of other tenants in %s could not be seen "+
				"in 30 s", k.Name, to),
				"look for yourself: rows of others stay behind when a customer moves")
		case err != nil:
			return fmt.Errorf("follow foreign key %s: %w", k.Name, err)
		case leads:
			s.block("table "+t.String(), fmt.Sprintf("its foreign key %s leads to rows of other tenants in %s: when a customer moves "+
				"they stay behind, and on AWS its rows point to nothing", k.Name, to),
				"give each customer rows of its own there, or make "+to.String()+" a reference table")
		}
	}
	return nil
}
