package setup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// subscribe makes the subscription that carries changes away from a side. The way to AWS copies
// what is there; the way back starts empty, since AWS has nothing of its own yet. One that stands
// takes in the tables that were published after it was made, with the rows of the tenants that are
// at home where they come from: filters see to that.
func subscribe(ctx context.Context, p *postgres.Pair, from migration.Side) error {
	source, target := p.Side(from), p.Side(from.Other())
	name := p.Names.Outgoing(from)
	pubs := []string{pgx.Identifier{name}.Sanitize()}
	if from == migration.OnPrem {
		var ref bool
		if err := source.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)`,
			p.Names.Reference).Scan(&ref); err != nil {
			return err
		}
		if ref {
			pubs = append(pubs, pgx.Identifier{p.Names.Reference}.Sanitize())
		}
	}
	return target.Unhurried(ctx, func(c *pgx.Conn) error {
		exists, enabled, err := postgres.Subscription(ctx, c, name)
		if err != nil {
			return err
		}
		unfinished, err := postgres.IsUnfinished(ctx, c, name)
		switch {
		case err != nil:
			return err
		case !exists, unfinished:
			return createSubscription(ctx, p, c, from, name, pubs)
		}
		if err := p.RenewOver(ctx, c, from); err != nil {
			return err
		}
		alter := "ALTER SUBSCRIPTION " + pgx.Identifier{name}.Sanitize()
		if !enabled {
			if _, err := c.Exec(ctx, alter+" ENABLE"); err != nil {
				return fmt.Errorf("enable subscription %s: %w", name, err)
			}
		}
		if _, err := c.Exec(ctx, alter+" SET PUBLICATION "+strings.Join(pubs, ", ")+
			" WITH (refresh = true, copy_data = true)"); err != nil {
			return fmt.Errorf("take new tables into subscription %s: %w", name, err)
		}
		return nil
	})
}

// createSubscription makes the subscription, takes its tables in, and makes the slot last, apart
// from it. A server makes a slot when every transaction that was open there is over, and CREATE
// SUBSCRIPTION would wait for that within a transaction of its own: those of two databases in
// opposite directions would wait for each other for ever, and one on premises would hold back every
// VACUUM while a first copy is written. Until it is finished the subscription's comment says so:
// one that was cut off is dropped and made again.
func createSubscription(ctx context.Context, p *postgres.Pair, c *pgx.Conn, from migration.Side, name string, pubs []string) error {
	source := p.Side(from)
	peer, err := source.Peer(ctx)
	if err != nil {
		return err
	}
	options := "streaming = off"
	var version int
	if err := c.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return err
	}
	if version >= 160000 {
		// Only what was written here goes on. Before 16 the filters alone see to it.
		options += ", origin = none"
	}
	return source.Unhurried(ctx, func(at *pgx.Conn) error {
		// Until its end this transaction keeps others from the slot: a zombie would take it for the
		// remains of a cut-off attempt. It writes nothing, so that no slot has to wait for it.
		return pgx.BeginFunc(ctx, at, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', '0', true), pg_advisory_xact_lock(hashtextextended($1, 0))`,
				name); err != nil {
				return fmt.Errorf("lock replication slot %s %s: %w", name, source.Where(), err)
			}
			if err := postgres.DropUnfinished(ctx, c, name); err != nil {
				return fmt.Errorf("drop the unfinished subscription %s: %w", name, err)
			}
			if exists, _, err := postgres.Subscription(ctx, c, name); err != nil || exists {
				return err
			}
			if name == p.Names.Forward {
				if err := refuseSecondCopy(ctx, p); err != nil {
					return err
				}
			}
			if err := postgres.CreateSubscription(ctx, c, name, strings.Join(pubs, ", "), options, peer); err != nil {
				return fmt.Errorf("create subscription %s to %s: %w", name, peer, err)
			}
			return finishSubscription(ctx, c, tx, source, name, from == migration.OnPrem)
		})
	})
}

// finishSubscription takes the tables in, makes the slot and lets the subscription run. Tables can
// be taken in only while it is enabled; its worker finds no slot then, and reads nothing that it
// would throw away.
func finishSubscription(ctx context.Context, c *pgx.Conn, tx pgx.Tx, source *postgres.Server, name string, copied bool) error {
	sub := pgx.Identifier{name}.Sanitize()
	// Without a subscription it is what a cut-off attempt left, and nothing was read from it.
	if _, err := tx.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active`,
		name); err != nil {
		return fmt.Errorf("drop the orphaned replication slot %s %s: %w", name, source.Where(), err)
	}
	for _, sql := range []string{
		" ENABLE", fmt.Sprintf(" REFRESH PUBLICATION WITH (copy_data = %t)", copied), " DISABLE",
	} {
		if _, err := c.Exec(ctx, "ALTER SUBSCRIPTION "+sub+sql); err != nil {
			return fmt.Errorf("take the tables into subscription %s: %w", name, err)
		}
	}
	if _, err := tx.Exec(ctx, `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, name); err != nil {
		return fmt.Errorf("make replication slot %s %s: %w", name, source.Where(), err)
	}
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		for _, sql := range []string{"ALTER SUBSCRIPTION " + sub + " ENABLE", "COMMENT ON SUBSCRIPTION " + sub + " IS NULL"} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("enable subscription %s: %w", name, err)
			}
		}
		return nil
	})
}

// ErrTargetNotEmpty says that rows stand where a first copy would write them.
var ErrTargetNotEmpty = errors.New("the first copy would double them: " + EmptyIt)

const EmptyIt = "empty it: DROP the tables of that database, or TRUNCATE them"

// refuseSecondCopy keeps a first copy away from rows that stand on AWS: of another plan, of a run
// before this one, or of a subscription that was dropped by hand.
func refuseSecondCopy(ctx context.Context, p *postgres.Pair) error {
	tables, err := postgres.ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return err
	}
	full, err := RowsOnAWS(ctx, p, tables)
	if err != nil {
		return err
	}
	if len(full) > 0 {
		return fmt.Errorf("table %s on AWS has rows: %w", full[0], ErrTargetNotEmpty)
	}
	return nil
}

// RowsOnAWS are the tables that take part and have rows on AWS which this plan's own subscription
// did not bring.
func RowsOnAWS(ctx context.Context, p *postgres.Pair, tables []postgres.Table) (full []postgres.Table, err error) {
	for _, t := range tables {
		if t.Class != postgres.Tenants && t.Class != postgres.Reference {
			continue
		}
		var readable, ours, some bool
		err := p.AWS.Pool.QueryRow(ctx, `SELECT coalesce(has_table_privilege(to_regclass($1), 'SELECT'), false), EXISTS (SELECT FROM
			pg_subscription_rel r
			JOIN pg_subscription u ON u.oid = r.srsubid WHERE u.subname = $2 AND r.srrelid = to_regclass($1))`, t.Ident(), p.Names.Forward).Scan(&readable, &ours)
		if err != nil {
			return nil, fmt.Errorf("read the privileges of table %s on AWS: %w", t, err)
		}
		if !readable || ours { // the role does not own it, which the preflight says; or it is not there
			continue
		}
		if err := p.AWS.Pool.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s)`, t.Ident())).Scan(&some); err != nil {
			return nil, fmt.Errorf("read table %s on AWS: %w", t, err)
		}
		if some {
			full = append(full, t)
		}
	}
	return full, nil
}
