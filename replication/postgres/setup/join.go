package setup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// How tenants join that had rows before the first copy, and stayed on premises until an amendment
// took them into the plan. Nobody else waits for it.
//
// A publication and a subscription of their own carry their rows to AWS, and what they write
// meanwhile. When these are close behind, one transaction on premises hands them over: it holds the
// writers of these tenants, waits until all that they had written has been applied on AWS, turns
// the plan's own publication on for them and this one off. What comes after it goes with
// everybody's. Their writers wait for it: it gives up after handoverLimit, and is tried again.
const (
	handoverLimit = 2 * time.Second
	handoverPause = 2 * time.Second // for the writers, before it is tried again
	joinPause     = 100 * time.Millisecond
)

// errBehind says that the copy of those who join had not caught up in time.
var errBehind = errors.New("the copy of those who join has not caught up in time")

// errNotCarried says that the subscription of those who join is gone, disabled, or has no table.
var errNotCarried = errors.New("nothing carries those who join any more: their subscription on AWS was taken away")

// join carries tenants over that stayed, and gives them fences and directions. Cut off anywhere, it
// is run again.
func join(ctx context.Context, p *postgres.Pair, c *carrier, tenants []int32, say func(string)) error {
	// Sealed on AWS before anything of theirs is there.
	err := postgres.Patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, p.AWS.Pool, func(tx pgx.Tx) error {
			if err := admitIn(ctx, p, tx, migration.AWS, tenants, nil, migration.OnPrem); err != nil {
				return err
			}
			return neverThere(ctx, tx, tenants)
		})
	})
	if err != nil {
		return fmt.Errorf("database %s: %w", p.AWS.Where(), err)
	}
	same, err := joining(ctx, p, tenants)
	if err != nil {
		return err
	}
	if !same {
		if err := beginJoin(ctx, p, c, tenants, say); err != nil {
			return err
		}
	}
	if err := joinCopied(ctx, p, say); err != nil {
		return err
	}
	say("handing over those who join")
	for tried := 0; ; {
		err := postgres.Patiently(ctx, func() error {
			err := c.use(func(conn *pgx.Conn) error { return handOver(ctx, p, conn, tenants) })
			if err != nil {
				tried++
				say(fmt.Sprintf("handing over those who join, which is tried again: it failed %d times, last because %s",
					tried, because(err)))
			}
			return err
		})
		switch {
		case err == nil:
			return endJoin(ctx, p, c)
		case !errors.Is(err, errBehind):
			return fmt.Errorf("hand over tenants that join: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("hand over tenants that join: %w", errBehind)
		case <-time.After(handoverPause):
		}
	}
}

// because is why tenants were not handed over, as a person should read it.
func because(err error) string {
	if postgres.IsCode(err, "55P03") {
		return "a transaction that writes for them has not ended (pg_stat_activity on premises shows which)"
	}
	return err.Error()
}

// neverThere wants that nobody of these ever was at home on AWS: what is there of them is nobody's.
// None of them can move there until the transaction ends.
func neverThere(ctx context.Context, q postgres.Querier, tenants []int32) error {
	var were []int32
	err := q.QueryRow(ctx, `SELECT coalesce(array_agg(tenant ORDER BY tenant) FILTER (WHERE state <> 'sealed' OR token <> 0), '{}')
		FROM (SELECT tenant, state, token FROM drover.fence WHERE tenant = ANY ($1::int[]) ORDER BY tenant FOR UPDATE) f`, tenants).Scan(&were)
	if err == nil && len(were) > 0 {
		err = fmt.Errorf("tenants %v have been at home on AWS, and stay on premises: see drover doctor", were)
	}
	return err
}

// joining says whether these tenants, and no others, are being carried over already.
func joining(ctx context.Context, p *postgres.Pair, tenants []int32) (same bool, err error) {
	var who string
	var slot bool
	err = p.OnPrem.Pool.QueryRow(ctx, `SELECT coalesce(obj_description(oid, 'pg_publication'), ''),
		EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1) FROM pg_publication WHERE pubname = $1`, p.Names.Joining).Scan(&who, &slot)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	}
	_, all, err := joinState(ctx, p)
	return all > 0 && slot && who == fmt.Sprint(tenants), err
}

// beginJoin begins to carry tenants over, from nothing.
func beginJoin(ctx context.Context, p *postgres.Pair, c *carrier, tenants []int32, say func(string)) error {
	say("copying the rows of those who join")
	if err := endJoin(ctx, p, c); err != nil {
		return err
	}
	tables, err := postgres.ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return err
	}
	list := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(tenants)), ", "), "[]")
	var carried []string
	for _, t := range postgres.Of(tables, postgres.Tenants) {
		column := pgx.Identifier{t.Column}.Sanitize()
		carried = append(carried, fmt.Sprintf("%s WHERE (%s IN (%s))", t.Ident(), column, list))
		// What an attempt that was cut off had copied. Whoever has the lock after this one waits
		// for the fences before it copies anything.
		err := p.AWS.Unhurried(ctx, func(conn *pgx.Conn) error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				if err := neverThere(ctx, tx, tenants); err != nil {
					return err
				}
				if err := c.holds(ctx); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, fmt.Sprintf(`DELETE FROM %s WHERE %s = ANY ($1::int[])`, t.Ident(), column), tenants)
				return err
			})
		})
		if err != nil {
			return fmt.Errorf("clear table %s %s of those who join: %w", t, p.AWS.Where(), err)
		}
	}
	name := pgx.Identifier{p.Names.Joining}.Sanitize()
	err = postgres.Patiently(ctx, func() error {
		return c.use(func(conn *pgx.Conn) error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				for _, sql := range []string{
					fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s WITH (publish = 'insert,update,delete', "+
						"publish_via_partition_root = true)", name, strings.Join(carried, ", ")),
					fmt.Sprintf("COMMENT ON PUBLICATION %s IS %s", name, postgres.Literal(fmt.Sprint(tenants))),
				} {
					if _, err := tx.Exec(ctx, sql); err != nil {
						return err
					}
				}
				return nil
			})
		})
	})
	if err != nil {
		return fmt.Errorf("publish those who join: %w", err)
	}
	return p.AWS.Unhurried(ctx, func(c *pgx.Conn) error {
		return createSubscription(ctx, p, c, migration.OnPrem, p.Names.Joining, []string{name})
	})
}

// joinState is how many tables the subscription of those who join has, and how many of them are
// copied. It has none where the subscription is not enabled.
func joinState(ctx context.Context, p *postgres.Pair) (ready, all int, err error) {
	err = p.AWS.Pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE r.srsubstate = 'r'), count(*) FROM pg_subscription_rel r
		JOIN pg_subscription u ON u.oid = r.srsubid WHERE u.subname = $1 AND u.subenabled`, p.Names.Joining).Scan(&ready, &all)
	if err != nil {
		err = fmt.Errorf("read how far the copy of those who join is: %w", err)
	}
	return ready, all, err
}

// joinCopied waits until the rows of those who join are on AWS.
func joinCopied(ctx context.Context, p *postgres.Pair, say func(string)) error {
	for {
		ready, all, err := joinState(ctx, p)
		switch {
		case err != nil:
			return err
		case all == 0:
			return errNotCarried
		case ready == all:
			return nil
		}
		say(fmt.Sprintf("rows of those who join: %d of %d tables ready", ready, all))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(joinPause):
		}
	}
}

// handOver is the moment from which the plan's own publication carries those who join. errBehind:
// nothing has changed.
func handOver(ctx context.Context, p *postgres.Pair, conn *pgx.Conn, tenants []int32) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := claim(ctx, p, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '400ms'`); err != nil {
			return err
		}
		// Whoever writes for them has the shared lock until the end of its transaction.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(724, t) FROM (SELECT DISTINCT t FROM unnest($1::int[]) t ORDER BY t) o`,
			tenants); err != nil {
			return err
		}
		if err := applied(ctx, p, tx); err != nil {
			return err
		}
		if err := leaveSpans(ctx, tx, tenants); err != nil {
			return err
		}
		if err := admitIn(ctx, p, tx, migration.OnPrem, tenants, nil, migration.OnPrem); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT drover.rebuild($1)`, p.Names.Forward); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DROP PUBLICATION IF EXISTS "+pgx.Identifier{p.Names.Joining}.Sanitize())
		return err
	})
}

// applied waits until everything that is in the log on premises now has been applied on AWS by the
// subscription of those who join. A slot runs ahead of tables that are still being copied.
func applied(ctx context.Context, p *postgres.Pair, tx pgx.Tx) error {
	var mark string
	if err := tx.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn()::text`).Scan(&mark); err != nil {
		return err
	}
	for end := time.Now().Add(handoverLimit); ; {
		ready, all, err := joinState(ctx, p)
		if err != nil {
			return err
		}
		var slot, there bool
		err = p.OnPrem.Pool.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_and(confirmed_flush_lsn >= $2::text::pg_lsn), false)
			FROM pg_replication_slots WHERE slot_name = $1`, p.Names.Joining, mark).Scan(&slot, &there)
		switch {
		case err != nil:
			return err
		case all == 0, !slot:
			return errNotCarried
		case there && ready == all:
			return nil
		case time.Now().After(end):
			return errBehind
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(joinPause / 5):
		}
	}
}

// leaveSpans takes tenants out of the spans of those that stay.
func leaveSpans(ctx context.Context, tx pgx.Tx, tenants []int32) error {
	_, err := tx.Exec(ctx, `WITH gone AS (DELETE FROM drover.elsewhere e WHERE EXISTS (SELECT FROM unnest($1::int[]) t
		    WHERE t BETWEEN e.first AND e.last) RETURNING first, last, here),
		points AS (SELECT first AS span, here, first - 1 AS at FROM gone UNION ALL SELECT first, here, last + 1 FROM gone
		  UNION ALL SELECT first, here, t FROM gone JOIN unnest($1::int[]) t ON t BETWEEN first AND last),
		pieces AS (SELECT here, at + 1 AS f, lead(at) OVER (PARTITION BY span ORDER BY at) - 1 AS l FROM points)
		INSERT INTO drover.elsewhere (first, last, here) SELECT f, l, here FROM pieces WHERE l >= f`, tenants)
	return err
}

// endJoin takes away what carried those who join.
func endJoin(ctx context.Context, p *postgres.Pair, c *carrier) error {
	if err := dropSubscription(ctx, p.AWS, p.OnPrem, p.Names.Joining); err != nil {
		return err
	}
	err := c.use(func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DROP PUBLICATION IF EXISTS "+pgx.Identifier{p.Names.Joining}.Sanitize())
		return err
	})
	if err != nil {
		return fmt.Errorf("drop publication %s: %w", p.Names.Joining, err)
	}
	return nil
}
