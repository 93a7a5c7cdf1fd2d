package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// putIn inserts rows at the tenant's home, as replication would: no trigger fires. What a foreign
// key refers to has to be there.
func putIn(ctx context.Context, tx pgx.Tx, tenant int64, rows []carriedRow) error {
	if err := holdFence(ctx, tx, tenant, migration.Open); err != nil {
		return err
	}
	before, err := dangling(ctx, tx, tenant, rows)
	if err != nil {
		return err
	}
	insert := map[string]string{}
	b := &pgx.Batch{}
	for _, r := range rows {
		if insert[r.rel] == "" {
			if insert[r.rel], err = insertText(ctx, tx, r); err != nil {
				return err
			}
		}
		b.Queue(insert[r.rel], r.vals)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	after, err := dangling(ctx, tx, tenant, rows)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if n := after[key] - before[key]; n > 0 {
			return fmt.Errorf("%w: %d of them refer by %s to rows that are not at home", ErrNotSound, n, key)
		}
	}
	return nil
}

// insertText is the statement that inserts a row like this one, whose values come as one array of
// texts.
func insertText(ctx context.Context, q Querier, r carriedRow) (string, error) {
	names, values := make([]string, len(r.cols)), make([]string, len(r.cols))
	for i, c := range r.cols {
		var kind string
		// Without a length, as CHAR(n) would cut: the column has its own.
		err := q.QueryRow(ctx, `SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2
			AND NOT attisdropped`, r.rel, c).Scan(&kind)
		if err != nil {
			return "", fmt.Errorf("read column %s of %s: %w", c, r.rel, err)
		}
		names[i], values[i] = pgx.Identifier{c}.Sanitize(), fmt.Sprintf("($1::text[])[%d]::%s", i+1, kind)
	}
	return fmt.Sprintf(`INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)`, r.rel, strings.Join(names, ", "),
		strings.Join(values, ", ")), nil
}

// dangling counts, by foreign key, those of the rows of a tenant here that refer to none.
func dangling(ctx context.Context, q Querier, tenant int64, rows []carriedRow) (map[string]int, error) {
	out, asked := map[string]int{}, map[string]bool{}
	for _, r := range rows {
		if asked[r.rel] {
			continue
		}
		asked[r.rel] = true
		keys, err := foreignKeys(ctx, q, r.rel)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			var n int
			if err := q.QueryRow(ctx, k.danglingText(r.rel), tenant).Scan(&n); err != nil {
				return nil, fmt.Errorf("rows of %s that %s refers to: %w", r.rel, k.name, err)
			}
			out[k.name] = n
		}
	}
	return out, nil
}

// foreignKey is what a table refers to.
type foreignKey struct {
	name, to     string
	cols, toCols []string
	tenant       string // the tenant's column of the table that refers
}

func foreignKeys(ctx context.Context, q Querier, rel string) ([]foreignKey, error) {
	rows, err := q.Query(ctx, `SELECT c.conname::text, format('%I.%I', n.nspname, t.relname),
		(SELECT array_agg(a.attname::text ORDER BY k.o) FROM unnest(c.conkey) WITH ORDINALITY k(n, o)
		   JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n),
		(SELECT array_agg(a.attname::text ORDER BY k.o) FROM unnest(c.confkey) WITH ORDINALITY k(n, o)
		   JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n),
		(SELECT m.col::text FROM drover.member m WHERE m.rel = c.conrelid LIMIT 1)
		FROM pg_constraint c JOIN pg_class t ON t.oid = c.confrelid JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE c.contype = 'f' AND c.conrelid = $1::regclass AND c.conparentid = 0 ORDER BY 1`, rel)
	if err == nil {
		var out []foreignKey
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k foreignKey, err error) {
			return k, row.Scan(&k.name, &k.to, &k.cols, &k.toCols, &k.tenant)
		})
		if err == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("read foreign keys of %s: %w", rel, err)
}

func (k foreignKey) danglingText(rel string) string {
	refers, same := make([]string, len(k.cols)), make([]string, len(k.cols))
	for i, c := range k.cols {
		own := "c." + pgx.Identifier{c}.Sanitize()
		refers[i] = own + " IS NOT NULL"
		same[i] = fmt.Sprintf("p.%s = %s", pgx.Identifier{k.toCols[i]}.Sanitize(), own)
	}
	return fmt.Sprintf(`SELECT count(*) FROM %s c WHERE c.%s = $1 AND %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)`, rel,
		pgx.Identifier{k.tenant}.Sanitize(), strings.Join(refers, " AND "), k.to, strings.Join(same, " AND "))
}
