package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// row of a table: who wrote it, what must be true of it, and a hash of all of it as text.
type row struct{ Token, Fact, Hash string }

// tables are all rows of a database.
type tables struct {
	rows      map[int64]map[string][]row // tenant -> table
	reference map[string][]row           // tables without a tenant's column
	tenanted  []string                   // tables with one, by name
}

// of is a tenant's rows, by table; a side that is not there yet has none.
func (t *tables) of(tenant int64) map[string][]row {
	if t == nil {
		return nil
	}
	return t.rows[tenant]
}

// readTables reads every table of the application; of those with a tenant's column only the rows of
// some tenants, nil: of all.
func readTables(ctx context.Context, c *pgx.Conn, only []int64) (*tables, error) {
	const list = `SELECT c.relname::text, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'
		AND NOT a.attisdropped)
		FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`
	rows, err := c.Query(ctx, list)
	if err != nil {
		return nil, err
	}
	type table struct {
		Name   string
		Tenant bool
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	out := &tables{rows: map[int64]map[string][]row{}, reference: map[string][]row{}}
	for _, t := range all {
		if t.Tenant {
			out.tenanted = append(out.tenanted, t.Name)
		}
		if err := out.read(ctx, c, t.Name, t.Tenant, only); err != nil {
			return nil, fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	return out, nil
}

func (t *tables) read(ctx context.Context, c *pgx.Conn, name string, tenants bool, only []int64) error {
	column, token, fact, where := "0", "''", "''", "$1::bigint[] IS NULL OR true"
	if tenants {
		column, where = "tenant_id", "$1::bigint[] IS NULL OR tenant_id = ANY ($1)"
	}
	if k, ok := known[name]; ok {
		token, fact = k.token, k.fact
	}
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT %s::bigint, %s, %s, md5(t::text) FROM %s t WHERE %s", column, token, fact,
		pgx.Identifier{name}.Sanitize(), where), only)
	if err != nil {
		return err
	}
	if !tenants {
		t.reference[name] = []row{} // it is there, if empty
	}
	var tenant int64
	var r row
	_, err = pgx.ForEachRow(rows, []any{&tenant, &r.Token, &r.Fact, &r.Hash}, func() error {
		switch {
		case !tenants:
			t.reference[name] = append(t.reference[name], r)
		case t.rows[tenant] == nil:
			t.rows[tenant] = map[string][]row{name: {r}}
		default:
			t.rows[tenant][name] = append(t.rows[tenant][name], r)
		}
		return nil
	})
	return err
}

// references wants the tables that are the same for everybody as they were before the load on
// premises, and on AWS, once they are there, the same.
func references(was *tables, now map[string]*tables, carried bool, res *Result) {
	for name, rows := range was.reference {
		res.RowsVerified += int64(len(rows))
		for _, side := range []string{onprem, onAWS} {
			if now[side] == nil || side == onAWS && !carried {
				continue
			}
			have, ok := now[side].reference[name]
			missing, more := only(count(rows), count(have)), only(count(have), count(rows))
			if !ok || len(missing)+len(more) > 0 {
				res.violation("reference table %s on %s is not as it was before the load: %d rows are missing or changed, "+
					"%d are new or changed", name, side, len(missing), len(more))
			}
		}
	}
}

func count(rs []row) map[row]int {
	out := map[row]int{}
	for _, r := range rs {
		out[r]++
	}
	return out
}

// only are the rows that a has more often than b.
func only(a, b map[row]int) (out []row) {
	for r, n := range a {
		for range n - b[r] {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(x, y row) int { return strings.Compare(x.Token+x.Hash, y.Token+y.Hash) })
	return out
}
