package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drover-migration/drover/migration"
)

// Step is what a step of a Move answered, and when by the clock of the server that took it: read at
// the end of the transaction, a moment before its commit.
type Step struct {
	Word migration.Word
	At   time.Time
}

// ErrNotPrepared says that a server does not know the tenant: Prepare has not run for it.
var ErrNotPrepared = errors.New("the tenant is not known to this database: replication has not been prepared for it")

// ErrFinal says that the customer's batch was finalised: it stays on AWS.
var ErrFinal = errors.New("the way back has ended for this customer: its batch was finalised")

// markPoll is how often the destination is asked whether a mark has arrived. The question is one
// index read.
const markPoll = time.Millisecond

// stepLimit is how long a step may take: longer than any waits for a lock (wait_ms in move.sql), so
// that who hangs is a server or a network.
const stepLimit = 4 * time.Second

// The steps of move.sql. OFFSET 0 keeps the clock from being read before the function has run.
const (
	sqlFence = `SELECT w, clock_timestamp() FROM (SELECT drover.fence($1, $2, $3, make_interval(secs => $4), 500, make_interval(secs =>
		$5)) w OFFSET 0) x`
	sqlSeal    = `SELECT w, clock_timestamp() FROM (SELECT drover.seal($1, $2, $3) w OFFSET 0) x`
	sqlOpen    = `SELECT w, clock_timestamp() FROM (SELECT drover.open($1, $2, $3) w OFFSET 0) x`
	sqlUnfence = `SELECT w, clock_timestamp() FROM (SELECT drover.unfence($1, $2, $3) w OFFSET 0) x`
	sqlPoison  = `SELECT w, clock_timestamp() FROM (SELECT drover.poison($1, $2, $3) w OFFSET 0) x`
	sqlReopen  = `SELECT w, clock_timestamp() FROM (SELECT drover.reopen($1, $2, $3) w OFFSET 0) x`
	sqlClaim   = `SELECT w, clock_timestamp() FROM (SELECT drover.claim($1, $2, $3) w OFFSET 0) x`
	sqlArrived = `SELECT drover.arrived($1, $2, $3), clock_timestamp()`
)

// Unfence is the owner's own way back before the seal: Open, Sealed, Superseded or Busy. It also
// refuses a fence that comes late.
func (p *Pair) Unfence(ctx context.Context, from migration.Side, tenant int64, try migration.Try) (Step, error) {
	s := p.Side(from)
	return s.step(ctx, s.lane, "unfence", sqlUnfence, tenant, try)
}

// Poison resolves an open whose outcome is not known, with a token above the doubtful one: Opened
// (it had happened: go forward), Poisoned (it never will), Superseded or Busy. Like Reopen and
// Claim it decides by what both servers remember: it is ErrDoubtedServer where one of them is not
// the server that Drover knew.
func (p *Pair) Poison(ctx context.Context, to migration.Side, tenant int64, try migration.Try) (Step, error) {
	if err := p.Trusted(ctx); err != nil {
		return Step{}, err
	}
	s := p.Side(to)
	return s.step(ctx, s.lane, "poison", sqlPoison, tenant, try)
}

// Reopen opens a sealed origin again, only after Poison with the same try said Poisoned: Open,
// Fenced, Superseded or Busy.
func (p *Pair) Reopen(ctx context.Context, from migration.Side, tenant int64, try migration.Try) (Step, error) {
	if err := p.Trusted(ctx); err != nil {
		return Step{}, err
	}
	s := p.Side(from)
	return s.step(ctx, s.lane, "reopen", sqlReopen, tenant, try)
}

// Claim ends whatever was under way on a side below this token: Open, Sealed (it stays so),
// Superseded or Busy.
func (p *Pair) Claim(ctx context.Context, side migration.Side, tenant int64, try migration.Try) (Step, error) {
	if err := p.Trusted(ctx); err != nil {
		return Step{}, err
	}
	s := p.Side(side)
	return s.step(ctx, s.lane, "claim", sqlClaim, tenant, try)
}

// awaitMark waits until the mark of the fence has arrived by replication: Open is possible then. It
// answers Fenced when it has, Behind when limit is over.
func (s *Server) awaitMark(ctx context.Context, q Querier, id int32, try migration.Try, limit time.Duration) (Step, error) {
	over := time.After(limit)
	tick := time.NewTicker(markPoll)
	defer tick.Stop()
	for {
		r, err := s.arrived(ctx, q, id, try)
		if err != nil || r.Word == migration.WordFenced {
			return r, err
		}
		select {
		case <-ctx.Done():
			return Step{}, ctx.Err()
		case <-over:
			return r, nil
		case <-tick.C:
		}
	}
}

// arrived looks for the mark once: Fenced, or Behind.
func (s *Server) arrived(ctx context.Context, q Querier, id int32, try migration.Try) (Step, error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	r, here := Step{Word: migration.WordBehind}, false
	if err := q.QueryRow(ctx, sqlArrived, []int32{id}, try.Token, try.Owner).Scan(&here, &r.At); err != nil {
		return Step{}, fmt.Errorf("await the mark of tenant %d %s: %w", id, s.Where(), err)
	}
	if here {
		r.Word = migration.WordFenced
	}
	return r, nil
}

// step calls one function of move.sql in a transaction of its own. A reply that is lost leaves an
// unknown outcome: the same call again finds it out, since every function is idempotent.
func (s *Server) step(ctx context.Context, q Querier, what, sql string, tenant int64, try migration.Try, more ...any) (Step, error) {
	id, err := TenantID(tenant)
	if err != nil {
		return Step{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	var r Step
	err = q.QueryRow(ctx, sql, append([]any{[]int32{id}, try.Token, try.Owner}, more...)...).Scan(&r.Word, &r.At)
	switch {
	case err == nil:
		return r, nil
	case busy(err):
		return Step{Word: migration.WordBusy, At: time.Now()}, nil
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "DR002", "3F000", "42883": // unknown tenant, no schema, no function
			err = ErrNotPrepared
		case "DR006":
			err = ErrFinal
		}
	}
	return Step{}, fmt.Errorf("%s tenant %d %s with try %s: %w", what, tenant, s.Where(), try, err)
}

// busy says that a statement was rolled back because somebody was in its way.
func busy(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case "55P03", "40P01", "40001", "57014": // lock timeout, deadlock, snapshot conflict, statement timeout
		return true
	}
	return false
}
