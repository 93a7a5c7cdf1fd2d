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

// OverBudget holds the WAL of both directions against the plan's budget in bytes, 0 for none. A
// finding says what follows; a lost direction is a blocker, too much WAL a warning, on which a
// workflow holds new Moves.
func (p *Pair) OverBudget(ctx context.Context, budget int64) ([]migration.Finding, error) {
	list, err := p.Retained(ctx)
	if err != nil {
		return nil, err
	}
	var out []migration.Finding
	for _, r := range list {
		s, to := p.Side(r.Side), p.Side(r.Side.Other())
		f := migration.Finding{Check: "postgres-wal-budget", Subject: "database " + p.Name + " " + s.Where()}
		consequence := "customers there could not move to AWS"
		if r.Side == migration.AWS {
			consequence = "going back would lose what customers wrote on AWS"
		}
		switch {
		case r.Lost:
			f.Severity, f.Reason = migration.Blocker,
				fmt.Sprintf("replication slot %s is gone or has lost WAL: what is written there does not reach the database %s any "+
					"more, and %s", r.Slot, to.Where(), consequence)
			f.Remedy = "hold all Moves; replication of this dataset has to be set up again"
		case budget > 0 && r.Bytes > budget:
			f.Severity, f.Reason = migration.Warning, fmt.Sprintf("%d bytes of WAL wait for the database %s, and the plan allows %d: "+
				"they fill the disk of the server %s until it stops for all its customers", r.Bytes, to.Where(), budget, s.Where())
			if r.Room != nil {
				f.Reason += fmt.Sprintf("; after %d bytes more the server throws them away, and %s", *r.Room, consequence)
			}
			f.Remedy = "see why subscription " + r.Slot + " " + to.Where() + " does not keep up (pg_stat_subscription, that server's " +
				"log); no Move begins until it has"
		default:
			continue
		}
		out = append(out, f)
	}
	return out, nil
}
