package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// Attempt is one try of a Move of a tenant, as the steps of its freeze need it.
type Attempt struct {
	From     migration.Side // the origin
	Tenant   int64
	Try      migration.Try
	Lease    time.Duration // of the fence, by the origin's clock
	Patience time.Duration // how long a write may wait at the origin for the end of the fence; 0: it is refused at once
}

// Freeze is what a Move does while a tenant cannot write: Fence, Drain, Seal and Open, in this
// order. Each is one transaction, or only reads. It is safe for one goroutine at a time, but for
// Standing.
type Freeze struct {
	Attempt
	pair   *Pair
	on     map[migration.Side]session // "": any connection of the side's lane
	held   []*pgxpool.Conn
	fenced time.Time // when Fence was answered, by this worker's clock
}

// session is one connection: a pool would give each statement another, which has prepared none of
// them.
type session interface {
	Querier
	Begin(ctx context.Context) (pgx.Tx, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Freeze has every step take a connection of the side's lane.
func (p *Pair) Freeze(a Attempt) *Freeze {
	return &Freeze{Attempt: a, pair: p, on: map[migration.Side]session{migration.OnPrem: p.OnPrem.lane, migration.AWS: p.AWS.lane}}
}

// FreezeOn has the steps use these connections, one of each side, which stay the caller's.
func (p *Pair) FreezeOn(a Attempt, onprem, aws *pgx.Conn) *Freeze {
	return &Freeze{Attempt: a, pair: p, on: map[migration.Side]session{migration.OnPrem: onprem, migration.AWS: aws}}
}

// HoldFreeze takes a connection of each side's lane, which Release gives back. Take the Turn first.
func (p *Pair) HoldFreeze(ctx context.Context, a Attempt) (*Freeze, error) {
	f := &Freeze{Attempt: a, pair: p, on: map[migration.Side]session{}}
	if err := f.Hold(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

// Hold takes the connections again, after Release.
func (f *Freeze) Hold(ctx context.Context) error {
	for _, s := range f.pair.Both() {
		c, err := s.lane.Acquire(ctx)
		if err != nil {
			f.Release()
			return fmt.Errorf("connect for the freeze of tenant %d %s: %w", f.Tenant, s.Where(), err)
		}
		f.held = append(f.held, c)
		f.on[s.Side] = c
	}
	return nil
}

// Release gives the connections back: until Hold no step may be asked for. Twice is once.
func (f *Freeze) Release() {
	for _, c := range f.held {
		c.Release()
	}
	f.held = nil
}

// rehearsalWait is how long a rehearsal waits for a lock: what holds one up for longer holds the
// steps up too, whose answer is Busy.
const rehearsalWait = "500ms"

// Rehearse has both connections prepare and plan every statement of the freeze, and read the
// catalogues behind them. It changes nothing: token 0 is superseded everywhere, no tenant has the
// id 0, and the publications are rewritten in a transaction that is rolled back. Do it right before
// Fence: the ALTER PUBLICATION of any other Move makes every session read the catalogues anew.
func (f *Freeze) Rehearse(ctx context.Context) error {
	id, err := TenantID(f.Tenant)
	if err != nil {
		return err
	}
	tables, err := f.pair.comparedTables(ctx)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, s := range f.pair.Both() {
		g.Go(func() error {
			if err := f.rehearse(gctx, s, id, tables); err != nil {
				return fmt.Errorf("rehearse the freeze of tenant %d %s: %w", f.Tenant, s.Where(), err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (f *Freeze) rehearse(ctx context.Context, s *Server, id int32, tables []Table) error {
	q, none := f.on[s.Side], migration.Try{Owner: f.Try.Owner}
	steps := []func() (Step, error){
		func() (Step, error) { return s.step(ctx, q, "fence", sqlFence, f.Tenant, none, 1.0, 0.0) },
		func() (Step, error) { return s.step(ctx, q, "seal", sqlSeal, f.Tenant, none) },
	}
	if s.Side != f.From {
		steps = []func() (Step, error){
			func() (Step, error) { return s.step(ctx, q, "open", sqlOpen, f.Tenant, none) },
			func() (Step, error) { return s.arrived(ctx, q, id, none) },
		}
	}
	for _, step := range steps {
		if _, err := step(); err != nil {
			return err
		}
	}
	if _, err := s.contents(ctx, q, tables, 0); err != nil {
		return err
	}
	return s.rehearsePublications(ctx, q, id)
}

// rehearsePublications rewrites the tenant's publications as they are, and takes it back. Locks
// that do not come are no error.
func (s *Server) rehearsePublications(ctx context.Context, q session, id int32) error {
	tx, err := q.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '`+rehearsalWait+`'`); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT drover.rebuild(pub) FROM (SELECT DISTINCT pub FROM drover.direction WHERE tenant = $1 ORDER BY 1) d`, id)
	if busy(err) {
		return nil
	}
	return err
}

// Fence makes the origin refuse the tenant's writes, or have them wait, until the lease runs out by
// the origin's clock. Fenced, Expired, Sealed or Superseded; Busy: writers did not finish within
// half a second, and nothing was changed. A repeat never renews the lease.
func (f *Freeze) Fence(ctx context.Context) (Step, error) {
	patience := min(f.Patience, f.Lease)
	r, err := f.pair.Side(f.From).step(ctx, f.on[f.From], "fence", sqlFence, f.Tenant, f.Try, f.Lease.Seconds(), patience.Seconds())
	if r.Word == migration.WordFenced {
		f.fenced = time.Now()
	}
	return r, err
}

// Seal closes the origin for good and stops its changes, only while the lease lives: Sealed,
// Expired, NotFenced, Superseded or Busy.
func (f *Freeze) Seal(ctx context.Context) (Step, error) {
	return f.pair.Side(f.From).step(ctx, f.on[f.From], "seal", sqlSeal, f.Tenant, f.Try)
}

// Open makes the destination the home: the commit point. Only after Seal said Sealed. Open, Behind,
// NotSealed, Superseded or Busy.
func (f *Freeze) Open(ctx context.Context) (Step, error) {
	to := f.From.Other()
	r, err := f.pair.Side(to).step(ctx, f.on[to], "open", sqlOpen, f.Tenant, f.Try)
	if r.Word == migration.WordOpen && !f.fenced.IsZero() {
		f.pair.recent.add(time.Since(f.fenced))
		f.fenced = time.Time{}
	}
	return r, err
}

// Spent says that so much of the freeze was somebody else's: what is measured of freezes is what
// the databases take.
func (f *Freeze) Spent(d time.Duration) {
	if !f.fenced.IsZero() {
		f.fenced = f.fenced.Add(d)
	}
}

// Left is how long the fence of this try still stands at the origin, by the origin's clock; 0: it
// does not. Like Standing it uses a connection of the lane.
func (f *Freeze) Left(ctx context.Context) (time.Duration, error) {
	s := f.pair.Side(f.From)
	id, err := TenantID(f.Tenant)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	var seconds float64
	err = s.lane.QueryRow(ctx, `SELECT coalesce(extract(epoch FROM max(lease_until) - clock_timestamp()), 0)::float8
		FROM drover.fence WHERE tenant = $1 AND state = 'fenced' AND token = $2 AND owner = $3`,
		id, f.Try.Token, f.Try.Owner).Scan(&seconds)
	if err != nil {
		return 0, fmt.Errorf("look at the fence of tenant %d %s: %w", f.Tenant, s.Where(), err)
	}
	return max(0, time.Duration(seconds*float64(time.Second))), nil
}

// Standing says whether the fence of this try stands at the origin now. It uses a connection of the
// lane, and may be asked beside a step.
func (f *Freeze) Standing(ctx context.Context) (bool, error) {
	s := f.pair.Side(f.From)
	id, err := TenantID(f.Tenant)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	var stands bool
	err = s.lane.QueryRow(ctx,
		`SELECT EXISTS (SELECT FROM drover.fence WHERE tenant = $1 AND state = 'fenced' AND token = $2 AND owner = $3
			AND lease_until > clock_timestamp())`,
		id, f.Try.Token, f.Try.Owner).Scan(&stands)
	if err != nil {
		return false, fmt.Errorf("look at the fence of tenant %d %s: %w", f.Tenant, s.Where(), err)
	}
	return stands, nil
}

// AwaitMark waits until the mark of the fence has arrived at the destination by replication: Open
// is possible then. It answers Fenced when it has, Behind when limit is over.
func (f *Freeze) AwaitMark(ctx context.Context, limit time.Duration) (Step, error) {
	id, err := TenantID(f.Tenant)
	if err != nil {
		return Step{}, err
	}
	to := f.From.Other()
	return f.pair.Side(to).awaitMark(ctx, f.on[to], id, f.Try, limit)
}

// Version is that of a side's server, as it said when the connection was made; "": no connection is
// held.
func (f *Freeze) Version(side migration.Side) string {
	switch c := f.on[side].(type) {
	case *pgxpool.Conn:
		return c.Conn().PgConn().ParameterStatus("server_version")
	case *pgx.Conn:
		return c.PgConn().ParameterStatus("server_version")
	default:
		return ""
	}
}

// Drained is what Drain found.
type Drained struct {
	Verification
	Word migration.Word // Fenced: the mark has arrived, and both sides were compared. Behind: it has not
	Mark time.Duration  // how long the mark took
}

// Drain waits until the mark of the fence has arrived at the destination by replication, and
// compares the tenant's rows on both sides, which nobody writes any more: those of the origin while
// the mark travels. It answers Behind when limit is over.
func (f *Freeze) Drain(ctx context.Context, limit time.Duration) (Drained, error) {
	begun := time.Now()
	id, err := TenantID(f.Tenant)
	if err != nil {
		return Drained{}, err
	}
	tables, err := f.pair.comparedTables(ctx)
	if err != nil {
		return Drained{}, err
	}
	var d Drained
	var here, there []content
	from, to := f.pair.Side(f.From), f.pair.Side(f.From.Other())
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		here, err = from.contents(gctx, f.on[from.Side], tables, id)
		return err
	})
	g.Go(func() error {
		mark, err := f.AwaitMark(gctx, limit)
		d.Word, d.Mark = mark.Word, time.Since(begun)
		switch {
		case err != nil:
			return err
		case mark.Word != migration.WordFenced:
			return errBehind // the origin's rows are of no use either
		}
		there, err = to.contents(gctx, f.on[to.Side], tables, id)
		return err
	})
	if err := g.Wait(); errors.Is(err, errBehind) {
		return d, nil
	} else if err != nil {
		return Drained{}, fmt.Errorf("drain and compare tenant %d: %w", f.Tenant, err)
	}
	d.Verification = compare(tables, map[migration.Side][]content{from.Side: here, to.Side: there})
	d.Took = time.Since(begun)
	return d, nil
}

var errBehind = errors.New("the mark has not arrived")
