package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// shape is what decides which rows a table takes, and which columns it sends.
type shape struct {
	columns map[string]string // name -> type and whether it must be set
	rules   map[string]bool   // keys, exclusions and CHECKs -> whether the text is an expression as the server prints it
}

func readShape(ctx context.Context, q postgres.Querier, t postgres.Table) (shape, error) {
	out := shape{columns: map[string]string{}, rules: map[string]bool{}}
	var name, what string
	var printed bool
	// A text and a character varying without a length take the same.
	rows, err := q.Query(ctx, `SELECT a.attname::text, concat_ws(' ', CASE format_type(a.atttypid, a.atttypmod) WHEN 'character varying' THEN 'text' ELSE format_type(a.atttypid, a.atttypmod) END,
		  (SELECT '(' || string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) || ')' FROM pg_enum e WHERE e.enumtypid = a.atttypid),
		  CASE WHEN a.attnotnull THEN 'NOT NULL' END, CASE WHEN a.attgenerated <> '' THEN 'GENERATED' END)
		FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped`, t.OID)
	if err != nil {
		return out, fmt.Errorf("read columns of %s: %w", t, err)
	}
	if _, err := pgx.ForEachRow(rows, []any{&name, &what}, func() error { out.columns[name] = what; return nil }); err != nil {
		return out, fmt.Errorf("read columns of %s: %w", t, err)
	}
	// Of a key neither its name counts nor the order of its columns, nor what it carries along; Drover's own are not of the schema.
	// Columns of pg_index and pg_constraint that older versions lack are asked for as JSON.
	rows, err = q.Query(ctx, `SELECT concat(CASE WHEN e.conexclop IS NULL THEN 'key (' ELSE 'exclusion (' END,
		    (SELECT string_agg(v.part, ', ' ORDER BY v.part) FROM generate_series(1, i.indnkeyatts) k(n),
		      concat(pg_get_indexdef(i.indexrelid, k.n, false), ' WITH ' || (SELECT p.oprname FROM pg_operator p WHERE p.oid = e.conexclop[k.n])) v(part)), ')',
		    CASE WHEN (to_jsonb(i)->>'indnullsnotdistinct')::bool THEN ' NULLS NOT DISTINCT' END, ' WHERE ' || pg_get_expr(i.indpred, i.indrelid)),
		  i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
		FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid LEFT JOIN pg_constraint e ON e.conindid = i.indexrelid AND e.conrelid = i.indrelid AND i.indisexclusion
		WHERE i.indrelid = $1 AND (i.indisunique OR i.indisexclusion) AND x.relname !~ '_drover_ri$'
		UNION ALL SELECT regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''), true FROM pg_constraint k
		WHERE k.conrelid = $1 AND k.contype = 'c' AND coalesce((to_jsonb(k)->>'conenforced')::bool, true)`, t.OID)
	if err != nil {
		return out, fmt.Errorf("read constraints of %s: %w", t, err)
	}
	if _, err := pgx.ForEachRow(rows, []any{&what, &printed}, func() error { out.rules[what] = printed; return nil }); err != nil {
		return out, fmt.Errorf("read constraints of %s: %w", t, err)
	}
	return out, nil
}
