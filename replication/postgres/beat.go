package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// Lag is how far each direction is behind, measured by a beat that was written on one side and seen
// on the other, and not by what a server says it has sent. The time includes finding the beat, a
// few milliseconds.
type Lag struct {
	Forward, Back               time.Duration
	ForwardBytes, BackBytes     int64 // WAL that the subscriber has not confirmed
	ForwardDecoded, BackDecoded int64 // bytes of changes decoded for it, of all tenants, since the slot or its statistics began
}

// ErrNoBeat says that a beat did not arrive in time: that direction does not flow.
var ErrNoBeat = errors.New("no beat arrived")

// Lag measures both directions at once. A beat that has not arrived when ctx ends is ErrNoBeat,
// which names the direction and what the subscription's worker says.
func (p *Pair) Lag(ctx context.Context) (Lag, error) { return p.lagFrom(ctx, bothWays) }

// bothWays are the directions away from these sides.
var bothWays = []migration.Side{migration.OnPrem, migration.AWS}

// lagFrom is Lag of the directions away from some sides; that of the others stays 0.
func (p *Pair) lagFrom(ctx context.Context, sides []migration.Side) (Lag, error) {
	var l Lag
	g, gctx := errgroup.WithContext(ctx)
	if slices.Contains(sides, migration.OnPrem) {
		g.Go(func() (err error) { l.Forward, err = p.beat(gctx, p.OnPrem, p.AWS); return err })
		g.Go(func() (err error) {
			l.ForwardBytes, l.ForwardDecoded, err = p.OnPrem.sent(gctx, p.Names.Forward)
			return err
		})
	}
	if slices.Contains(sides, migration.AWS) {
		g.Go(func() (err error) { l.Back, err = p.beat(gctx, p.AWS, p.OnPrem); return err })
		g.Go(func() (err error) {
			l.BackBytes, l.BackDecoded, err = p.AWS.sent(gctx, p.Names.Back)
			return err
		})
	}
	return l, g.Wait()
}

// beatPoll is how often the other side is asked for a beat.
const beatPoll = 2 * time.Millisecond

// beat writes the heartbeat's row (tenant 0 of the publication) and waits for it on the other side.
// Beats of several workers overwrite each other, so a later one counts as well.
func (p *Pair) beat(ctx context.Context, from, to *Server) (time.Duration, error) {
	pub, owner := p.Names.Outgoing(from.Side), uuid.NewString()
	begun := time.Now()
	var token int64
	err := from.Pool.QueryRow(ctx, `INSERT INTO drover.beat AS b (pub, tenant, token, owner) VALUES ($1, 0, 1, $2)
		ON CONFLICT (pub, tenant) DO UPDATE SET token = b.token + 1, owner = excluded.owner, at = clock_timestamp() RETURNING token`, pub, owner).Scan(&token)
	if err != nil {
		return 0, fmt.Errorf("write a beat %s: %w", from.Where(), err)
	}
	tick, late := time.NewTicker(beatPoll), time.NewTicker(renewEvery)
	defer tick.Stop()
	defer late.Stop()
	for {
		var seen int64
		err := to.Pool.QueryRow(ctx, `SELECT token FROM drover.beat WHERE pub = $1 AND tenant = 0`, pub).Scan(&seen)
		if err == nil && seen >= token {
			return time.Since(begun), nil
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) && ctx.Err() == nil {
			return 0, fmt.Errorf("look for a beat %s: %w", to.Where(), err)
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("beat from %s to %s: %w after %s; look at subscription %s and its server's log", from.Side, to.Side,
				ErrNoBeat, time.Since(begun).Round(time.Millisecond), pub)
		case <-late.C:
			if err := p.renew(ctx, from.Side); err != nil && ctx.Err() == nil {
				return 0, err
			}
		case <-tick.C:
		}
	}
}

// sent is the WAL of a slot that its subscriber has not confirmed, and what was decoded for it, in
// bytes; 0 without a slot.
func (s *Server) sent(ctx context.Context, slot string) (unconfirmed, decoded int64, err error) {
	err = s.Pool.QueryRow(ctx,
		`SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)), 0)::bigint, coalesce(max(t.total_bytes), 0)::bigint
			FROM pg_replication_slots s LEFT JOIN pg_stat_replication_slots t USING (slot_name) WHERE slot_name = $1`, slot).
		Scan(&unconfirmed, &decoded)
	if err != nil {
		return 0, 0, fmt.Errorf("read replication slot %s %s: %w", slot, s.Where(), err)
	}
	return unconfirmed, decoded, nil
}

// Sync is how far the first copy is.
type Sync struct {
	Tables, Ready int
	Copied        int64    // rows copied so far by the copies under way
	Waiting       []string // tables that are not ready, "schema.table (copying)"
}

// Done says that every table of both directions replicates.
func (s Sync) Done() bool { return s.Tables > 0 && s.Ready == s.Tables }

// Sync reads the state of both subscriptions' tables.
func (p *Pair) Sync(ctx context.Context) (Sync, error) { return p.syncFrom(ctx, bothWays) }

// syncFrom is Sync of the directions away from some sides.
func (p *Pair) syncFrom(ctx context.Context, sides []migration.Side) (Sync, error) {
	var out Sync
	for _, from := range sides {
		s, sub := p.Side(from.Other()), p.Names.Outgoing(from)
		rows, err := s.Pool.Query(ctx, `SELECT r.srrelid::regclass::text, r.srsubstate::text, coalesce(c.tuples_processed, 0)
			FROM pg_subscription_rel r JOIN pg_subscription u ON u.oid = r.srsubid LEFT JOIN pg_stat_progress_copy c ON c.relid = r.srrelid
			WHERE u.subname = $1 AND u.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1`, sub)
		if err != nil {
			return out, fmt.Errorf("read subscription %s %s: %w", sub, s.Where(), err)
		}
		seen := out.Tables
		for rows.Next() {
			var rel, state string
			var copied int64
			if err := rows.Scan(&rel, &state, &copied); err != nil {
				return out, err
			}
			out.Tables++
			out.Copied += copied
			if state == "r" {
				out.Ready++
			} else {
				out.Waiting = append(out.Waiting, rel+" ("+syncStates[state]+")")
			}
		}
		if err := rows.Err(); err != nil {
			return out, fmt.Errorf("read subscription %s %s: %w", sub, s.Where(), err)
		}
		if out.Tables == seen {
			return out, fmt.Errorf("subscription %s %s: %w", sub, s.Where(), ErrNotPrepared)
		}
	}
	return out, nil
}

// AwaitSync waits until every table of both directions replicates and a beat has made the way in
// each. The order matters: what the first copies wrote is committed lazily, and a crash could take
// it back, rows and states, after they were seen here; the beats are committed for good, and all
// before them with them. A Move that started in between would open without those rows: its mark
// travels by a table that is ready already.
func (p *Pair) AwaitSync(ctx context.Context, say func(string)) error {
	tick, late := time.NewTicker(100*time.Millisecond), time.NewTicker(renewEvery)
	defer tick.Stop()
	defer late.Stop()
	for {
		s, err := p.Sync(ctx)
		switch {
		case err != nil:
			return err
		case s.Done():
			say("waiting for a beat in each direction")
			if _, err := p.Lag(ctx); err != nil {
				return err
			}
			return p.fillViews(ctx, say)
		}
		say(fmt.Sprintf("%d of %d tables ready, %d rows copied by copies under way", s.Ready, s.Tables, s.Copied))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			// Each table's first copy makes connections of its own.
			for _, s := range p.Both() {
				if err := p.renew(ctx, s.Side); err != nil {
					return err
				}
			}
		case <-tick.C:
		}
	}
}

var syncStates = map[string]string{"i": "starting", "d": "copying", "f": "copied", "s": "catching up"}

func direction(from migration.Side) string { return string(from) + " -> " + string(from.Other()) }
