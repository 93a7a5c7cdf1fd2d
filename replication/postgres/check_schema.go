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

// schemas holds what is on AWS against what is to come: a schema that stands there already was brought by somebody else.
func (c *checkRun) schemas(ctx context.Context) error {
	here, there := c.tables[migration.OnPrem], c.tables[migration.AWS]
	missing := missingTables(here, there)
	switch {
	case len(missing) > 0 && len(there) > 0:
		c.block("target-schema", c.database(c.AWS), fmt.Sprintf("it has tables, but not %v", missing), "empty it, or bring its schema up to date")
	case len(missing) > 0:
		if c.pgDump == "" {
			if _, err := FindPgDump(); err != nil {
				c.block("pg-dump", c.database(c.AWS), "the schema has to be brought there, and "+err.Error(), "install PostgreSQL's client programs on the site's worker, or load the schema there yourself")
			}
		}
		return nil
	case !c.prepared:
		full, err := c.rowsOnAWS(ctx, here)
		if err != nil {
			return err
		}
		for _, t := range full {
			c.block("target-not-empty", "table "+t.String()+" on AWS", "it has rows, and the first copy would collide with them", emptyIt)
		}
	}
	if extra := missingTables(of(there, Tenants), here); len(extra) > 0 {
		c.block("target-schema", c.database(c.AWS), fmt.Sprintf("premises do not have its tables %v, which would replicate from there", extra), "drop them, or exclude them in the plan")
	}
	for _, t := range here {
		at := slices.IndexFunc(there, func(x Table) bool { return x.String() == t.String() })
		if at < 0 || t.Class != Tenants && t.Class != Reference {
			continue
		}
		if err := c.compare(ctx, t, there[at]); err != nil {
			return fmt.Errorf("compare table %s of both sides: %w", t, err)
		}
	}
	return nil
}

// shape is what decides which rows a table takes, and which columns it sends.
type shape struct {
	columns map[string]string // name -> type and whether it must be set
	rules   map[string]bool   // keys, exclusions and CHECKs -> whether the text is an expression as the server prints it
}

// compare looks for what one side's table takes and the other's does not. Foreign keys are not among it: they are not checked where
// changes are applied.
func (c *checkRun) compare(ctx context.Context, here, there Table) error {
	a, err := readShape(ctx, c.OnPrem.Pool, here)
	if err != nil {
		return fmt.Errorf("on premises: %w", err)
	}
	b, err := readShape(ctx, c.AWS.Pool, there)
	if err != nil {
		return fmt.Errorf("on AWS: %w", err)
	}
	var stops, perhaps []string
	for _, name := range either(a.columns, b.columns) {
		x, y := a.columns[name], b.columns[name]
		switch {
		case x == "":
			stops = append(stops, fmt.Sprintf("column %s is only on AWS", name))
		case y == "":
			stops = append(stops, fmt.Sprintf("column %s is only on premises", name))
		case x != y:
			stops = append(stops, fmt.Sprintf("column %s is %s on premises and %s on AWS", name, x, y))
		}
	}
	// Versions print one expression in different ways.
	sameMajor := c.versions[migration.OnPrem]/10000 == c.versions[migration.AWS]/10000
	for _, rule := range either(a.rules, b.rules) {
		printedHere, isHere := a.rules[rule]
		printedThere, isThere := b.rules[rule]
		if isHere && isThere {
			continue
		}
		only := rule + " is only on premises"
		if isThere {
			only = rule + " is only on AWS"
		}
		if sameMajor || !printedHere && !printedThere {
			stops = append(stops, only)
		} else {
			perhaps = append(perhaps, only)
		}
	}
	const remedy = "bring the schema on AWS up to date with the one on premises, or empty that database: Prepare copies the schema then"
	if len(stops) > 0 {
		c.block("target-schema", "table "+here.String()+" on AWS", "replication stops at the first row that one side has and the other cannot take: "+strings.Join(stops, "; "), remedy)
	}
	if len(perhaps) > 0 {
		c.warn("target-schema", "table "+here.String()+" on AWS", "these may be the same, printed by two versions; if not, replication stops at the first row that one side has and the other cannot take: "+strings.Join(perhaps, "; "), remedy)
	}
	return nil
}

// either are the names that one map has or the other.
func either[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func readShape(ctx context.Context, q querier, t Table) (shape, error) {
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
