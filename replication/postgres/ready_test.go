package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestNothingIsFencedWhileADirectionIsBroken(t *testing.T) {
	r := newRig(t).prepared(1)
	for _, from := range []migration.Side{s, d} {
		t.Run("from "+string(from), func(t *testing.T) {
			sub := r.pair.Names.Outgoing(from)
			r.must(from.Other(), "ALTER SUBSCRIPTION "+sub+" DISABLE")
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := r.pair.Lag(ctx)
			require.ErrorIs(t, err, ErrNoBeat)
			require.ErrorContains(t, err, "from "+string(from)+" to "+string(from.Other()))
			require.ErrorContains(t, err, sub)

			ready, err := r.pair.Ready(t.Context(), s, 1, 5*time.Second, 300*time.Millisecond)
			require.NoError(t, err)
			require.Equal(t, []string{"postgres-beat"}, checks(ready.Findings))
			require.Equal(t, migration.Blocker, ready.Findings[0].Severity)
			require.Contains(t, ready.Findings[0].Reason, "from "+string(from)+" to "+string(from.Other()))

			r.must(from.Other(), "ALTER SUBSCRIPTION "+sub+" ENABLE")
			r.until("it flows again", func() bool {
				ready, err := r.pair.Ready(t.Context(), s, 1, 5*time.Second, 5*time.Second)
				require.NoError(t, err)
				return len(ready.Findings) == 0
			})
		})
	}
}

func TestNothingIsFencedWhileADirectionIsSlowerThanThePlanAllows(t *testing.T) {
	r := newRig(t).prepared(1)
	for _, from := range []migration.Side{s, d} {
		t.Run("from "+string(from), func(t *testing.T) {
			// Whoever holds the heartbeat's row makes the beat wait.
			tx, err := r.app(from.Other()).Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "SELECT FROM drover.beat WHERE pub = $1 AND tenant = 0 FOR UPDATE", r.pair.Names.Outgoing(from))
			require.NoError(t, err)
			const allowed = 500 * time.Millisecond
			begun := time.Now()
			type answer struct {
				Readiness
				error
			}
			asked := make(chan answer, 1)
			go func() {
				ready, err := r.pair.Ready(context.WithoutCancel(t.Context()), s, 1, 10*time.Second, allowed)
				asked <- answer{ready, err}
			}()
			r.until("the beat is late", func() bool {
				return time.Since(begun) > allowed+100*time.Millisecond &&
					r.num(from.Other(), "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication %worker' AND wait_event_type = 'Lock' AND datname = current_database()") == 1
			})
			require.NoError(t, tx.Rollback(t.Context()))
			got := <-asked
			require.NoError(t, got.error)
			require.Equal(t, []string{"postgres-lag"}, checks(got.Findings))
			require.Equal(t, migration.Blocker, got.Findings[0].Severity)
			require.Contains(t, got.Findings[0].Reason, direction(from))
		})
	}
}
