package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

const (
	movers       = 4 // tenants that move at once
	fewestRounds = 3 // however slow the machine is
)

// round is what one property check does: a few tries for each tenant at once, and perhaps a crash
// of either side.
type round struct {
	Tries   [movers][]faults
	Crash   migration.Side // "": none
	CrashAt time.Duration
}

func drawRound(t *rapid.T) (r round) {
	for i := range r.Tries {
		for range rapid.IntRange(1, 4).Draw(t, "tries") {
			r.Tries[i] = append(r.Tries[i], faults{
				Stop: rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 4}).Draw(t, "stop"), Lost: rapid.IntRange(0, 5).Draw(t, "lost"),
				Twice: rapid.Bool().Draw(t, "twice"), Late: rapid.Bool().Draw(t, "late"),
				Poison: rapid.IntRange(0, 4).Draw(t, "poison") == 0,
				Lease: rapid.SampledFrom([]time.Duration{5 * time.Second, 5 * time.Second, 5 * time.Second, 30 * time.Millisecond}).Draw(t,
					"lease"),
				Wait: rapid.SampledFrom([]time.Duration{0, 20 * time.Millisecond, 2 * time.Second, 2 * time.Second}).Draw(t, "wait"),
			})
		}
	}
	r.Crash = rapid.SampledFrom([]migration.Side{"", "", s, d}).Draw(t, "crash")
	r.CrashAt = time.Duration(rapid.IntRange(0, 150).Draw(t, "crash at ms")) * time.Millisecond
	return r
}

func TestNoFaultLosesDoublesOrOpensTwice(t *testing.T) {
	r := pairtest.New(t).Prepared(movers)
	l := newLedger(r)
	for tenant := int64(1); tenant <= movers; tenant++ {
		l.writes(tenant)
	}
	stopped := false
	defer func() {
		if !stopped {
			l.close()
		}
	}()
	m := &mover{pair: r.Pair}
	begun, rounds := time.Now(), 0
	rapid.Check(t, func(rt *rapid.T) {
		x := drawRound(rt)
		if rounds >= fewestRounds && time.Since(begun) > 10*time.Second {
			return // enough for every run
		}
		rounds++
		if err := play(r, m, x); err != nil {
			rt.Fatal(err)
		}
	})
	l.close()
	stopped = true
	m.rise(t.Context())
	total := 0
	for tenant := int64(1); tenant <= movers; tenant++ {
		require.NoError(t, m.repair(t.Context(), tenant))
		h, err := m.home(t.Context(), tenant)
		require.NoError(t, err)
		require.NoError(t, l.settle(t.Context(), h.Home(), tenant))
		total += len(l.acked[tenant])
		// And what is at home reaches the other side.
		r.Until("both sides are alike", func() bool {
			v, err := r.Pair.Verify(t.Context(), tenant)
			require.NoError(t, err)
			return v.Differences == nil
		})
	}
	r.Sound()
	require.GreaterOrEqual(t, rounds, fewestRounds)
	require.Positive(t, total, "nobody wrote, so that nothing could be lost")
	t.Logf("%d rounds, %d acknowledged writes in %s", rounds, total, time.Since(begun).Round(time.Second))
}

// play runs a round, with an auditor beside it, and settles everybody at its end.
func play(r *pairtest.Rig, m *mover, x round) error {
	ctx, cancel := context.WithTimeout(r.Context(), 40*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	failed := make(chan error, 2*movers+2)
	for i, tries := range x.Tries {
		wg.Go(func() {
			for _, f := range tries {
				err := m.move(ctx, int64(i+1), f)
				if errors.Is(err, errDied) || err == nil {
					err = m.repair(ctx, int64(i+1))
				}
				if err != nil {
					failed <- fmt.Errorf("tenant %d: %w", i+1, err)
				}
				m.rise(ctx)
				if err := m.balanced(ctx, int64(i+1)); err != nil {
					failed <- fmt.Errorf("after %+v: %w", f, err)
				}
			}
		})
	}
	if x.Crash != "" {
		wg.Go(func() {
			time.Sleep(x.CrashAt) // the moment is the input, not a wait for something
			server := map[migration.Side]*pg.Server{s: r.Src, d: r.Dst}[x.Crash]
			if err := errors.Join(server.Stop(pg.Immediate), server.Restart(ctx)); err != nil {
				failed <- err
			}
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		return err
	}
	for tenant := int64(1); tenant <= movers; tenant++ {
		if err := m.repair(ctx, tenant); err != nil {
			return err
		}
	}
	broken, err := r.Pair.Audit(ctx)
	if err == nil && len(broken) > 0 {
		err = errors.New(strings.Join(broken, "; "))
	}
	return err
}

// weaken installs move.sql on both sides with one safeguard taken out.
func weaken(r *pairtest.Rig, safeguard, without string) {
	r.Helper()
	require.Contains(r, postgres.MoveSQL(), safeguard)
	for _, x := range []*pg.Server{r.Src, r.Dst} {
		require.NoError(r, x.Exec(r.Context(), r.DB, strings.Replace(postgres.MoveSQL(), safeguard, without, 1)))
	}
}

// The invariants must be able to fail: each safeguard taken out of move.sql is missed.
func TestAWeakenedProtocolIsCaught(t *testing.T) {
	stopForward := func(r *pairtest.Rig) {
		r.Must(d, "ALTER SUBSCRIPTION "+r.Pair.Names.Forward+" DISABLE")
		r.Until("the walsender has gone", func() bool {
			return r.Num(s, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active", r.Pair.Names.Forward) == 0
		})
	}
	t.Run("an open that does not look for the mark loses a write", func(t *testing.T) {
		r := pairtest.New(t).Prepared(1)
		weaken(r, "IF NOT drover.arrived(ids, p_token, p_owner) THEN RETURN 'behind'; END IF;", "")
		l := newLedger(r)
		stopForward(r)
		require.True(t, l.write(s, 1, pairtest.Owner(7)))
		l.acked[1] = []string{pairtest.Owner(7)}
		require.Equal(t, migration.WordFenced, r.Fence(s, 1, pairtest.Try(1, 1), 10*time.Second))
		require.Equal(t, migration.WordSealed, r.Seal(s, 1, pairtest.Try(1, 1)))
		require.Equal(t, migration.WordOpen, r.OpenAt(d, 1, pairtest.Try(1, 1)))
		require.ErrorContains(t, l.settle(t.Context(), d, 1), "1 writes were acknowledged, 0 of them")
	})
	t.Run("an open that forgets tokens opens twice", func(t *testing.T) {
		r := pairtest.New(t).Prepared(1)
		weaken(r, "$$ SELECT f.token > p_token OR f.token = p_token AND f.owner IS DISTINCT FROM p_owner $$", "$$ SELECT false $$")
		require.Equal(t, migration.WordFenced, r.Fence(s, 1, pairtest.Try(1, 1), 10*time.Second))
		require.Equal(t, migration.WordFenced, r.Word(pairtest.StepsOn(r.Pair).AwaitMark(t.Context(), d, 1, pairtest.Try(1, 1),
			10*time.Second)))
		require.Equal(t, migration.WordSealed, r.Seal(s, 1, pairtest.Try(1, 1)))
		require.Equal(t, migration.WordPoisoned, r.Word(r.Pair.Poison(t.Context(), d, 1, pairtest.Try(2, 1))))
		require.Equal(t, migration.WordOpen, r.Word(r.Pair.Reopen(t.Context(), s, 1, pairtest.Try(2, 1))))
		r.OpenAt(d, 1, pairtest.Try(1, 1)) // the zombie
		broken, err := r.Pair.Audit(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, broken)
	})
	t.Run("a seal that ignores the lease loses a write", func(t *testing.T) {
		r := pairtest.New(t).Prepared(1)
		weaken(r, "WHEN f.state = 'open' OR f.lease_until <= clock_timestamp()   THEN 'expired'", "WHEN false THEN 'expired'")
		l := newLedger(r)
		require.Equal(t, migration.WordFenced, r.Fence(s, 1, pairtest.Try(1, 1), 100*time.Millisecond))
		require.Equal(t, migration.WordFenced, r.Word(pairtest.StepsOn(r.Pair).AwaitMark(t.Context(), d, 1, pairtest.Try(1, 1),
			10*time.Second)))
		stopForward(r)
		r.Until("the lease runs out", func() bool { return l.write(s, 1, pairtest.Owner(7)) })
		l.acked[1] = []string{pairtest.Owner(7)}
		require.Equal(t, migration.WordSealed, r.Seal(s, 1, pairtest.Try(1, 1)))
		require.Equal(t, migration.WordOpen, r.OpenAt(d, 1, pairtest.Try(1, 1)))
		require.ErrorContains(t, l.settle(t.Context(), d, 1), "1 writes were acknowledged, 0 of them")
	})
	t.Run("a write that has waited and does not look again is lost", func(t *testing.T) {
		r := pairtest.New(t).Prepared(1)
		weaken(r, "PERFORM drover._await(t, rc);\n  PERFORM drover._enter(t, rc, false);", "PERFORM drover._await(t, rc);")
		l := newLedger(r)
		r.FencePatiently(s, pairtest.Try(1, 1), 10*time.Second, 10*time.Second)
		require.Equal(t, migration.WordFenced, r.Word(pairtest.StepsOn(r.Pair).AwaitMark(t.Context(), d, 1, pairtest.Try(1, 1),
			10*time.Second)))
		w := r.WaitsWith(s, pgx.ReadCommitted, "INSERT INTO orders (tenant_id, token, amount) VALUES ($1, '"+pairtest.Owner(7)+"', 1)", 1)
		require.Equal(t, migration.WordSealed, r.Seal(s, 1, pairtest.Try(1, 1)))
		require.Equal(t, migration.WordOpen, r.OpenAt(d, 1, pairtest.Try(1, 1)))
		require.Empty(t, r.Ends(w), "it was acknowledged")
		l.acked[1] = []string{pairtest.Owner(7)}
		require.ErrorContains(t, l.settle(t.Context(), d, 1), "1 writes were acknowledged, 0 of them")
	})
}
