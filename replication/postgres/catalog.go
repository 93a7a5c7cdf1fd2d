package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// Class is how a table takes part.
type Class string

// The classes. A table nobody classified stops the preflight: its rows would silently stay behind.
const (
	Tenants      Class = "tenants"
	Reference    Class = "reference"
	Excluded     Class = "excluded"
	Unclassified Class = "unclassified"
)

// Table is a user's table that is not a partition of another.
type Table struct {
	OID         uint32
	Schema      string
	Name        string
	Class       Class
	Column      string // tenant column; Tenants only
	ColumnType  string // as the server prints it: "integer"
	NotNull     bool   // of the tenant column
	Side        migration.Side
	Partitioned bool
	Persistence string // "p": logged
	Columns     []string
}

// Ident is the table's name, quoted.
func (t Table) Ident() string { return pgx.Identifier{t.Schema, t.Name}.Sanitize() }

// String is the table's name as people write it.
func (t Table) String() string { return t.Schema + "." + t.Name }

// schemas that are nobody's data.
const notOurs = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'drover')`

// readTables reads the catalogues and classifies every table by the dataset's tenancy.
func readTables(ctx context.Context, q querier, d migration.Postgres) ([]Table, error) {
	rows, err := q.Query(ctx, `SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', c.relpersistence::text,
		  array(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND `+notOurs+`
		  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
		ORDER BY 2, 3`)
	if err != nil {
		return nil, fmt.Errorf("read tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (t Table, err error) {
		err = r.Scan(&t.OID, &t.Schema, &t.Name, &t.Partitioned, &t.Persistence, &t.Columns)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read tables: %w", err)
	}
	for i := range tables {
		classify(&tables[i], d)
		if t := &tables[i]; t.Class == Tenants {
			err := q.QueryRow(ctx, `SELECT format_type(atttypid, NULL), attnotnull FROM pg_attribute WHERE attrelid = $1 AND attname = $2`, t.OID, t.Column).Scan(&t.ColumnType, &t.NotNull)
			if err != nil {
				return nil, fmt.Errorf("read column %s of %s: %w", t.Column, t, err)
			}
		}
	}
	return tables, nil
}

func classify(t *Table, d migration.Postgres) {
	column := d.Column
	for _, rule := range d.Tables {
		if !ruleNames(rule.Name, *t) {
			continue
		}
		switch {
		case rule.Exclude:
			t.Class = Excluded
			return
		case rule.Reference != "":
			t.Class, t.Side = Reference, rule.Reference
			return
		case rule.Column != "":
			column = rule.Column
		}
	}
	t.Class = Unclassified
	for _, c := range t.Columns {
		if c == column && column != "" {
			t.Class, t.Column = Tenants, c
		}
	}
}

// ruleNames says whether a name of the plan means the table: a bare name means it in any schema.
func ruleNames(rule string, t Table) bool {
	if strings.Contains(rule, ".") {
		return rule == t.String()
	}
	return rule == t.Name
}

func of(tables []Table, c Class) (out []Table) {
	for _, t := range tables {
		if t.Class == c {
			out = append(out, t)
		}
	}
	return out
}

// leaves are the tables that hold a table's rows, partitioned ones between them included, parents before children.
func leaves(ctx context.Context, q querier, t Table) ([]leaf, error) {
	rows, err := q.Query(ctx, `SELECT p.relid::oid, n.nspname, c.relname, p.isleaf FROM pg_partition_tree($1::oid::regclass) p
		JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY p.level, 2, 3`, t.OID)
	if err != nil {
		return nil, fmt.Errorf("read partitions of %s: %w", t, err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (l leaf, err error) {
		err = r.Scan(&l.oid, &l.schema, &l.name, &l.isLeaf)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("read partitions of %s: %w", t, err)
	}
	if len(out) == 0 {
		out = []leaf{{oid: t.OID, schema: t.Schema, name: t.Name, isLeaf: true}}
	}
	return out, nil
}

// leaf is a table of a partition tree.
type leaf struct {
	oid          uint32
	schema, name string
	isLeaf       bool
}

func (l leaf) ident() string { return pgx.Identifier{l.schema, l.name}.Sanitize() }
