package setup_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// A sign-up that an amendment takes into the plan is where it always was, is whole on both sides,
// and moves like any other. Wherever the work is cut off, it is open on exactly one side.
func TestASignUpJoinsThePlan(t *testing.T) {
	for _, side := range []migration.Side{s, d} {
		t.Run("newcomers write on "+string(side), func(t *testing.T) {
			r := pairtest.New(t)
			r.Must(s, "INSERT INTO acct SELECT g, 0 FROM unnest(ARRAY[1, 2, 3, 5]) g")
			r.Pair.NewCustomers = side
			require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 3}, nil))
			r.Synced()
			r.Must(side, "INSERT INTO acct VALUES (70, 0), (71, 0)")
			r.Must(side, "INSERT INTO orders (tenant_id, amount) VALUES (70, 1), (71, 1)")
			r.Move(s, 1, pairtest.Try(1, 1))

			for _, parts := range []int{7, 8, 9} { // around its fences
				ctx, cancel := context.WithCancel(t.Context())
				seen := 0
				_ = setup.Prepare(ctx, r.Pair, []int64{1, 3, 70}, func(string) {
					if seen++; seen > parts {
						cancel()
					}
				})
				cancel()
				r.Must(side, "INSERT INTO orders (tenant_id, amount) VALUES (70, 1)")
				require.Equal(t, pairtest.Refused, r.Exec(side.Other(), "INSERT INTO orders (tenant_id, amount) VALUES (70, 1)"))
			}
			require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 3, 70}, nil))
			h, err := r.Pair.Home(t.Context(), 70)
			require.NoError(t, err)
			require.Equal(t, side, h.Home())
			require.True(t, h.Settled())
			r.Move(side, 70, pairtest.Try(1, 2))
			r.Must(side.Other(), "INSERT INTO orders (tenant_id, amount) VALUES (70, 1)")
			require.Equal(t, pairtest.Refused, r.Exec(side, "INSERT INTO orders (tenant_id, amount) VALUES (70, 1)"))
			for _, at := range []migration.Side{s, d} {
				r.Until(fmt.Sprintf("it is whole on %s", at), func() bool {
					return r.Num(at, "SELECT count(*) FROM orders WHERE tenant_id = 70") == 5
				})
			}
			// Who is no customer yet goes on as before.
			r.Must(side, "INSERT INTO orders (tenant_id, amount) VALUES (71, 1)")
			require.Equal(t, pairtest.Refused, r.Exec(side.Other(), "INSERT INTO orders (tenant_id, amount) VALUES (71, 1)"))
			r.Sound()
		})
	}
}

// An attempt that was cut off between the two databases is finished as it was begun.
func TestASignUpWhoseJoiningWasCutOffBetweenTheDatabases(t *testing.T) {
	for _, side := range []migration.Side{s, d} {
		r := pairtest.New(t)
		r.Pair.NewCustomers = side
		r.Must(s, "INSERT INTO acct VALUES (1, 0)")
		require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1}, nil))
		r.Synced()
		r.Must(side, "INSERT INTO acct VALUES (70, 0)")
		require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 70}, nil))
		r.Script(side, "DELETE FROM drover.direction WHERE tenant = 70; DELETE FROM drover.fence WHERE tenant = 70")
		require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 70}, nil))
		h, err := r.Pair.Home(t.Context(), 70)
		require.NoError(t, err)
		require.Equal(t, side, h.Home(), "newcomers write on %s", side)
		r.Must(side, "UPDATE acct SET n = 1 WHERE tenant_id = 70")
		r.Sound()
	}
}

// Who had rows before the first copy and was left out stays on premises, until an amendment takes
// it into the plan: its rows are carried over beside everybody's, whoever writes meanwhile.
func TestWhoStayedJoinsThePlan(t *testing.T) {
	for _, side := range []migration.Side{s, d} {
		t.Run("newcomers write on "+string(side), func(t *testing.T) {
			r := pairtest.New(t)
			r.Must(s, "INSERT INTO acct SELECT g, 0 FROM generate_series(1, 9) g")
			r.Must(s, "INSERT INTO orders (tenant_id, amount) SELECT 1 + g % 9, 1 FROM generate_series(1, 900) g")
			r.Pair.NewCustomers = side
			require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1}, nil)) // 2 to 9 stay, in one span
			r.Synced()
			r.Move(s, 1, pairtest.Try(1, 1))
			require.Zero(t, r.Num(d, "SELECT count(*) FROM orders WHERE tenant_id BETWEEN 2 AND 9"))

			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			wrote, refused := 0, []string(nil)
			all.Go(func() {
				for ctx.Err() == nil {
					for _, sql := range []string{"INSERT INTO orders (tenant_id, amount) VALUES (4, 1)",
						"UPDATE acct SET n = n + 1 WHERE tenant_id IN (4, 5)"} {
						if code := r.Exec(s, sql); code != "" {
							refused = append(refused, code)
						}
					}
					wrote++
				}
			})
			cut := func(at string) { // an attempt that is cut off there
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := setup.Prepare(ctx, r.Pair, []int64{1, 4, 6}, func(what string) {
					if strings.HasPrefix(what, at) {
						cancel()
					}
				})
				require.Error(t, err, at)
				require.Equal(t, pairtest.Refused, r.Exec(d, "INSERT INTO orders (tenant_id, amount) VALUES (4, 1)"), at)
			}
			known, err := r.Pair.Known(t.Context(), []int64{1, 4, 6})
			require.NoError(t, err)
			require.Equal(t, []int64{1}, known)
			cut("copying the rows")
			cut("handing over")
			require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 4, 6}, nil))
			r.Must(s, "INSERT INTO orders (tenant_id, amount) VALUES (4, 1)")
			cancel()
			all.Wait()
			require.Positive(t, wrote)
			require.Empty(t, refused, "nobody who writes there notices")
			for _, tenant := range []int{4, 6} {
				want := r.Num(s, "SELECT count(*) FROM orders WHERE tenant_id = $1", tenant)
				r.Until(fmt.Sprintf("tenant %d is whole on AWS", tenant), func() bool {
					return r.Num(d, "SELECT count(*) FROM orders WHERE tenant_id = $1", tenant) == want
				})
			}
			n := r.Num(s, "SELECT n FROM acct WHERE tenant_id = 4")
			r.Until("its last update is on AWS", func() bool { return r.Num(d, "SELECT n FROM acct WHERE tenant_id = 4") == n })
			// Those around it stay as they were.
			for _, tenant := range []int{2, 3, 5, 7, 9} {
				r.Must(s, fmt.Sprintf("INSERT INTO orders (tenant_id, amount) VALUES (%d, 1)", tenant))
				require.Equal(t, pairtest.Refused, r.Exec(d, fmt.Sprintf("INSERT INTO acct VALUES (%d, 0)", tenant)))
				require.Zero(t, r.Num(d, "SELECT count(*) FROM orders WHERE tenant_id = $1", tenant))
			}
			for _, at := range []migration.Side{s, d} {
				require.Zero(t, r.Num(at, "SELECT count(*) FROM pg_publication WHERE pubname = $1", r.Pair.Names.Joining))
				require.Zero(t, r.Num(at, "SELECT count(*) FROM pg_subscription WHERE subname = $1", r.Pair.Names.Joining))
				require.Zero(t, r.Num(at, "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE '%_join'"))
			}
			r.Move(s, 4, pairtest.Try(1, 1))
			r.Must(d, "INSERT INTO orders (tenant_id, amount) VALUES (4, 1)")
			require.Equal(t, pairtest.Refused, r.Exec(s, "INSERT INTO orders (tenant_id, amount) VALUES (4, 1)"))
			r.Move(d, 4, pairtest.Try(2, 2))
			r.Sound()
		})
	}
}
