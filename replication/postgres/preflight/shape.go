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
	// A text and a character varying without a length take the same. Types that somebody made are
	// compared by what is behind their names.
	rows, err := q.Query(ctx, `SELECT a.attname::text, concat_ws(' ', CASE format_type(a.atttypid, a.atttypmod) WHEN 'character varying'
		THEN 'text' ELSE format_type(a.atttypid, a.atttypmod) END,
		  (SELECT '(' || string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) || ')' FROM pg_enum e
		  WHERE e.enumtypid = a.atttypid),
		  (WITH RECURSIVE behind(oid) AS (SELECT a.atttypid UNION SELECT x.o
		  FROM behind b JOIN pg_type t ON t.oid = b.oid CROSS JOIN LATERAL (
		       SELECT t.typelem WHERE t.typcategory = 'A' UNION ALL SELECT t.typbasetype
		       WHERE t.typtype = 'd' UNION ALL SELECT rngsubtype FROM pg_range WHERE rngtypid = t.oid
		       UNION ALL SELECT c.atttypid FROM pg_attribute c WHERE t.typtype = 'c' AND c.attrelid = t.typrelid AND c.attnum > 0
		       AND NOT c.attisdropped) x(o) WHERE x.o <> 0)
		     SELECT '{' || string_agg(d.what, '; ' ORDER BY d.what) || '}'
		     FROM behind b JOIN pg_type t ON t.oid = b.oid CROSS JOIN LATERAL (SELECT format_type(t.oid, NULL) || ': ' || CASE t.typtype
		         WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
		         FROM pg_enum e WHERE e.enumtypid = t.oid)
		         WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'NOT NULL' END,
		           (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY 1) FROM pg_constraint k
		           WHERE k.contypid = t.oid AND k.contype = 'c'))
		         WHEN 'c' THEN (SELECT string_agg(c.attname || ' ' || format_type(c.atttypid, c.atttypmod), ', '
		         ORDER BY c.attnum) FROM pg_attribute c WHERE c.attrelid = t.typrelid AND c.attnum > 0 AND NOT c.attisdropped)
		         WHEN 'r' THEN (SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = t.oid) END) d(what)
		     WHERE t.typnamespace <> 'pg_catalog'::regnamespace AND NOT (t.oid = a.atttypid AND t.typtype = 'e') AND d.what IS NOT NULL),
		  CASE WHEN a.attnotnull THEN 'NOT NULL' END, CASE WHEN a.attgenerated <> '' THEN 'GENERATED' END)
		FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped`, t.OID)
	if err != nil {
		return out, fmt.Errorf("read columns of %s: %w", t, err)
	}
	if _, err := pgx.ForEachRow(rows, []any{&name, &what}, func() error { out.columns[name] = what; return nil }); err != nil {
		return out, fmt.Errorf("read columns of %s: %w", t, err)
	}
	// Of a key neither its name counts nor the order of its columns, nor what it carries along;
	// Drover's own are not of the schema. Columns of pg_index and pg_constraint that older versions
	// lack are asked for as JSON.
	rows, err = q.Query(ctx, `SELECT concat(CASE WHEN e.conexclop IS NULL THEN 'key (' ELSE 'exclusion (' END,
		    (SELECT string_agg(v.part, ', ' ORDER BY v.part) FROM generate_series(1, i.indnkeyatts) k(n),
		      concat(pg_get_indexdef(i.indexrelid, k.n, false), ' WITH ' || (SELECT p.oprname FROM pg_operator p
		      WHERE p.oid = e.conexclop[k.n])) v(part)), ')',
		    CASE WHEN (to_jsonb(i)->>'indnullsnotdistinct')::bool THEN ' NULLS NOT DISTINCT' END, ' WHERE ' || pg_get_expr(i.indpred,
		    i.indrelid)),
		  i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
		FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid LEFT JOIN pg_constraint e ON e.conindid = i.indexrelid
		AND e.conrelid = i.indrelid AND i.indisexclusion
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
