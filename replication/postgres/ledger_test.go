package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// ledger is a well-behaved client of some tenants: it writes without pause, tries each write on one
// side and then the other until it is acknowledged, and remembers what was.
type ledger struct {
	pools map[migration.Side]*pgxpool.Pool

	mu    sync.Mutex
	acked map[int64][]string // tenant -> tokens

	stop chan struct{}
	done sync.WaitGroup
}

func newLedger(r *pairtest.Rig) *ledger {
	l := &ledger{pools: map[migration.Side]*pgxpool.Pool{}, acked: map[int64][]string{}, stop: make(chan struct{})}
	for _, side := range []migration.Side{s, d} {
		dsn := r.Src.DSN(r.DB)
		if side == d {
			dsn = r.Dst.DSN(r.DB)
		}
		pool, err := pgxpool.New(context.Background(), dsn)
		if err != nil {
			r.Fatal(err)
		}
		r.Cleanup(pool.Close)
		l.pools[side] = pool
	}
	return l
}

func (l *ledger) writes(tenant int64) {
	l.done.Add(1)
	go func() {
		defer l.done.Done()
		side := s
		for {
			token := uuid.NewString()
			for !l.write(side, tenant, token) {
				select {
				case <-l.stop: // not acknowledged: owed to nobody
					return
				case <-time.After(2 * time.Millisecond):
				}
				side = side.Other()
			}
			l.mu.Lock()
			l.acked[tenant] = append(l.acked[tenant], token)
			l.mu.Unlock()
			select {
			case <-l.stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
}

// write is exactly once by its token: the counter moves only with a new order.
func (l *ledger) write(side migration.Side, tenant int64, token string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := pgx.BeginFunc(ctx, l.pools[side], func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx,
			`INSERT INTO orders (tenant_id, token, amount) VALUES ($1, $2, 1) ON CONFLICT (tenant_id, token) DO NOTHING`, tenant, token)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE acct SET n = n + 1 WHERE tenant_id = $1`, tenant)
		return err
	})
	return err == nil
}

func (l *ledger) close() {
	close(l.stop)
	l.done.Wait()
}

// settle holds the ledger against the tenant's home.
func (l *ledger) settle(ctx context.Context, home migration.Side, tenant int64) error {
	var orders, distinct, found, counter int64
	l.mu.Lock()
	acked := l.acked[tenant]
	l.mu.Unlock()
	err := l.pools[home].QueryRow(ctx,
		`SELECT count(*), count(DISTINCT token), count(*) FILTER (WHERE token = ANY ($2::uuid[])), (SELECT n FROM acct
			WHERE tenant_id = $1) FROM orders WHERE tenant_id = $1`, tenant, acked).
		Scan(&orders, &distinct, &found, &counter)
	switch {
	case err != nil:
		return err
	case found != int64(len(acked)):
		return fmt.Errorf("tenant %d: %d writes were acknowledged, %d of them are at home on %s", tenant, len(acked), found, home)
	case orders != distinct || orders != counter:
		return fmt.Errorf("tenant %d on %s: %d orders, %d different tokens, the counter says %d", tenant, home, orders, distinct, counter)
	}
	return nil
}

// mover runs Moves and repairs as the workflows do, with the faults it is told to have.
type mover struct {
	pair *postgres.Pair

	mu      sync.Mutex
	zombies []func(context.Context) // calls that arrive late, any time later
}

// faults of one try.
type faults struct {
	Stop   int           // dies after this many steps; 0: never
	Twice  bool          // every call is delivered twice, the second by a zombie of the same try, at the same time
	Late   bool          // every call is delivered once more, after the Move
	Lost   int           // the reply of this step is lost, and the step repeated; 0: none
	Poison bool          // takes the open for doubtful though it may have happened
	Lease  time.Duration // of the fence
	Wait   time.Duration // how long it lets writes wait
}

var errDied = errors.New("died")

func (m *mover) call(ctx context.Context, f faults, n *int, step func(context.Context) (postgres.Step, error)) (migration.Word, error) {
	*n++
	if f.Late {
		m.mu.Lock()
		m.zombies = append(m.zombies, func(ctx context.Context) { _, _ = step(ctx) })
		m.mu.Unlock()
	}
	var twin sync.WaitGroup
	if f.Twice {
		twin.Go(func() { _, _ = step(ctx) })
	}
	r, err := m.insist(ctx, step)
	if *n == f.Lost && err == nil {
		r, err = m.insist(ctx, step)
	}
	twin.Wait()
	if err == nil && *n == f.Stop {
		err = errDied
	}
	return r.Word, err
}

// insist repeats over restarts and while the step is busy.
func (m *mover) insist(ctx context.Context, step func(context.Context) (postgres.Step, error)) (postgres.Step, error) {
	for {
		r, err := step(ctx)
		var pg *pgconn.PgError
		fatal := errors.Is(err, postgres.ErrNotPrepared) || errors.As(err, &pg) && pg.Code[:2] != "57" && pg.Code[:2] != "08"
		if err == nil && r.Word != migration.WordBusy || fatal || ctx.Err() != nil {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (m *mover) home(ctx context.Context, tenant int64) (h migration.HomeRecord, err error) {
	_, err = m.insist(ctx, func(ctx context.Context) (postgres.Step, error) {
		h, err = m.pair.Home(ctx, tenant)
		return postgres.Step{}, err
	})
	return h, err
}

// move tries to take the tenant to its other side.
func (m *mover) move(ctx context.Context, tenant int64, f faults) error {
	h, err := m.home(ctx, tenant)
	if err != nil {
		return err
	}
	from, n := h.Home(), 0
	k := migration.Try{Token: h.Token() + 1, Owner: uuid.NewString()}
	w, err := m.call(ctx, f, &n, func(ctx context.Context) (postgres.Step, error) {
		return pairtest.StepsOn(m.pair).FencePatiently(ctx, from, tenant, k, f.Lease, f.Wait)
	})
	if err != nil || w != migration.WordFenced {
		return err
	}
	w, err = m.call(ctx, f, &n, func(ctx context.Context) (postgres.Step, error) {
		return pairtest.StepsOn(m.pair).AwaitMark(ctx, from.Other(), tenant, k, f.Lease)
	})
	if err == nil && w == migration.WordFenced {
		w, err = m.call(ctx, f, &n, func(ctx context.Context) (postgres.Step, error) {
			return pairtest.StepsOn(m.pair).Seal(ctx, from, tenant, k)
		})
	}
	if err != nil {
		return err
	}
	if w != migration.WordSealed {
		_, err = m.call(ctx, f, &n, func(ctx context.Context) (postgres.Step, error) { return m.pair.Unfence(ctx, from, tenant, k) })
		return err
	}
	if !f.Poison {
		for {
			w, err = m.call(ctx, f, &n, func(ctx context.Context) (postgres.Step, error) {
				return pairtest.StepsOn(m.pair).Open(ctx, from.Other(), tenant, k)
			})
			if err != nil || w != migration.WordBehind {
				break
			}
		}
		if err != nil || w == migration.WordOpen {
			return err
		}
	}
	return m.resolve(ctx, tenant, from, k.Next(), f, &n)
}

// resolve finds out by writing whether the destination opened, and opens the origin again if it did
// not.
func (m *mover) resolve(ctx context.Context, tenant int64, from migration.Side, k migration.Try, f faults, n *int) error {
	w, err := m.call(ctx, f, n, func(ctx context.Context) (postgres.Step, error) { return m.pair.Poison(ctx, from.Other(), tenant, k) })
	if err != nil || w != migration.WordPoisoned {
		return err
	}
	_, err = m.call(ctx, f, n, func(ctx context.Context) (postgres.Step, error) { return m.pair.Reopen(ctx, from, tenant, k) })
	return err
}

// repair settles a tenant whose Move was lost.
func (m *mover) repair(ctx context.Context, tenant int64) error {
	for {
		h, err := m.home(ctx, tenant)
		if err != nil || h.Settled() {
			return err
		}
		k, n := migration.Try{Token: h.Token() + 1, Owner: uuid.NewString()}, 0
		w, err := m.call(ctx, faults{}, &n, func(ctx context.Context) (postgres.Step,
			error) {
			return m.pair.Claim(ctx, h.Home(), tenant, k)
		})
		if err == nil && w == migration.WordSealed {
			err = m.resolve(ctx, tenant, h.Home(), k, faults{}, &n)
		}
		if err != nil {
			return err
		}
	}
}

// rise lets every zombie act, some while Moves run.
func (m *mover) rise(ctx context.Context) {
	m.mu.Lock()
	all := m.zombies
	m.zombies = nil
	m.mu.Unlock()
	for _, z := range all {
		z(ctx)
	}
}

// balanced asks each side, in one snapshot, whether the counter counts the orders: a transaction
// arrives whole or not at all.
func (m *mover) balanced(ctx context.Context, tenant int64) error {
	for _, x := range m.pair.Both() {
		var orders, counter int64
		_, err := m.insist(ctx, func(ctx context.Context) (postgres.Step, error) {
			return postgres.Step{}, x.Pool.QueryRow(ctx,
				`SELECT (SELECT count(*) FROM public.orders WHERE tenant_id = $1), (SELECT n FROM public.acct WHERE tenant_id = $1)`,
				tenant).Scan(&orders, &counter)
		})
		if err != nil {
			return err
		}
		if orders != counter {
			return fmt.Errorf("tenant %d %s: %d orders, the counter says %d", tenant, x.Where(), orders, counter)
		}
	}
	return nil
}
