package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// tenantTypes are the integer types that a fence can be looked up by.
var tenantTypes = map[string]bool{"smallint": true, "integer": true, "bigint": true}

// table checks one table that takes part.
func (c *checkRun) table(ctx context.Context, s *Server, t Table) error {
	subject := "table " + t.String()
	if t.Persistence == "u" {
		c.block("unlogged", subject, "it is unlogged: its changes are not in the WAL and cannot be replicated", "ALTER TABLE "+t.Ident()+" SET LOGGED, or exclude it")
	}
	for _, check := range []func(context.Context, *Server, Table) error{c.names, c.objects, c.rowSecurity} {
		if err := check(ctx, s, t); err != nil {
			return err
		}
	}
	if t.Class == Reference {
		return c.referenceKey(ctx, s, t)
	}
	if !tenantTypes[t.ColumnType] {
		c.block("tenant-type", subject, fmt.Sprintf("its tenant column %s is %s", t.Column, t.ColumnType), "the tenant column has to be an integer")
		return nil
	}
	for _, check := range []func(context.Context, *Server, Table) error{c.identity, c.uniques, c.leading, c.foreignKeys, c.sequences} {
		if err := check(ctx, s, t); err != nil {
			return err
		}
	}
	return nil
}

// rowSecurity wants no policy to stand between the role and any row: of what a policy hides the first copy brings nothing, no comparison
// says so, and what a subscription applies is refused. The owner is held to policies only by FORCE, which the copied schema has as well.
func (c *checkRun) rowSecurity(ctx context.Context, s *Server, t Table) error {
	var active, forced bool
	err := s.Pool.QueryRow(ctx, `SELECT bool_or(row_security_active(oid)), bool_or(relrowsecurity AND relforcerowsecurity) FROM pg_class
		WHERE oid = $1 OR oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass))`, t.OID).Scan(&active, &forced)
	if err != nil {
		return fmt.Errorf("read the row security of %s %s: %w", t, s.where(), err)
	}
	hidden := map[*Server]bool{s: active}
	if s.Side == migration.OnPrem && len(missingTables([]Table{t}, c.tables[migration.AWS])) > 0 {
		hidden[c.AWS] = forced
	}
	for at, is := range hidden {
		if !is {
			continue
		}
		var who string
		var passes bool
		if err := at.Pool.QueryRow(ctx, `SELECT rolname::text, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user`).Scan(&who, &passes); err != nil {
			return fmt.Errorf("read the role %s: %w", at.where(), err)
		}
		if !passes {
			c.block("row-security", "table "+t.String()+" "+at.where(), "row-level security hides rows of it from role "+who+": they would be left behind, or refused", "ALTER ROLE "+who+" BYPASSRLS, or ALTER TABLE ... NO FORCE ROW LEVEL SECURITY if the role owns the table")
		}
	}
	return nil
}

func (c *checkRun) identity(ctx context.Context, s *Server, t Table) error {
	key, err := rowKey(ctx, s.Pool, t)
	if err != nil {
		return err
	}
	subject := "table " + t.String()
	if !t.NotNull {
		c.warn("tenant-null", subject, fmt.Sprintf("its tenant column %s may be null: such rows belong to nobody, are refused by the guard and stay where they are", t.Column), "ALTER TABLE "+t.Ident()+" ALTER "+pgx.Identifier{t.Column}.Sanitize()+" SET NOT NULL")
	}
	if key == nil || !t.NotNull {
		c.warn("replica-identity", subject, "it has no key of columns that are never null, so it will be identified by the whole row: each update and delete costs a scan where it is applied", "give it a primary key if it is updated often")
	}
	return nil
}

// referenceKey wants a key: without one the source would refuse updates once it is published.
func (c *checkRun) referenceKey(ctx context.Context, s *Server, t Table) error {
	var ok bool
	err := s.Pool.QueryRow(ctx, `SELECT relreplident IN ('f', 'i') OR relreplident = 'd' AND EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary) FROM pg_class c WHERE oid = $1`, t.OID).Scan(&ok)
	if err != nil {
		return err
	}
	if !ok {
		c.block("reference-identity", "table "+t.String(), "it has no primary key: once it is published, updates and deletes on it would fail", "give it a primary key, or ALTER TABLE "+t.Ident()+" REPLICA IDENTITY FULL")
	}
	return nil
}

// uniques looks for keys and exclusions that tenants share, those of single partitions included. A value that is made by a sequence or
// is a UUID cannot collide. Columns that an index only carries along (INCLUDE) tell nothing apart, nor does an exclusion's column that
// is not compared for equality.
func (c *checkRun) uniques(ctx context.Context, s *Server, t Table) error {
	rows, err := s.Pool.Query(ctx, `SELECT x.relname::text, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
		  LEFT JOIN pg_constraint e ON e.conindid = i.indexrelid AND e.conrelid = i.indrelid AND i.indisexclusion
		WHERE (i.indrelid = $1 OR i.indrelid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass))) AND (i.indisunique OR i.indisexclusion)
		  AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
		  AND NOT EXISTS (
		  SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n
		  WHERE k.o <= i.indnkeyatts
		    AND (e.conexclop IS NULL OR EXISTS (SELECT FROM pg_operator p WHERE p.oid = e.conexclop[k.o] AND p.oprname = '='))
		    AND (a.attname = $2 OR a.attidentity <> '' OR a.atttypid = 'uuid'::regtype
		      OR EXISTS (SELECT FROM pg_attrdef f WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum AND pg_get_expr(f.adbin, f.adrelid) LIKE 'nextval(%')))
		ORDER BY 1`, t.OID, t.Column)
	if err != nil {
		return err
	}
	type index struct{ Name, Def string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	if err != nil {
		return err
	}
	for _, x := range list {
		c.block("unique-across-tenants", "index "+x.Name+" of table "+t.String(), "it is unique across tenants: two customers on different sides can take the same value, and replication of all of them stops ("+x.Def+")",
			"add "+t.Column+" to its key columns (an exclusion: with =)")
	}
	return nil
}

func (c *checkRun) leading(ctx context.Context, s *Server, t Table) error {
	is, err := leadingIndex(ctx, s.Pool, t)
	if err != nil || is {
		return err
	}
	key, err := rowKey(ctx, s.Pool, t)
	if err != nil || key != nil && t.NotNull {
		return err // Prepare makes one: the replica identity
	}
	c.warn("tenant-index", "table "+t.String(), "no index begins with "+t.Column+": comparing a customer's rows in a freeze reads the whole table", fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s)", t.Ident(), pgx.Identifier{t.Column}.Sanitize()))
	return nil
}

// foreignKeys are not checked where changes are applied: what they point to has to come along.
func (c *checkRun) foreignKeys(ctx context.Context, s *Server, t Table) error {
	rows, err := s.Pool.Query(ctx, `SELECT k.conname::text, k.confrelid::oid FROM pg_constraint k WHERE k.conrelid = $1 AND k.contype = 'f' AND k.confrelid <> k.conrelid`, t.OID)
	if err != nil {
		return err
	}
	type key struct {
		Name string
		To   uint32
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[key])
	if err != nil {
		return err
	}
	for _, k := range list {
		for _, to := range c.tables[s.Side] {
			if to.OID == k.To && to.Class == Excluded {
				c.block("foreign-key", "table "+t.String(), fmt.Sprintf("its foreign key %s points to %s, which is excluded: on AWS the rows it needs are missing", k.Name, to), "make that table a reference table, or drop the key on AWS")
			}
		}
	}
	return nil
}

func (c *checkRun) sequences(ctx context.Context, s *Server, t Table) error {
	seqs, err := sequencesOf(ctx, s.Pool, t)
	if err != nil {
		return err
	}
	for _, q := range seqs {
		subject := fmt.Sprintf("sequence %s.%s of table %s", q.Schema, q.Name, t)
		if can, why := q.counts(); !can {
			remedy := "make the column bigint"
			switch {
			case !q.Readable:
				subject, remedy = subject+" "+s.where(), "GRANT SELECT ON SEQUENCE "+q.ident()+" to it, or the role that owns it"
			case q.base() != 0:
				remedy = "ALTER SEQUENCE ... INCREMENT 1 NO CYCLE"
			}
			c.block(map[bool]string{true: "sequence", false: "privilege-sequence"}[q.Readable], subject, why, remedy)
		}
	}
	return nil
}

// alone looks at the sequences that an application asks by itself.
func (c *checkRun) alone(ctx context.Context) error {
	seqs, err := sequencesAlone(ctx, c.OnPrem.Pool)
	if err != nil {
		return err
	}
	for _, q := range seqs {
		if can, why := q.counts(); !can {
			c.warn("sequence", fmt.Sprintf("sequence %s.%s", q.Schema, q.Name), "no column takes its values by itself, and "+why+": AWS will give the values that premises give",
				"if they are ids of rows, correct that or have AWS give others; if not, nothing has to be done")
		}
	}
	return nil
}

// names looks for triggers called as Drover's are, and after them.
func (c *checkRun) names(ctx context.Context, s *Server, t Table) error {
	rows, err := s.Pool.Query(ctx, `SELECT g.tgname::text FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid JOIN pg_namespace n ON n.oid = f.pronamespace
		WHERE g.tgrelid = $1 AND NOT g.tgisinternal AND n.nspname <> 'drover' AND g.tgname >= 'zzzz_drover' AND (g.tgtype & 2) = 2 ORDER BY 1`, t.OID)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if len(list) > 0 {
		c.block("trigger-name", "table "+t.String(), "its triggers "+strings.Join(list, ", ")+" sort after Drover's guard, which must see a row last", "rename them")
	}
	return nil
}

// objects looks for what is beside the rows: large objects are not replicated.
func (c *checkRun) objects(ctx context.Context, s *Server, t Table) error {
	var cols []string
	err := s.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(attname::text), '{}') FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND atttypid = 'oid'::regtype`, t.OID).Scan(&cols)
	if err != nil {
		return err
	}
	if len(cols) == 0 {
		return nil
	}
	var some bool
	if err := s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_largeobject_metadata)`).Scan(&some); err != nil {
		return err
	}
	severity := migration.Warning
	if some {
		severity = migration.Blocker
	}
	c.add(severity, "large-objects", "table "+t.String(), fmt.Sprintf("its columns %s may name large objects, which are not replicated", strings.Join(cols, ", ")), "keep them in a bytea column, or in files")
	return nil
}
