package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// Retained is the WAL that a side's server keeps for the other side.
type Retained struct {
	Side  migration.Side // whose disk it fills
	Slot  string         // of the direction, and its subscription
	Bytes int64          // from the restart position of the slot that is farthest behind to the present
	For   string         // the copy that keeps most of it, such as "table orders"; "": the direction itself
	Lost  bool           // the server has thrown WAL away that the direction's slot needs: this direction is over
	Room  *int64         // bytes until the server throws it away; nil: it never does
}

// Retained measures both directions, with the slots of copies under way: of a table that is taken
// in, the first time or later, and of tenants that join. Without a slot nothing is kept for that
// direction, and it is Lost.
func (p *Pair) Retained(ctx context.Context) ([]Retained, error) {
	var out []Retained
	for _, s := range p.Both() {
		r := Retained{Side: s.Side, Slot: p.Names.Outgoing(s.Side), Lost: true}
		copies, err := p.copying(ctx, p.Side(s.Side.Other()), r.Slot)
		if err != nil {
			return nil, err
		}
		// Its copies come first, so that of two that are as far behind the direction itself counts.
		rows, err := s.Pool.Query(ctx, `SELECT slot_name, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint,
			coalesce(wal_status = 'lost', false), safe_wal_size FROM pg_replication_slots
			WHERE (slot_name = ANY ($1) OR slot_name ~ $2) AND database = current_database() ORDER BY slot_name = $3`,
			[]string{r.Slot, p.Names.Joining}, copies, r.Slot)
		if err != nil {
			return nil, fmt.Errorf("read the replication slots of %s %s: %w", r.Slot, s.Where(), err)
		}
		most := ""
		var slot string
		var bytes int64
		var lost bool
		var room *int64
		_, err = pgx.ForEachRow(rows, []any{&slot, &bytes, &lost, &room}, func() error {
			if slot == r.Slot {
				r.Lost = lost
			}
			if bytes >= r.Bytes {
				most, r.Bytes, r.Room = slot, bytes, room
			}
			return nil
		})
		if err == nil && most != "" && most != r.Slot {
			r.For, err = p.copyOf(ctx, p.Side(s.Side.Other()), most)
		}
		if err != nil {
			return nil, fmt.Errorf("read the replication slots of %s %s: %w", r.Slot, s.Where(), err)
		}
		out = append(out, r)
	}
	return out, nil
}

// copying matches the names of the slots by which a side copies tables of a direction: PostgreSQL
// names them by the oids of the subscription and of the table there
// (ReplicationSlotNameForTablesync).
func (p *Pair) copying(ctx context.Context, at *Server, direction string) (pattern string, err error) {
	err = at.Pool.QueryRow(ctx, `SELECT coalesce('^pg_(' || string_agg(oid::text, '|') || ')_sync_', '^$') FROM pg_subscription
		WHERE subname = ANY ($1) AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
		[]string{direction, p.Names.Joining}).Scan(&pattern)
	if err != nil {
		return "", fmt.Errorf("read subscription %s %s: %w", direction, at.Where(), err)
	}
	return pattern, nil
}

// copyOf says what a slot copies that is no direction's.
func (p *Pair) copyOf(ctx context.Context, at *Server, slot string) (what string, err error) {
	if slot == p.Names.Joining {
		return "those who join", nil
	}
	err = at.Pool.QueryRow(ctx, `SELECT 'table ' || (substring($1 from '_sync_([0-9]+)_')::oid::regclass)::text`, slot).Scan(&what)
	return what, err
}

// Flow is what was found of the direction away from a side.
type Flow struct {
	migration.Finding

	From  migration.Side
	Halts bool // what is written there does not arrive; where it is a blocker, it never will
}

// OverBudget holds the WAL of both directions against the plan's budget in bytes, 0 for none, and
// looks whether both directions flow. A finding says what follows and names one command. A
// direction that is lost is a blocker; too much WAL and a subscription that does not run are
// warnings, on which a workflow holds new Moves too.
func (p *Pair) OverBudget(ctx context.Context, budget int64) ([]Flow, error) {
	list, err := p.Retained(ctx)
	if err != nil {
		return nil, err
	}
	var out []Flow
	for _, r := range list {
		s, to := p.Side(r.Side), p.Side(r.Side.Other())
		broken, err := p.broken(ctx, to, r.Slot)
		if err != nil {
			return nil, err
		}
		f := Flow{Finding: migration.Finding{Check: "postgres-wal-budget", Subject: "database " + p.Name + " " + s.Where()}, From: r.Side}
		switch lost, remedy := p.consequence(r.Side); {
		case r.Lost || broken == gone:
			f.Severity, f.Remedy, f.Halts = migration.Blocker, remedy, true
			f.Reason = fmt.Sprintf("replication slot %s is gone or has lost WAL", r.Slot)
			if !r.Lost {
				f.Reason = fmt.Sprintf("subscription %s %s is gone", r.Slot, to.Where())
			}
			f.Reason += fmt.Sprintf(": what is written there does not reach the database %s any more, and %s", to.Where(), lost)
		case broken != "":
			f.Severity, f.Check, f.Halts = migration.Warning, "postgres-subscription", true
			f.Reason = fmt.Sprintf("subscription %s %s %s: while that lasts, what is written there does not reach the database %s, its "+
				"WAL fills the disk of the server %s, and %s", r.Slot, to.Where(), broken, to.Where(), s.Where(), lost)
			f.Remedy = "`ALTER SUBSCRIPTION " + r.Slot + " ENABLE` in the database " + to.Where() + " lets it run again; why it does not " +
				"stands in that server's log"
		case budget > 0 && r.Bytes > budget:
			f.Severity, f.Reason = migration.Warning, fmt.Sprintf("%d bytes of WAL wait for the database %s, and the plan allows %d: "+
				"they fill the disk of the server %s until it stops for all its customers", r.Bytes, to.Where(), budget, s.Where())
			if r.For != "" {
				f.Reason += "; the copy of " + r.For + " keeps most of them"
			}
			if r.Room != nil {
				f.Reason += fmt.Sprintf("; after %d bytes more the server throws them away, and %s", *r.Room, lost)
			}
			f.Remedy = "`SELECT * FROM pg_stat_subscription WHERE subname = '" + r.Slot + "'` in the database " + to.Where() +
				" shows how far it is; no Move begins until it keeps up"
			if r.For != "" {
				f.Remedy = "`SELECT * FROM pg_stat_progress_copy` in the database " + to.Where() + " shows how far it is; no Move begins " +
					"until it has ended, and `drover abort " + p.Plan + "` gives the disk back"
			}
		default:
			continue
		}
		out = append(out, f)
	}
	return out, nil
}

// consequence is what the loss of the direction away from a side means, and the one command that is
// left.
func (p *Pair) consequence(from migration.Side) (lost, remedy string) {
	if from == migration.AWS {
		return "going back would lose what customers wrote on AWS",
			"nobody goes back any more: `drover status " + p.Plan + "` shows who is on AWS and stays there"
	}
	return "customers there could not move to AWS",
		"`drover rollback " + p.Plan + " --all --reason \"replication to AWS is lost\"` takes home who is on AWS, since the way back " +
			"stands; then abort, and submit the plan again"
}

// gone is what broken says of a subscription that is not there.
const gone = "is gone"

// broken says why a subscription does not run; "": it does. One whose worker has just been started
// again runs.
func (p *Pair) broken(ctx context.Context, at *Server, name string) (why string, err error) {
	var enabled, works bool
	var failed int64
	err = at.Pool.QueryRow(ctx, `SELECT u.subenabled, coalesce(bool_or(w.pid IS NOT NULL), false), coalesce(max(e.apply_error_count), 0)
		FROM pg_subscription u LEFT JOIN pg_stat_subscription w ON w.subid = u.oid AND w.relid IS NULL
		LEFT JOIN pg_stat_subscription_stats e ON e.subid = u.oid
		WHERE u.subname = $1 AND u.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		GROUP BY u.oid, u.subenabled`, name).Scan(&enabled, &works, &failed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return gone, nil
	case err != nil:
		return "", fmt.Errorf("read subscription %s %s: %w", name, at.Where(), err)
	case !enabled:
		return "is disabled", nil
	case !works && failed > 0:
		return fmt.Sprintf("fails again and again (%d times so far)", failed), nil
	}
	return "", nil
}
