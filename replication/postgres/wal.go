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
	Slot  string
	Bytes int64  // from the slot's restart position to the present
	Lost  bool   // the server has thrown WAL away that the slot needs: this direction is over
	Room  *int64 // bytes until the server throws it away; nil: it never does
}

// Retained measures both directions. Without a slot nothing is kept for that direction, and it is
// Lost.
func (p *Pair) Retained(ctx context.Context) ([]Retained, error) {
	var out []Retained
	for _, s := range p.Both() {
		r := Retained{Side: s.Side, Slot: p.Names.Outgoing(s.Side)}
		err := s.Pool.QueryRow(ctx, `SELECT coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint, coalesce(wal_status =
			'lost', false), safe_wal_size
			FROM pg_replication_slots WHERE slot_name = $1 AND database = current_database()`, r.Slot).Scan(&r.Bytes, &r.Lost, &r.Room)
		if errors.Is(err, pgx.ErrNoRows) {
			r.Lost = true
		} else if err != nil {
			return nil, fmt.Errorf("read replication slot %s %s: %w", r.Slot, s.Where(), err)
		}
		out = append(out, r)
	}
	return out, nil
}

// OverBudget holds the WAL of both directions against the plan's budget in bytes, 0 for none, and
// looks whether both directions flow. A finding says what follows and names one command. A
// direction that is lost is a blocker; too much WAL and a subscription that does not run are
// warnings, on which a workflow holds new Moves too.
func (p *Pair) OverBudget(ctx context.Context, budget int64) ([]migration.Finding, error) {
	list, err := p.Retained(ctx)
	if err != nil {
		return nil, err
	}
	var out []migration.Finding
	for _, r := range list {
		s, to := p.Side(r.Side), p.Side(r.Side.Other())
		broken, err := p.broken(ctx, to, r.Slot)
		if err != nil {
			return nil, err
		}
		f := migration.Finding{Check: "postgres-wal-budget", Subject: "database " + p.Name + " " + s.Where()}
		switch lost, remedy := p.consequence(r.Side); {
		case r.Lost || broken == gone:
			f.Severity, f.Remedy = migration.Blocker, remedy
			f.Reason = fmt.Sprintf("replication slot %s is gone or has lost WAL", r.Slot)
			if !r.Lost {
				f.Reason = fmt.Sprintf("subscription %s %s is gone", r.Slot, to.Where())
			}
			f.Reason += fmt.Sprintf(": what is written there does not reach the database %s any more, and %s", to.Where(), lost)
		case broken != "":
			f.Severity, f.Check = migration.Warning, "postgres-subscription"
			f.Reason = fmt.Sprintf("subscription %s %s %s: while that lasts, what is written there does not reach the database %s, its "+
				"WAL fills the disk of the server %s, and %s", r.Slot, to.Where(), broken, to.Where(), s.Where(), lost)
			f.Remedy = "`ALTER SUBSCRIPTION " + r.Slot + " ENABLE` in the database " + to.Where() + " lets it run again; why it does not " +
				"stands in that server's log"
		case budget > 0 && r.Bytes > budget:
			f.Severity, f.Reason = migration.Warning, fmt.Sprintf("%d bytes of WAL wait for the database %s, and the plan allows %d: "+
				"they fill the disk of the server %s until it stops for all its customers", r.Bytes, to.Where(), budget, s.Where())
			if r.Room != nil {
				f.Reason += fmt.Sprintf("; after %d bytes more the server throws them away, and %s", *r.Room, lost)
			}
			f.Remedy = "`SELECT * FROM pg_stat_subscription WHERE subname = '" + r.Slot + "'` in the database " + to.Where() +
				" shows how far it is; no Move begins until it keeps up"
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
