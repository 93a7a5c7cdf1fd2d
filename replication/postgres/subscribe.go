package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drover-migration/drover/migration"
)

// subscribe makes the subscription that carries changes away from a side. The way to AWS copies what is there; the way back starts
// empty, since AWS has nothing of its own yet. One that stands takes in the tables that were published after it was made, with the rows of
// the tenants that are at home where they come from: filters see to that.
func (p *Pair) subscribe(ctx context.Context, from migration.Side) error {
	source, target := p.Side(from), p.Side(from.Other())
	name := p.Names.Outgoing(from)
	pubs := []string{pgx.Identifier{name}.Sanitize()}
	if from == migration.OnPrem {
		var ref bool
		if err := source.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)`, p.Names.Reference).Scan(&ref); err != nil {
			return err
		}
		if ref {
			pubs = append(pubs, pgx.Identifier{p.Names.Reference}.Sanitize())
		}
	}
	return target.unhurried(ctx, func(c *pgx.Conn) error {
		exists, enabled, err := subscription(ctx, c, name)
		switch {
		case err != nil:
			return err
		case !exists:
			return p.createSubscription(ctx, c, from, pubs)
		}
		if err := p.renewOver(ctx, c, from); err != nil {
			return err
		}
		alter := "ALTER SUBSCRIPTION " + pgx.Identifier{name}.Sanitize()
		if !enabled {
			if _, err := c.Exec(ctx, alter+" ENABLE"); err != nil {
				return fmt.Errorf("enable subscription %s: %w", name, err)
			}
		}
		if _, err := c.Exec(ctx, alter+" SET PUBLICATION "+strings.Join(pubs, ", ")+" WITH (refresh = true, copy_data = true)"); err != nil {
			return fmt.Errorf("take new tables into subscription %s: %w", name, err)
		}
		return nil
	})
}

// renewEvery is how long changes may fail to come before the connection of their subscription is looked at: each look resolves a
// secret.
const renewEvery = 5 * time.Second

// renew gives the subscription away from a side the login that the side accepts now: a server keeps the one it was given, and after a
// rotation it is refused when its connection is cut. The same connection again changes nothing, so that it is written once by each
// worker and then when the secret has changed.
//
// Not covered: a rotation that changes the name as well, unless the new role owns what the old one made (a subscription is altered by
// its owner alone); and a cut between a rotation and the next look, which costs the time until then.
func (p *Pair) renew(ctx context.Context, from migration.Side) error {
	return p.Side(from.Other()).unhurried(ctx, func(c *pgx.Conn) error { return p.renewOver(ctx, c, from) })
}

func (p *Pair) renewOver(ctx context.Context, c *pgx.Conn, from migration.Side) error {
	source, name := p.Side(from), p.Names.Outgoing(from)
	peer, err := source.with(ctx, source.peer)
	if err != nil {
		return err
	}
	p.mu.Lock()
	same := p.renewed[name] == peer
	p.mu.Unlock()
	if same {
		return nil
	}
	if exists, _, err := subscription(ctx, c, name); err != nil || !exists {
		return err
	}
	quietly(ctx, c)
	if _, err := c.Exec(ctx, fmt.Sprintf("ALTER SUBSCRIPTION %s CONNECTION %s", pgx.Identifier{name}.Sanitize(), literal(peer.conninfo(name)))); err != nil {
		return fmt.Errorf("renew the connection of subscription %s to %s: %w", name, peer, withoutSecret(err, peer))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.renewed == nil {
		p.renewed = map[string]Address{}
	}
	p.renewed[name] = peer
	return nil
}

func subscription(ctx context.Context, q querier, name string) (exists, enabled bool, err error) {
	err = q.QueryRow(ctx, `SELECT subenabled FROM pg_subscription WHERE subname = $1 AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`, name).Scan(&enabled)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("read subscription %s: %w", name, err)
	}
	return true, enabled, nil
}

// createSubscription makes the slot apart from the subscription. A server makes a slot when every transaction that was open there is
// over, and CREATE SUBSCRIPTION would wait for that within a transaction of its own: those of two databases in opposite directions
// would wait for each other for ever, and one on premises would hold back every VACUUM while a first copy is written.
func (p *Pair) createSubscription(ctx context.Context, c *pgx.Conn, from migration.Side, pubs []string) error {
	source, name := p.Side(from), p.Names.Outgoing(from)
	peer, err := source.with(ctx, source.peer)
	if err != nil {
		return err
	}
	options := fmt.Sprintf("create_slot = false, copy_data = %t, streaming = off", from == migration.OnPrem)
	var version int
	if err := c.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return err
	}
	if version >= 160000 {
		// Only what was written here goes on. Before 16 the filters alone see to it.
		options += ", origin = none"
	}
	quietly(ctx, c)
	return source.unhurried(ctx, func(at *pgx.Conn) error {
		// Until its end this transaction keeps others from the slot: a zombie would take it for the remains of a cut-off attempt. It writes
		// nothing, so that no slot has to wait for it.
		return pgx.BeginFunc(ctx, at, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', '0', true), pg_advisory_xact_lock(hashtextextended($1, 0))`, name); err != nil {
				return fmt.Errorf("lock replication slot %s %s: %w", name, source.where(), err)
			}
			if exists, _, err := subscription(ctx, c, name); err != nil || exists {
				return err
			}
			if from == migration.OnPrem {
				if err := p.refuseSecondCopy(ctx); err != nil {
					return err
				}
			}
			// Without a subscription it is what a cut-off attempt left, and nothing was read from it.
			if _, err := tx.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active`, name); err != nil {
				return fmt.Errorf("drop the orphaned replication slot %s %s: %w", name, source.where(), err)
			}
			if _, err := tx.Exec(ctx, `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, name); err != nil {
				return fmt.Errorf("make replication slot %s %s: %w", name, source.where(), err)
			}
			_, err := c.Exec(ctx, fmt.Sprintf("CREATE SUBSCRIPTION %s CONNECTION %s PUBLICATION %s WITH (%s)",
				pgx.Identifier{name}.Sanitize(), literal(peer.conninfo(name)), strings.Join(pubs, ", "), options))
			if err != nil {
				return fmt.Errorf("create subscription %s to %s: %w", name, peer, withoutSecret(err, peer))
			}
			return nil
		})
	})
}

// ErrTargetNotEmpty says that rows stand where a first copy would write them.
var ErrTargetNotEmpty = errors.New("the first copy would double them: " + emptyIt)

const emptyIt = "empty it: DROP the tables of that database, or TRUNCATE them"

// refuseSecondCopy keeps a first copy away from rows that stand on AWS: of another plan, of a run before this one, or of a
// subscription that was dropped by hand.
func (p *Pair) refuseSecondCopy(ctx context.Context) error {
	tables, err := readTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return err
	}
	full, err := p.rowsOnAWS(ctx, tables)
	if err != nil {
		return err
	}
	if len(full) > 0 {
		return fmt.Errorf("table %s on AWS has rows: %w", full[0], ErrTargetNotEmpty)
	}
	return nil
}

// rowsOnAWS are the tables that take part and have rows on AWS which this plan's own subscription did not bring.
func (p *Pair) rowsOnAWS(ctx context.Context, tables []Table) (full []Table, err error) {
	for _, t := range tables {
		if t.Class != Tenants && t.Class != Reference {
			continue
		}
		var readable, ours, some bool
		err := p.AWS.Pool.QueryRow(ctx, `SELECT coalesce(has_table_privilege(to_regclass($1), 'SELECT'), false), EXISTS (SELECT FROM pg_subscription_rel r
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

// quietly keeps the server from logging the next statement, which holds a password. Only a superuser may; for others the server's own
// settings decide.
func quietly(ctx context.Context, c *pgx.Conn) {
	for _, set := range []string{"log_statement = 'none'", "log_min_error_statement = 'panic'", "log_min_duration_statement = -1"} {
		_, _ = c.Exec(ctx, "SET "+set)
	}
}

func literal(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		q = " E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

// withoutSecret makes sure that no word of the server repeats the password.
func withoutSecret(err error, a Address) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || a.Password == "" {
		return err
	}
	c := *pg
	for _, f := range []*string{&c.Message, &c.Detail, &c.Hint, &c.Where, &c.InternalQuery} {
		*f = strings.ReplaceAll(*f, a.Password, "***")
	}
	return &c
}
