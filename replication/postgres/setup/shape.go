package setup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// shape is what a change of the schema is judged by: one database before it, and after it.
type shape struct {
	tables  map[uint32]tableShape
	drovers []string // what Drover made there, each with all that matters of it
}

// tableShape is a table that is no partition.
type tableShape struct {
	postgres.Table
	fixed   []string // what of a table that takes part has to stay as it is, a line each
	columns map[string]columnShape
}

type columnShape struct {
	Number    int
	Type      string
	NotNull   bool
	Generated string // as pg_attribute has it
	Default   string
	Missing   string // what rows of before the column have in it
}

// readShape reads a database in a transaction.
func readShape(ctx context.Context, tx pgx.Tx, d migration.Postgres) (s shape, err error) {
	tables, err := postgres.ReadTables(ctx, tx, d)
	if err != nil {
		return s, err
	}
	s.tables = map[uint32]tableShape{}
	var oids []uint32
	for _, t := range tables {
		s.tables[t.OID] = tableShape{Table: t, columns: map[string]columnShape{}}
		oids = append(oids, t.OID)
	}
	if err := s.readColumns(ctx, tx, oids); err != nil {
		return s, fmt.Errorf("read columns: %w", err)
	}
	if err := s.readFixed(ctx, tx, oids); err != nil {
		return s, fmt.Errorf("read keys and storage of tables: %w", err)
	}
	rows, err := tx.Query(ctx, droversText)
	if err == nil {
		s.drovers, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return s, fmt.Errorf("read what Drover made: %w", err)
	}
	return s, nil
}

func (s shape) readColumns(ctx context.Context, tx pgx.Tx, oids []uint32) error {
	rows, err := tx.Query(ctx, `SELECT a.attrelid, a.attname::text, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
		  a.attgenerated::text || a.attidentity::text, coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
		  CASE WHEN a.atthasmissing THEN coalesce(a.attmissingval::text, '') ELSE '' END
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped`, oids)
	if err != nil {
		return err
	}
	var oid uint32
	var name string
	var c columnShape
	_, err = pgx.ForEachRow(rows, []any{&oid, &name, &c.Number, &c.Type, &c.NotNull, &c.Generated, &c.Default, &c.Missing},
		func() error { s.tables[oid].columns[name] = c; return nil })
	return err
}

// readFixed reads what of a table must not change while its rows are replicated: keys and
// constraints that a row under way could break, partitions, where its rows are stored, and who sees
// them.
func (s shape) readFixed(ctx context.Context, tx pgx.Tx, oids []uint32) error {
	rows, err := tx.Query(ctx, `WITH part AS (SELECT t.oid AS root, coalesce(p.relid::oid, t.oid) AS oid FROM unnest($1::oid[]) t(oid)
		  LEFT JOIN LATERAL pg_partition_tree(t.oid::regclass) p ON true)
		SELECT root, line FROM (
		  SELECT root, format('partition %s, stored in file %s, %s, identified by %s, row security %s %s', c.relname, c.relfilenode,
		    c.relpersistence, c.relreplident, c.relrowsecurity, c.relforcerowsecurity) AS line FROM part JOIN pg_class c USING (oid)
		  UNION ALL SELECT root, format('constraint %s: %s', k.conname, pg_get_constraintdef(k.oid))
		    FROM part JOIN pg_constraint k ON k.conrelid = part.oid WHERE k.contype IN ('c', 'p', 'u', 'x') AND part.oid = root
		  UNION ALL SELECT root, 'unique index ' || i.indexrelid::regclass
		    FROM part JOIN pg_index i ON i.indrelid = part.oid WHERE i.indisunique AND part.oid = root) x ORDER BY 1, 2`, oids)
	if err != nil {
		return err
	}
	var oid uint32
	var line string
	_, err = pgx.ForEachRow(rows, []any{&oid, &line}, func() error {
		t := s.tables[oid]
		t.fixed = append(t.fixed, line)
		s.tables[oid] = t
		return nil
	})
	return err
}

// droversText lists what Drover made, and what fires for all: none of it may change.
const droversText = `SELECT format('%s %s %s %s', c.relkind, c.relname, c.relacl,
	  (SELECT string_agg(format('%s %s %s', a.attname, a.atttypid, a.attnotnull), ',' ORDER BY a.attnum) FROM pg_attribute a
	   WHERE a.attrelid = c.oid AND a.attnum > 0))
	FROM pg_class c WHERE c.relnamespace = to_regnamespace('drover')
	UNION ALL SELECT format('function %s %s %s', p.oid::regprocedure, md5(p.prosrc), p.proacl) FROM pg_proc p
	  WHERE p.pronamespace = to_regnamespace('drover')
	UNION ALL SELECT format('trigger %s of %s, %s', t.tgname, t.tgrelid, t.tgenabled) FROM pg_trigger t WHERE t.tgname LIKE 'zzzz\_drover\_%'
	UNION ALL SELECT format('publication %s of %s %s', p.pubname, r.prrelid, pg_get_expr(r.prqual, r.prrelid)) FROM pg_publication p
	  LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname LIKE 'drover\_%'
	UNION ALL SELECT format('event trigger %s %s', evtname, evtenabled) FROM pg_event_trigger
	ORDER BY 1`

// takesPart says whether rows of the table are replicated.
func (t tableShape) takesPart() bool {
	return t.Class == postgres.Tenants || t.Class == postgres.Reference
}

// judge says what of a change is not taken in. Whatever may be added may be added while rows of
// before are under way: nothing of theirs is missing then, and nothing of theirs is refused.
func judge(before, after shape) (out []string) {
	for _, x := range before.drovers {
		if !slices.Contains(after.drovers, x) {
			out = append(out, "it changes what Drover has made: "+x)
		}
	}
	for _, x := range after.drovers {
		if !slices.Contains(before.drovers, x) && !strings.HasPrefix(x, "trigger ") { // a partition has its table's guard
			out = append(out, "it adds to what Drover has made: "+x)
		}
	}
	for _, oid := range slices.Sorted(maps.Keys(before.tables)) {
		if t := before.tables[oid]; t.takesPart() {
			now, is := after.tables[oid]
			out = append(out, t.judge(now, is)...)
		}
	}
	for _, oid := range slices.Sorted(maps.Keys(after.tables)) {
		if _, was := before.tables[oid]; !was {
			out = append(out, after.tables[oid].judgeNew()...)
		}
	}
	return out
}

// judge holds a table that takes part against what becomes of it.
func (t tableShape) judge(now tableShape, is bool) (out []string) {
	refuse := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("table %s: ", t)+fmt.Sprintf(format, args...))
	}
	if !is || now.String() != t.String() {
		refuse("it goes, or gets another name, and its rows are replicated by this one")
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(t.columns)) {
		was := t.columns[name]
		c, is := now.columns[name]
		switch {
		case !is || c.Number != was.Number:
			refuse("column %s goes, and rows that have it are under way", name)
		case c.Type != was.Type || c.Generated != was.Generated:
			refuse("column %s changes its type from %s to %s", name, was.Type, c.Type)
		case c.NotNull && !was.NotNull:
			refuse("column %s would refuse NULL, which rows under way may have", name)
		case name == t.Column && was.NotNull && !c.NotNull:
			refuse("column %s tells customers apart, and would take NULL", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now.columns)) {
		if _, was := t.columns[name]; !was && now.columns[name].NotNull && now.columns[name].Default == "" {
			refuse("column %s wants a value that rows under way do not have: give it a default", name)
		}
	}
	for _, line := range t.fixed {
		if !slices.Contains(now.fixed, line) {
			refuse("it is written anew, or loses what its rows are told apart by: %s", line)
		}
	}
	for _, line := range now.fixed {
		if !slices.Contains(t.fixed, line) && !strings.HasPrefix(line, "partition ") {
			refuse("rows under way could break what it adds, and would stop replication: %s", line)
		}
	}
	return out
}

// judgeNew looks at a table that is new.
func (t tableShape) judgeNew() (out []string) {
	refuse := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("new table %s: ", t)+fmt.Sprintf(format, args...))
	}
	switch t.Class {
	case postgres.Unclassified:
		refuse(
			"it has no column that tells customers apart, and the plan does not name it: " +
				"give it one, or leave it out until the plan has ended",
		)
		return out
	case postgres.Excluded:
		return nil
	case postgres.Tenants:
		if c := t.columns[t.Column]; c.Type != "integer" && c.Type != "bigint" && c.Type != "smallint" {
			refuse("column %s tells customers apart by integers, and is %s", t.Column, c.Type)
		}
		if !t.NotNull {
			refuse("column %s tells customers apart, and takes NULL", t.Column)
		}
	}
	if t.Persistence != "p" {
		refuse("it is not logged, so that its rows cannot be replicated")
	}
	return out
}

// alike says where two databases differ in what a change has added: tables, columns, and what rows
// of before have in these. before is one of them as it was; nothing in it: all is looked at, and
// what rows of before have cannot be told.
func alike(before, a, b shape) (out []string) {
	other := map[string]tableShape{}
	for _, t := range b.tables {
		other[t.String()] = t
	}
	for _, oid := range slices.Sorted(maps.Keys(a.tables)) {
		t := a.tables[oid]
		x, is := other[t.String()]
		if !t.takesPart() {
			continue
		}
		if !is {
			out = append(out, fmt.Sprintf("table %s is on one side only", t))
			continue
		}
		was := map[string]columnShape{}
		for _, b := range before.tables {
			if b.String() == t.String() {
				was = b.columns
			}
		}
		for _, name := range slices.Sorted(maps.Keys(t.columns)) {
			c, d := t.columns[name], x.columns[name]
			_, old := was[name]
			if !old && (c.Type != d.Type || c.NotNull != d.NotNull || before.tables != nil && c.Missing != d.Missing) {
				out = append(out, fmt.Sprintf("table %s: column %s is not the same on both sides: a default has to be one value, and no "+
					"function (%s and %s)", t, name, c, d))
			}
		}
	}
	return out
}

func (c columnShape) String() string {
	if c.Missing != "" {
		return c.Type + " " + c.Missing
	}
	return c.Type
}
