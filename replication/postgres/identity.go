package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// identities makes every tenant table identify its rows by a key that holds the tenant column: a row filter on UPDATE and DELETE needs
// it. A table without any key gets FULL, which costs a scan a change on the side that applies.
func (p *Pair) identities(ctx context.Context, s *Server) error {
	tables, err := readTables(ctx, s.Pool, p.Dataset)
	if err != nil {
		return err
	}
	return s.unhurried(ctx, func(c *pgx.Conn) error {
		for _, t := range of(tables, Tenants) {
			if err := identify(ctx, c, t); err != nil {
				return fmt.Errorf("table %s: %w", t, err)
			}
		}
		return nil
	})
}

func identify(ctx context.Context, c *pgx.Conn, t Table) error {
	tree, err := leaves(ctx, c, t)
	if err != nil {
		return err
	}
	key, err := rowKey(ctx, c, t)
	if err != nil {
		return err
	}
	// Leaves first: an index of a parent is valid once every child has its part.
	slices.Reverse(tree)
	for _, l := range tree {
		is, err := identified(ctx, c, l, t.Column)
		if err != nil {
			return err
		}
		if is {
			continue
		}
		if key == nil || !t.NotNull {
			err = setIdentity(ctx, c, l, "FULL", "")
		} else {
			err = identifyByIndex(ctx, c, l, append([]string{t.Column}, key...))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// identifiedBy says in SQL whether a column is in the replica identity of c in pg_class. What its index only carries along (INCLUDE) is not:
// a row filter over that would have updates refused.
func identifiedBy(column string) string {
	return `(c.relreplident = 'f' OR EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
		  WHERE i.indrelid = c.oid AND i.indisvalid AND a.attname = ` + column + ` AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)))`
}

func identified(ctx context.Context, q querier, l leaf, column string) (is bool, err error) {
	err = q.QueryRow(ctx, `SELECT `+identifiedBy("$2")+`
		FROM pg_class c WHERE c.oid = $1`, l.oid, column).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("read the replica identity of %s: %w", l.ident(), err)
	}
	return is, nil
}

// rowKey is the columns, without the tenant's, of the primary key or of another unique index over columns that are never null; nil
// without one.
func rowKey(ctx context.Context, q querier, t Table) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT array(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n
		    WHERE k.o <= i.indnkeyatts AND a.attname <> $2 ORDER BY k.o)
		FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
		  AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(n, o) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n WHERE k.o <= i.indnkeyatts AND NOT a.attnotnull)
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

// identityIndex is the name of the index Drover makes. A name that would be cut gets a hash instead.
func identityIndex(table string) string {
	if len(table) > 40 {
		sum := sha256.Sum256([]byte(table))
		table = table[:40] + hex.EncodeToString(sum[:4])
	}
	return table + "_drover_ri"
}

func identifyByIndex(ctx context.Context, c *pgx.Conn, l leaf, key []string) error {
	name := identityIndex(l.name)
	index := pgx.Identifier{l.schema, name}.Sanitize()
	cols := make([]string, len(key))
	for i, k := range key {
		cols[i] = pgx.Identifier{k}.Sanitize()
	}
	var exists, valid bool
	if err := c.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_and(i.indisvalid), false) FROM pg_index i WHERE i.indexrelid = to_regclass($1)`, index).Scan(&exists, &valid); err != nil {
		return err
	}
	if exists && !valid && l.isLeaf {
		// An earlier build was cut off.
		if _, err := c.Exec(ctx, `DROP INDEX CONCURRENTLY `+index); err != nil {
			return fmt.Errorf("drop the unfinished index %s: %w", index, err)
		}
		exists = false
	}
	if !exists {
		how := "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s)"
		if !l.isLeaf {
			how = "CREATE UNIQUE INDEX %s ON ONLY %s (%s)"
		}
		// An index build waits for everybody's transactions; lock_timeout would leave it unfinished.
		if _, err := c.Exec(ctx, `SET lock_timeout = 0`); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, fmt.Sprintf(how, pgx.Identifier{name}.Sanitize(), l.ident(), strings.Join(cols, ", "))); err != nil {
			return fmt.Errorf("create index %s: %w", index, err)
		}
		if _, err := c.Exec(ctx, `SET lock_timeout = '5s'`); err != nil {
			return err
		}
	}
	if !l.isLeaf {
		if err := attach(ctx, c, l, index); err != nil {
			return err
		}
	}
	return setIdentity(ctx, c, l, "USING INDEX "+pgx.Identifier{name}.Sanitize(), name)
}

// attach joins the children's indexes to the parent's, which makes it valid.
func attach(ctx context.Context, c *pgx.Conn, l leaf, index string) error {
	rows, err := c.Query(ctx, `SELECT n.nspname, k.relname FROM pg_inherits h JOIN pg_class k ON k.oid = h.inhrelid JOIN pg_namespace n ON n.oid = k.relnamespace WHERE h.inhparent = $1`, l.oid)
	if err != nil {
		return err
	}
	children, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (x leaf, err error) {
		err = r.Scan(&x.schema, &x.name)
		return x, err
	})
	if err != nil {
		return err
	}
	for _, k := range children {
		part := pgx.Identifier{k.schema, identityIndex(k.name)}.Sanitize()
		err := patiently(ctx, func() error {
			_, err := c.Exec(ctx, fmt.Sprintf("ALTER INDEX %s ATTACH PARTITION %s", index, part)) // attached already: nothing happens
			return err
		})
		if err != nil {
			return fmt.Errorf("attach index %s: %w", part, err)
		}
	}
	return nil
}

// setIdentity changes a table's replica identity and writes down what it was, in one transaction.
func setIdentity(ctx context.Context, c *pgx.Conn, l leaf, to, made string) error {
	return patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '400ms'`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO drover.identity (rel, was, idx, made)
				SELECT c.oid, c.relreplident::text, (SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident), nullif($2, '')
				FROM pg_class c WHERE c.oid = $1 ON CONFLICT DO NOTHING`, l.oid, made)
			if err != nil {
				return err
			}
			if _, err = tx.Exec(ctx, fmt.Sprintf("ALTER TABLE ONLY %s REPLICA IDENTITY %s", l.ident(), to)); err != nil {
				return fmt.Errorf("set the replica identity of %s: %w", l.ident(), err)
			}
			return nil
		})
	})
}
