package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drover-migration/drover/migration"
)

// Step is what a step of a Move answered, and when by the clock of the server that took it: read at the end of the transaction, a
// moment before its commit.
type Step struct {
	Word migration.Word
	At   time.Time
}

// ErrNotPrepared says that a server does not know the tenant: Prepare has not run for it.
var ErrNotPrepared = errors.New("the tenant is not known to this database: replication has not been prepared for it")

// ErrObserving says that the guard only records what it would refuse; nothing can be fenced.
var ErrObserving = errors.New("the guard only observes: switch it to enforce before the first Move (UPDATE drover.config SET mode = 'enforce')")

// markPoll is how often AwaitMark looks. The look is one index read.
const markPoll = 2 * time.Millisecond

// Fence makes the origin refuse the tenant's writes until the lease runs out by the origin's clock. Fenced, Expired, Sealed or
// Superseded; Busy: writers did not finish within half a second, and nothing was changed. A repeat never renews the lease.
func (p *Pair) Fence(ctx context.Context, from migration.Side, tenant int64, try migration.Try, lease time.Duration) (Step, error) {
	r, err := p.Side(from).step(ctx, "fence", `drover.fence($1, $2, $3, make_interval(secs => $4))`, tenant, try, lease.Seconds())
	if r.Word == migration.WordFenced {
		p.recent.begin(tenant, time.Now())
	}
	return r, err
}

// Seal closes the origin for good and stops its changes, only while the lease lives: Sealed, Expired, NotFenced, Superseded or Busy.
func (p *Pair) Seal(ctx context.Context, from migration.Side, tenant int64, try migration.Try) (Step, error) {
	return p.Side(from).step(ctx, "seal", `drover.seal($1, $2, $3)`, tenant, try)
}

// Open makes the destination the home: the commit point. Only after Seal said Sealed. Open, Behind, NotSealed, Superseded or Busy.
func (p *Pair) Open(ctx context.Context, to migration.Side, tenant int64, try migration.Try) (Step, error) {
	r, err := p.Side(to).step(ctx, "open", `drover.open($1, $2, $3)`, tenant, try)
	p.recent.end(tenant, r.Word == migration.WordOpen)
	return r, err
}

// Unfence is the owner's own way back before the seal: Open, Sealed, Superseded or Busy. It also refuses a fence that comes late.
func (p *Pair) Unfence(ctx context.Context, from migration.Side, tenant int64, try migration.Try) (Step, error) {
	return p.Side(from).step(ctx, "unfence", `drover.unfence($1, $2, $3)`, tenant, try)
}

// Poison resolves an open whose outcome is not known, with a token above the doubtful one: Opened (it had happened: go forward),
// Poisoned (it never will), Superseded or Busy. Like Reopen and Claim it decides by what both servers
// remember: it is ErrDoubtedServer where one of them is not the server that Drover knew.
func (p *Pair) Poison(ctx context.Context, to migration.Side, tenant int64, try migration.Try) (Step, error) {
	if err := p.Trusted(ctx); err != nil {
		return Step{}, err
	}
	return p.Side(to).step(ctx, "poison", `drover.poison($1, $2, $3)`, tenant, try)
}

// Reopen opens a sealed origin again, only after Poison with the same try said Poisoned: Open, Fenced, Superseded or Busy.
func (p *Pair) Reopen(ctx context.Context, from migration.Side, tenant int64, try migration.Try) (Step, error) {
	if err := p.Trusted(ctx); err != nil {
		return Step{}, err
	}
	return p.Side(from).step(ctx, "reopen", `drover.reopen($1, $2, $3)`, tenant, try)
}

// Claim ends whatever was under way on a side below this token: Open, Sealed (it stays so), Superseded or Busy.
func (p *Pair) Claim(ctx context.Context, side migration.Side, tenant int64, try migration.Try) (Step, error) {
	if err := p.Trusted(ctx); err != nil {
		return Step{}, err
	}
	return p.Side(side).step(ctx, "claim", `drover.claim($1, $2, $3)`, tenant, try)
}

// AwaitMark waits until the mark of the fence has arrived at the destination by replication: Open there is possible then. It answers
// Fenced when it has, Behind when limit is over.
func (p *Pair) AwaitMark(ctx context.Context, to migration.Side, tenant int64, try migration.Try, limit time.Duration) (Step, error) {
	id, err := TenantID(tenant)
	if err != nil {
		return Step{}, err
	}
	s, over := p.Side(to), time.After(limit)
	tick := time.NewTicker(markPoll)
	defer tick.Stop()
	for {
		var here bool
		var at time.Time
		err := s.Pool.QueryRow(ctx, `SELECT drover.arrived($1, $2, $3), clock_timestamp()`, []int32{id}, try.Token, try.Owner).Scan(&here, &at)
		switch {
		case err != nil:
			return Step{}, fmt.Errorf("await the mark of tenant %d %s: %w", tenant, s.Where(), err)
		case here:
			return Step{Word: migration.WordFenced, At: at}, nil
		}
		select {
		case <-ctx.Done():
			return Step{}, ctx.Err()
		case <-over:
			return Step{Word: migration.WordBehind, At: at}, nil
		case <-tick.C:
		}
	}
}

// step calls one function of move.sql in a transaction of its own. A reply that is lost leaves an unknown outcome: the same call
// again finds it out, since every function is idempotent.
func (s *Server) step(ctx context.Context, what, call string, tenant int64, try migration.Try, more ...any) (Step, error) {
	id, err := TenantID(tenant)
	if err != nil {
		return Step{}, err
	}
	var r Step
	// OFFSET 0 keeps the clock from being read before the function has run.
	err = s.Pool.QueryRow(ctx, `SELECT w, clock_timestamp() FROM (SELECT `+call+` w OFFSET 0) x`, append([]any{[]int32{id}, try.Token, try.Owner}, more...)...).Scan(&r.Word, &r.At)
	if err == nil {
		return r, nil
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "55P03", "40P01", "40001", "57014": // lock timeout, deadlock, snapshot conflict, statement timeout: rolled back
			return Step{Word: migration.WordBusy, At: time.Now()}, nil
		case "DR002", "3F000", "42883": // unknown tenant, no schema, no function
			err = ErrNotPrepared
		case "DR004":
			err = ErrObserving
		}
	}
	return Step{}, fmt.Errorf("%s tenant %d %s with try %s: %w", what, tenant, s.Where(), try, err)
}
