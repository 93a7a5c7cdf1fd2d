package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// levels are the isolation levels that an application may write under.
var levels = []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable}

// untilSeen is how long a write must wait for a busy machine to see that it does.
const untilSeen = 3 * time.Second

func TestAWriteThatWaitsIsTakenWhenTheSideOpensAgain(t *testing.T) {
	for _, level := range levels {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel() // each waits most of its time, in a database of its own
			r := pairtest.New(t).Prepared(1)
			want := ""
			if level != pgx.ReadCommitted {
				want = "40001" // the row that said fenced is another one now
			}
			for n, reopens := range []func(k migration.Try){
				func(k migration.Try) { r.Word(r.Pair.Unfence(t.Context(), s, 1, k)) },
				func(k migration.Try) { r.Word(r.Pair.Claim(t.Context(), s, 1, k.Next())) },
			} {
				k := pairtest.Try(int64(10*n+1), 1)
				r.FencePatiently(s, k, time.Minute, time.Minute)
				w := r.Waits(s, level, 1)
				reopens(k)
				require.Equal(t, want, r.Ends(w))
				require.Empty(t, r.Exec(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 1"))
				require.Zero(t, r.Waiting(s, 0))
			}
			r.FencePatiently(s, pairtest.Try(31, 1), untilSeen, time.Minute)
			require.Empty(t, r.Ends(r.Waits(s, level, 1)), "the lease has run out: nobody has touched the row")
		})
	}
}

func TestAWriteThatWaitsIsRefusedWhenTheSideIsSealedOrItsPatienceEnds(t *testing.T) {
	for _, level := range levels {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel() // each waits most of its time, in a database of its own
			r := pairtest.New(t).Prepared(1)
			r.FencePatiently(s, pairtest.Try(1, 1), time.Minute, untilSeen)
			require.Equal(t, pairtest.Refused, r.Ends(r.Waits(s, level, 1)))
			r.Word(r.Pair.Unfence(t.Context(), s, 1, pairtest.Try(1, 1)))

			r.FencePatiently(s, pairtest.Try(2, 1), time.Minute, time.Minute)
			w := r.Waits(s, level, 1)
			begun := time.Now()
			require.Equal(t, migration.WordFenced, r.Word(pairtest.StepsOn(r.Pair).AwaitMark(t.Context(), d, 1, pairtest.Try(2, 1),
				pairtest.Patience)))
			require.Equal(t, migration.WordSealed, r.Seal(s, 1, pairtest.Try(2, 1)), "a seal that waited for the write would be busy")
			require.Equal(t, migration.WordOpen, r.OpenAt(d, 1, pairtest.Try(2, 1)))
			require.Less(t, time.Since(begun), pairtest.Patience)
			require.Equal(t, map[bool]string{true: pairtest.Refused, false: "40001"}[level == pgx.ReadCommitted], r.Ends(w))
			require.Equal(t, pairtest.Refused, r.Exec(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 1"), "a sealed side lets nobody wait")
			r.Sound()
		})
	}
}

// What a transaction has locked before it waits, and the row that it waits with, are in nobody's
// way.
func TestAWriteThatWaitsHoldsNothingThatMovesAndReplicationNeed(t *testing.T) {
	for _, level := range levels {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel() // each waits most of its time, in a database of its own
			r := pairtest.New(t).Prepared(3)
			r.Move(s, 2, pairtest.Try(1, 1))
			r.FencePatiently(s, pairtest.Try(1, 1), time.Minute, time.Minute)
			w := r.Waits(s, level, 1)
			require.Empty(t, r.Exec(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 3"), "other tenants write")
			require.Empty(t, r.Exec(d, "UPDATE acct SET n = 77 WHERE tenant_id = 2"))
			r.Until("replication arrives", func() bool { return r.Num(s, "SELECT n FROM acct WHERE tenant_id = 2") == 77 })
			r.Move(d, 2, pairtest.Try(2, 1))
			r.Move(s, 3, pairtest.Try(1, 1))
			require.Zero(t, r.Num(s, "SELECT count(*) FROM pg_locks WHERE pid = $1 AND (locktype = 'advisory' AND classid IN (724, 725) "+
				"OR relation = 'drover.fence'::regclass AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'SIReadLock'))", int64(w.PID)))
			require.Equal(t, migration.WordSealed, r.Seal(s, 1, pairtest.Try(1, 1)))
			r.Ends(w)
			r.Word(r.Pair.Poison(t.Context(), d, 1, pairtest.Try(2, 1)))
			r.Word(r.Pair.Reopen(t.Context(), s, 1, pairtest.Try(2, 1)))
			require.Equal(t, migration.WordFenced, r.Fence(s, 1, pairtest.Try(3, 1), time.Second), "the next fence waits for nobody")
			r.Sound()
		})
	}
}

func TestOnlyAQuarterOfTheConnectionsMayWaitAndTheServersLogSaysWho(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	most := int(r.Num(s, "SELECT current_setting('max_connections')::int / 4"))
	r.FencePatiently(s, pairtest.Try(1, 1), time.Minute, time.Minute)
	var all []pairtest.Waiter
	for range most {
		all = append(all, r.WaitsWith(s, pgx.ReadCommitted, "INSERT INTO orders (tenant_id, amount) VALUES ($1, 1)", 1))
	}
	require.Equal(t, pairtest.Refused, r.Exec(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 1"), "one too many")
	r.Word(r.Pair.Unfence(t.Context(), s, 1, pairtest.Try(1, 1)))
	for _, w := range all {
		require.Empty(t, r.Ends(w))
	}
	require.EqualValues(t, most, r.Num(s, "SELECT count(*) FROM orders WHERE tenant_id = 1"))
	require.Contains(t, r.Src.Log(), "drover: a write of tenant 1 waits for the end of a fence")
}

// Writes of one row wait for each other before they come to the guard: together they wait no longer
// than one.
func TestWritesOfOneRowShareTheirPatience(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	const others, patience = 4, 4 * time.Second
	var conns []*pgx.Conn
	for range others {
		conns = append(conns, r.App(s))
	}
	r.FencePatiently(s, pairtest.Try(1, 1), time.Minute, patience)
	first := r.Waits(s, pgx.ReadCommitted, 1)
	begun, codes := time.Now(), make(chan string)
	for _, c := range conns {
		go func() {
			_, err := c.Exec(context.WithoutCancel(t.Context()), "UPDATE acct SET n = n + 1 WHERE tenant_id = 1")
			codes <- pairtest.Code(err)
		}()
	}
	require.Equal(t, pairtest.Refused, r.Ends(first))
	for range others {
		require.Equal(t, pairtest.Refused, <-codes)
	}
	require.Less(t, time.Since(begun), others*patience, "one after the other")
}

func TestAFenceWithoutPatienceRefusesAtOnce(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.FencePatiently(s, pairtest.Try(1, 1), time.Minute, 0)
	begun := time.Now()
	require.Equal(t, pairtest.Refused, r.Exec(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 1"))
	require.Less(t, time.Since(begun), 10*time.Second)
}
