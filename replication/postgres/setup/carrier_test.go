package setup_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// pause holds the n-th statement that begins with some words, until it is let go.
type pause struct {
	before  string
	n       int64
	seen    atomic.Int64
	reached chan struct{}
	goOn    chan struct{}
}

func (x *pause) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(q.SQL, x.before) && x.seen.Add(1) == x.n {
		close(x.reached)
		<-x.goOn
	}
	return ctx
}

func (x *pause) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// pausing is another worker's pair over the same databases, one of whose statements is held.
func pausing(r *pairtest.Rig, before string, n int64) (*postgres.Pair, *pause) {
	x := &pause{before: before, n: n, reached: make(chan struct{}), goOn: make(chan struct{})}
	var at []*postgres.Server
	for _, side := range []migration.Side{s, d} {
		server := map[migration.Side]string{s: r.Src.DSN(r.DB), d: r.Dst.DSN(r.DB)}[side]
		a, err := postgres.ParseDSN(server)
		require.NoError(r, err)
		c, err := postgres.Connect(r.Context(), side, a, a, nil, func(c *pgx.ConnConfig) {
			c.Tracer = x
		})
		require.NoError(r, err)
		at = append(at, c)
	}
	p := postgres.NewPair(r.DB, migration.Dataset{Name: "orders", Postgres: &pairtest.Orders}, at[0], at[1])
	r.Cleanup(p.Close)
	return p, x
}

// stayers is a rig whose plan has tenant 1; 2 to 6 have rows, and stay.
func stayers(t *testing.T) *pairtest.Rig {
	r := pairtest.New(t)
	r.Must(s, "INSERT INTO acct SELECT g, 0 FROM generate_series(1, 6) g")
	r.Must(s, "INSERT INTO orders (tenant_id, amount) SELECT 1 + g % 6, 1 FROM generate_series(1, 600) g")
	r.Must(s, "INSERT INTO audit SELECT 1 + g % 6, now(), NULL, md5(g::text) FROM generate_series(1, 600) g")
	require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1}, nil))
	r.Synced()
	return r
}

// whole says that a tenant that joined has all its rows on AWS.
func whole(r *pairtest.Rig, tenant int64) {
	r.Helper()
	for _, table := range []string{"acct", "orders", "audit"} {
		count := "SELECT count(*) FROM " + table + " WHERE tenant_id = $1"
		require.Equal(r, r.Num(s, count, tenant), r.Num(d, count, tenant), "%s of tenant %d", table, tenant)
	}
}

// Whoever waits for it reads what it waits for.
func TestAHandoverThatIsTriedAgainSaysWhy(t *testing.T) {
	r := stayers(t)
	var said atomic.Value
	said.Store("")
	writes := make(chan pgx.Tx, 1)
	done := make(chan error, 1)
	go func() {
		done <- setup.Prepare(t.Context(), r.Pair, []int64{1, 4}, func(what string) {
			if what == "handing over those who join" { // not before: a slot waits for every transaction
				tx, err := r.Pair.OnPrem.Pool.Begin(t.Context())
				if err == nil {
					_, err = tx.Exec(t.Context(), "UPDATE public.acct SET n = n + 1 WHERE tenant_id = 4")
				}
				if err != nil {
					t.Error(err)
				}
				writes <- tx
			}
			said.Store(what)
		})
	}()
	tx := <-writes
	defer func() { _ = tx.Rollback(context.Background()) }()
	r.Until("it says what it waits for", func() bool {
		return strings.Contains(said.Load().(string),
			"it failed 2 times, last because a transaction that writes for them has not ended")
	})
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-done)
	r.Until("its last update is on AWS", func() bool { return r.Num(d, "SELECT n FROM acct WHERE tenant_id = 4") == 1 })
	whole(r, 4)
	r.Sound()
}

// Of two attempts at once one carries the tenants over. Wherever the other was stopped, and
// whatever became of its lock, it deletes nothing that the first has copied.
func TestTwoAttemptsToJoinAtOnceLoseNothing(t *testing.T) {
	const lock = `FROM pg_locks WHERE locktype = 'advisory' AND classid = 728
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	for _, x := range []struct {
		name, before string
		n            int64
		lost         bool // the session that has the lock ends while its attempt is stopped
	}{
		{"stopped between the check and the DELETE", "DELETE FROM", 1, false},
		{"stopped there, and its lock is lost", "DELETE FROM", 1, true},
		{"stopped before that check, and its lock is lost", "SELECT coalesce(array_agg(tenant ORDER BY tenant)", 2, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := stayers(t)
			old, held := pausing(r, x.before, x.n)
			letGo := sync.OnceFunc(func() { close(held.goOn) })
			t.Cleanup(letGo) // before the pair is closed
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- setup.Prepare(t.Context(), old, []int64{1, 4}, nil) }()
			<-held.reached
			if x.lost {
				r.Must(s, "SELECT pg_terminate_backend(pid) "+lock+" AND granted")
			}
			go func() { second <- setup.Prepare(t.Context(), r.Pair, []int64{1, 4}, nil) }()
			var ended bool
			r.Until("the other attempt waits or has ended", func() bool {
				select {
				case err := <-second:
					require.NoError(t, err)
					ended = true
				default:
				}
				return ended || r.Num(s, "SELECT count(*) "+lock+" AND NOT granted") > 0 ||
					r.Num(d, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
						AND query LIKE '%FOR UPDATE) f'`) > 0
			})
			moved := ended && !x.lost
			if moved { // it was not kept back, and the tenant goes on
				r.Move(s, 4, pairtest.Try(1, 1))
			}
			letGo()
			err := <-first
			if x.lost {
				require.ErrorIs(t, err, setup.ErrCarrierLost)
			}
			if !ended {
				<-second
			}
			// Either may have met the other in what comes after the join.
			require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 4}, nil))
			whole(r, 4)
			if !moved {
				r.Move(s, 4, pairtest.Try(1, 1))
			}
			r.Sound()
		})
	}
}

// A copy that another has taken away, or has begun anew, is not handed over as if it were whole.
func TestOnlyAWholeCopyIsHandedOver(t *testing.T) {
	// The copy of the account waits for this row's transaction.
	const blocking = "SET session_replication_role = replica; BEGIN; INSERT INTO acct VALUES (4, 0)"
	for name, end := range map[string][]string{"taken away": {"ALTER SUBSCRIPTION %q DISABLE",
		"ALTER SUBSCRIPTION %q SET (slot_name = NONE)",
		"DROP SUBSCRIPTION %q"}, "disabled, as the remedy of one that holds WAL says": {"ALTER SUBSCRIPTION %q DISABLE"}} {
		t.Run(name, func(t *testing.T) {
			r := stayers(t)
			c := r.App(d)
			_, err := c.Exec(t.Context(), blocking)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), pairtest.Patience)
			defer cancel()
			err = setup.Prepare(ctx, r.Pair, []int64{1, 4}, func(what string) {
				if strings.HasPrefix(what, "rows of those who join") {
					for _, sql := range end {
						r.Must(d, fmt.Sprintf(sql, r.Pair.Names.Joining))
					}
				}
			})
			require.ErrorIs(t, err, setup.ErrNotCarried)
			_, err = c.Exec(t.Context(), "ROLLBACK")
			require.NoError(t, err)
			require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 4}, nil))
			whole(r, 4)
		})
	}
	t.Run("begun anew", func(t *testing.T) {
		r := stayers(t)
		c := r.App(d)
		tries := 0
		name := r.Pair.Names.Joining
		ctx, cancel := context.WithTimeout(t.Context(), 2*pairtest.Patience)
		defer cancel()
		require.NoError(t, setup.Prepare(ctx, r.Pair, []int64{1, 4}, func(what string) {
			if !strings.HasPrefix(what, "handing over") {
				return
			}
			switch tries++; tries {
			case 1:
				refresh := fmt.Sprintf("ALTER SUBSCRIPTION %q REFRESH PUBLICATION", name)
				r.Must(s, fmt.Sprintf("ALTER PUBLICATION %q DROP TABLE acct", name))
				r.Must(d, refresh)
				r.Script(d, "SET session_replication_role = replica; DELETE FROM acct WHERE tenant_id = 4")
				r.Must(s, fmt.Sprintf("ALTER PUBLICATION %q ADD TABLE acct WHERE (tenant_id IN (4))", name))
				_, err := c.Exec(t.Context(), blocking)
				require.NoError(t, err)
				r.Must(d, refresh)
			case 2:
				_, err := c.Exec(t.Context(), "ROLLBACK")
				require.NoError(t, err)
			}
		}))
		require.Greater(t, tries, 1)
		whole(r, 4)
	})
}

// What a plan has left is not taken from under a plan that begins meanwhile.
func TestLeftoversAreNotDroppedFromUnderAPlanThatBegins(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "INSERT INTO acct VALUES (1, 0)")
	doctor, held := pausing(r, "DROP PUBLICATION", 1)
	letGo := sync.OnceFunc(func() { close(held.goOn) })
	t.Cleanup(letGo) // before the pair is closed
	dropped, prepared := make(chan error, 1), make(chan error, 1)
	go func() { dropped <- setup.DropLeftovers(t.Context(), doctor) }()
	<-held.reached
	go func() { prepared <- setup.Prepare(t.Context(), r.Pair, []int64{1}, nil) }()
	var ended bool
	r.Until("the plan waits or has begun", func() bool {
		select {
		case err := <-prepared:
			require.NoError(t, err)
			ended = true
		default:
		}
		return ended || r.Num(d, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 726 AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) > 0
	})
	letGo()
	require.NoError(t, <-dropped)
	if !ended {
		require.NoError(t, <-prepared)
	}
	r.Synced()
	require.ErrorIs(t, setup.DropLeftovers(t.Context(), r.Pair), setup.ErrStanding)
	r.Sound()
}
