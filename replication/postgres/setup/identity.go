package setup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// identities makes every tenant table identify its rows by a key that holds the tenant column: a
// row filter on UPDATE and DELETE needs it. A table without any key gets FULL, which costs a scan a
// change on the side that applies.
func identities(ctx context.Context, p *postgres.Pair, s *postgres.Server) error {
	tables, err := postgres.ReadTables(ctx, s.Pool, p.Dataset)
	if err != nil {
		return err
	}
	return s.Unhurried(ctx, func(c *pgx.Conn) error {
		for _, t := range postgres.Of(tables, postgres.Tenants) {
			if err := identify(ctx, c, t); err != nil {
				return fmt.Errorf("table %s: %w", t, err)
			}
		}
		return nil
	})
}

func identify(ctx context.Context, c *pgx.Conn, t postgres.Table) error {
	tree, err := postgres.Leaves(ctx, c, t)
	if err != nil {
		return err
	}
	key, err := postgres.RowKey(ctx, c, t)
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

func identified(ctx context.Context, q postgres.Querier, l postgres.Leaf, column string) (is bool, err error) {
	err = q.QueryRow(ctx, `SELECT `+postgres.IdentifiedBy("$2")+`
		FROM pg_class c WHERE c.oid = $1`, l.OID, column).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("read the replica identity of %s: %w", l.Ident(), err)
	}
	return is, nil
}

// identityIndex is the name of the index Drover makes. A name that would be cut gets a hash
// instead.
func identityIndex(table string) string {
	if len(table) > 40 {
		sum := sha256.Sum256([]byte(table))
		table = table[:40] + hex.EncodeToString(sum[:4])
	}
	return table + "_drover_ri"
}

func identifyByIndex(ctx context.Context, c *pgx.Conn, l postgres.Leaf, key []string) error {
	name := identityIndex(l.Name)
	index := pgx.Identifier{l.Schema, name}.Sanitize()
	cols := make([]string, len(key))
	for i, k := range key {
		cols[i] = pgx.Identifier{k}.Sanitize()
	}
	var exists, valid bool
	if err := c.QueryRow(ctx,
		`SELECT count(*) > 0, coalesce(bool_and(i.indisvalid), false) FROM pg_index i WHERE i.indexrelid = to_regclass($1)`,
		index).Scan(&exists, &valid); err != nil {
		return err
	}
	if exists && !valid && l.IsLeaf {
		// An earlier build was cut off.
		if _, err := c.Exec(ctx, `DROP INDEX CONCURRENTLY `+index); err != nil {
			return fmt.Errorf("drop the unfinished index %s: %w", index, err)
		}
		exists = false
	}
	if !exists {
		how := "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (%s)"
		if !l.IsLeaf {
			how = "CREATE UNIQUE INDEX %s ON ONLY %s (%s)"
		}
		// An index build waits for everybody's transactions; lock_timeout would leave it
		// unfinished.
		if _, err := c.Exec(ctx, `SET lock_timeout = 0`); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, fmt.Sprintf(how, pgx.Identifier{name}.Sanitize(), l.Ident(), strings.Join(cols, ", "))); err != nil {
			return fmt.Errorf("create index %s: %w", index, err)
		}
		if _, err := c.Exec(ctx, `SET lock_timeout = '5s'`); err != nil {
			return err
		}
	}
	if !l.IsLeaf {
		if err := attach(ctx, c, l, index); err != nil {
			return err
		}
	}
	return setIdentity(ctx, c, l, "USING INDEX "+pgx.Identifier{name}.Sanitize(), name)
}

// attach joins the children's indexes to the parent's, which makes it valid.
func attach(ctx context.Context, c *pgx.Conn, l postgres.Leaf, index string) error {
	rows, err := c.Query(ctx,
		`SELECT n.nspname, k.relname FROM pg_inherits h JOIN pg_class k ON k.oid = h.inhrelid
			JOIN pg_namespace n ON n.oid = k.relnamespace WHERE h.inhparent = $1`, l.OID)
	if err != nil {
		return err
	}
	children, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (x postgres.Leaf, err error) {
		err = r.Scan(&x.Schema, &x.Name)
		return x, err
	})
	if err != nil {
		return err
	}
	for _, k := range children {
		part := pgx.Identifier{k.Schema, identityIndex(k.Name)}.Sanitize()
		err := postgres.Patiently(ctx, func() error {
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
func setIdentity(ctx context.Context, c *pgx.Conn, l postgres.Leaf, to, made string) error {
	return postgres.Patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '400ms'`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO drover.identity (rel, was, idx, made)
				SELECT c.oid, c.relreplident::text, (SELECT x.relname FROM pg_index i
				JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident), nullif($2, '')
				FROM pg_class c WHERE c.oid = $1 ON CONFLICT DO NOTHING`, l.OID, made)
			if err != nil {
				return err
			}
			if _, err = tx.Exec(ctx, fmt.Sprintf("ALTER TABLE ONLY %s REPLICA IDENTITY %s", l.Ident(), to)); err != nil {
				return fmt.Errorf("set the replica identity of %s: %w", l.Ident(), err)
			}
			return nil
		})
	})
}
