package postgres

import (
	"context"
	"fmt"
	"slices"
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

// NotOurs keeps pg_namespace n to schemas that hold somebody's data.
const NotOurs = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'drover', 'drover_observe')`

// ReadTables reads the catalogues and classifies every table by the dataset's tenancy.
func ReadTables(ctx context.Context, q Querier, d migration.Postgres) ([]Table, error) {
	rows, err := q.Query(ctx, `SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', c.relpersistence::text,
		  array(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
		  AND NOT a.attisdropped ORDER BY a.attname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND `+NotOurs+`
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
			err := q.QueryRow(ctx, `SELECT format_type(atttypid, NULL), attnotnull FROM pg_attribute WHERE attrelid = $1 AND attname = $2`,
				t.OID, t.Column).Scan(&t.ColumnType, &t.NotNull)
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
		if !t.Means(rule.Name) {
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

// Means says whether a name of the plan means the table: a bare name means it in any schema.
func (t Table) Means(rule string) bool {
	if strings.Contains(rule, ".") {
		return rule == t.String()
	}
	return rule == t.Name
}

// Of keeps the tables of a class.
func Of(tables []Table, c Class) (out []Table) {
	for _, t := range tables {
		if t.Class == c {
			out = append(out, t)
		}
	}
	return out
}

// Leaves are the tables that hold a table's rows, partitioned ones between them included, parents
// before children.
func Leaves(ctx context.Context, q Querier, t Table) ([]Leaf, error) {
	rows, err := q.Query(ctx, `SELECT p.relid::oid, n.nspname, c.relname, p.isleaf FROM pg_partition_tree($1::oid::regclass) p
		JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY p.level, 2, 3`, t.OID)
	if err != nil {
		return nil, fmt.Errorf("read partitions of %s: %w", t, err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (l Leaf, err error) {
		err = r.Scan(&l.OID, &l.Schema, &l.Name, &l.IsLeaf)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("read partitions of %s: %w", t, err)
	}
	if len(out) == 0 {
		out = []Leaf{{OID: t.OID, Schema: t.Schema, Name: t.Name, IsLeaf: true}}
	}
	return out, nil
}

// Leaf is a table of a partition tree.
type Leaf struct {
	OID          uint32
	Schema, Name string
	IsLeaf       bool // it holds rows itself
}

// Ident is its name, quoted.
func (l Leaf) Ident() string { return pgx.Identifier{l.Schema, l.Name}.Sanitize() }

// Unlike are, in SQL, the names of the columns of a table by which no server can tell rows apart:
// those that are generated, which are not sent, and those of a type that knows no equality, itself
// or in what it consists of.
func Unlike(rel string) string {
	return `WITH RECURSIVE behind(n, type) AS (
		  SELECT a.attnum, a.atttypid FROM pg_attribute a WHERE a.attrelid = ` + rel + ` AND a.attnum > 0 AND NOT a.attisdropped
		  UNION SELECT b.n, x.type FROM behind b JOIN pg_type t ON t.oid = b.type CROSS JOIN LATERAL (
		    SELECT t.typbasetype WHERE t.typtype = 'd' UNION ALL SELECT t.typelem WHERE t.typcategory = 'A'
		    UNION ALL SELECT m.atttypid FROM pg_attribute m
		    WHERE t.typtype = 'c' AND m.attrelid = t.typrelid AND m.attnum > 0 AND NOT m.attisdropped) x(type) WHERE x.type <> 0)
		SELECT u.attname::text FROM pg_attribute u WHERE u.attrelid = ` + rel + ` AND u.attnum > 0 AND NOT u.attisdropped
		  AND (u.attgenerated <> '' OR EXISTS (SELECT FROM behind b JOIN pg_type t ON t.oid = b.type
		    WHERE b.n = u.attnum AND t.typtype = 'b' AND NOT (t.typcategory = 'A' AND t.typelem <> 0)
		      AND NOT EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
		        WHERE m.amname IN ('btree', 'hash') AND o.opcdefault AND (o.opcintype = t.oid OR EXISTS (SELECT FROM pg_cast k
		        WHERE k.castsource = t.oid AND k.casttarget = o.opcintype AND k.castmethod = 'b' AND k.castcontext = 'i')))))
		ORDER BY u.attnum`
}

// keyed says in SQL whether index i of pg_index can be a replica identity: whole, checked at once,
// and over columns that are sent.
const keyed = `i.indisvalid AND i.indimmediate AND NOT EXISTS (SELECT FROM pg_attribute g
		WHERE g.attrelid = i.indrelid AND g.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND g.attgenerated <> '')`

// Identified says in SQL whether c in pg_class has a replica identity by which updates are taken
// and can be applied. A deferrable key is none, nor is one over a generated column; the whole row
// is one only where all of it can be sent and compared.
var Identified = identified("")

// IdentifiedBy says in SQL whether a column is in that identity. What its index only carries along
// (INCLUDE) is not: a row filter over that would have updates refused.
func IdentifiedBy(column string) string {
	return identified(` AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
		AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND a.attname = ` + column + `)`)
}

func identified(index string) string {
	return `(c.relreplident = 'f' AND NOT EXISTS (` + Unlike("c.oid") + `) OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid
		AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident) AND ` + keyed + index + `))`
}

// RowKey is the columns, without the tenant's, of the primary key or of another unique index over
// columns that are sent and never null; nil without one.
func RowKey(ctx context.Context, q Querier, t Table) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT array(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(n, o)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n
		    WHERE k.o <= i.indnkeyatts AND a.attname <> $2 ORDER BY k.o)
		FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND `+keyed+` AND i.indpred IS NULL
		AND i.indexprs IS NULL
		  AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(n, o)
		  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n WHERE k.o <= i.indnkeyatts AND NOT a.attnotnull)
		ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1`, t.OID, t.Column)
	if err == nil {
		var keys [][]string
		if keys, err = pgx.CollectRows(rows, pgx.RowTo[[]string]); err == nil {
			if len(keys) == 0 {
				return nil, nil
			}
			return append([]string{}, keys[0]...), nil
		}
	}
	return nil, fmt.Errorf("read keys of %s: %w", t, err)
}

// LeadingIndex says whether a whole index of the table begins with the tenant column.
func LeadingIndex(ctx context.Context, q Querier, t Table) (is bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND a.attname = $2)`, t.OID, t.Column).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("read indexes of %s: %w", t, err)
	}
	return is, nil
}

// Missing are the tables that take part here and are not there.
func Missing(here, there []Table) (missing []string) {
	for _, t := range here {
		if t.Class != Tenants && t.Class != Reference {
			continue
		}
		if !slices.ContainsFunc(there, func(x Table) bool { return x.Schema == t.Schema && x.Name == t.Name }) {
			missing = append(missing, t.String())
		}
	}
	return missing
}
