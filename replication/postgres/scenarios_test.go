package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

const update = "UPDATE acct SET n = $2 WHERE tenant_id = $1"

func account(r *pairtest.Rig, side migration.Side, tenant int64) int64 {
	r.Helper()
	return r.Num(side, "SELECT n FROM acct WHERE tenant_id = $1", tenant)
}

func arrives(r *pairtest.Rig, side migration.Side, tenant, n int64) {
	r.Helper()
	r.Until("the account arrives", func() bool { return account(r, side, tenant) == n })
}

func TestALeaseThatRunsOutOpensTheOriginByItself(t *testing.T) {
	r := pairtest.New(t).Prepared(3)
	require.Equal(t, migration.WordFenced, r.Fence(s, 1, pairtest.Try(1, 1), 600*time.Millisecond))
	require.Equal(t, pairtest.Refused, r.Exec(s, update, 1, 5))
	r.Until("the lease runs out", func() bool { return r.Exec(s, update, 1, 7) == "" })
	arrives(r, d, 1, 7) // the forward filter is still on
	h, err := r.Pair.Home(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, migration.Open, h.OnPrem.State, "the first writer writes the expiry down")
	require.Equal(t, migration.WordExpired, r.Seal(s, 1, pairtest.Try(1, 1)), "a late seal")
	require.Equal(t, migration.WordExpired, r.Fence(s, 1, pairtest.Try(1, 1), time.Minute), "the fence again never renews")

	require.Equal(t, migration.WordFenced, r.Fence(s, 1, pairtest.Try(2, 1), 50*time.Millisecond))
	r.Until("the lease runs out with no writer", func() bool {
		return r.Num(s, "SELECT (lease_until < clock_timestamp())::int FROM drover.fence WHERE tenant = 1") == 1
	})
	require.Equal(t, migration.WordExpired, r.Seal(s, 1, pairtest.Try(2, 1)))
	require.Equal(t, migration.WordOpen, r.Word(r.Pair.Unfence(t.Context(), s, 1, pairtest.Try(2, 1))))
	require.Equal(t, migration.WordExpired, r.Fence(s, 1, pairtest.Try(2, 1), time.Minute), "a late fence of a released token")
	require.Equal(t, migration.WordOpen, r.Word(r.Pair.Unfence(t.Context(), s, 1, pairtest.Try(3, 3))), "unfence before its fence")
	require.Equal(t, migration.WordExpired, r.Fence(s, 1, pairtest.Try(3, 3), time.Minute))
	r.Sound()
}

func TestTheDestinationOpensOnlyWithEverything(t *testing.T) {
	r := pairtest.New(t).Prepared(4)
	sub := pgx.Identifier{r.Pair.Names.Forward}.Sanitize()
	r.Must(d, "ALTER SUBSCRIPTION "+sub+" DISABLE")
	r.Until("the walsender has gone", func() bool {
		return r.Num(s, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active", r.Pair.Names.Forward) == 0
	})
	r.Must(s, update, 2, 70)
	r.Must(s, "INSERT INTO orders (tenant_id, amount) VALUES (2, 1)")
	require.Equal(t, migration.WordFenced, r.Fence(s, 2, pairtest.Try(1, 1), 20*time.Second))
	require.Equal(t, migration.WordBehind, r.Word(pairtest.StepsOn(r.Pair).AwaitMark(t.Context(), d, 2, pairtest.Try(1, 1),
		50*time.Millisecond)))
	require.Equal(t, migration.WordSealed, r.Seal(s, 2, pairtest.Try(1, 1)))
	require.EqualValues(t, 0, r.Num(s, `SELECT count(*) FROM pg_publication p JOIN pg_publication_rel x ON x.prpubid = p.oid
		WHERE pubname = $1 AND prrelid = 'acct'::regclass AND pg_get_expr(prqual, prrelid) !~ 'NOT .*tenant_id = 2'`, r.Pair.Names.Forward), "the filter is without 2")
	require.Equal(t, migration.WordBehind, r.OpenAt(d, 2, pairtest.Try(1, 1)))
	r.Must(d, "ALTER SUBSCRIPTION "+sub+" ENABLE")
	arrives(r, d, 2, 70) // written before the seal, decoded after it: under the old filter

	t.Run("a transaction in flight there across the open has its later rows sent back", func(t *testing.T) {
		c := r.App(d)
		tx, err := c.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SELECT pg_current_xact_id()") // it has an id, and nothing written yet
		require.NoError(t, err)
		r.Until("it opens", func() bool { return r.OpenAt(d, 2, pairtest.Try(1, 1)) == migration.WordOpen })
		_, err = tx.Exec(t.Context(), update, 2, 71)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "INSERT INTO orders (tenant_id, amount) VALUES (2, 2)")
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		arrives(r, s, 2, 71)
		require.EqualValues(t, 2, r.Num(s, "SELECT count(*) FROM orders WHERE tenant_id = 2"))
		require.EqualValues(t, 2, r.Num(d, "SELECT count(*) FROM orders WHERE tenant_id = 2"))
	})
	t.Run("a transaction that wrote another tenant first, too", func(t *testing.T) {
		c := r.App(d)
		tx, err := c.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), update, 2, 72)
		require.NoError(t, err)
		r.Move(s, 3, pairtest.Try(1, 1))
		_, err = tx.Exec(t.Context(), update, 3, 90)
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		arrives(r, s, 3, 90)
		arrives(r, s, 2, 72)
	})
	r.Sound()
}

func TestASnapshotOlderThanTheFenceCannotWrite(t *testing.T) {
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			r := pairtest.New(t).Prepared(4)
			tx, err := r.App(s).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "SELECT 1 FROM ref_currency LIMIT 1")
			require.NoError(t, err)
			require.Equal(t, migration.WordFenced, r.Fence(s, 4, pairtest.Try(1, 1), 10*time.Second))
			_, err = tx.Exec(t.Context(), update, 4, 1)
			require.Equal(t, "40001", pairtest.Code(err))
			require.NoError(t, tx.Rollback(t.Context()))
			require.Equal(t, migration.WordSealed, r.Seal(s, 4, pairtest.Try(1, 1)))
		})
	}
}

func TestAFenceWaitsForPreparedTransactionsOverACrashToo(t *testing.T) {
	r := pairtest.New(t).Prepared(5)
	r.Must(s, "BEGIN; UPDATE acct SET n = 5 WHERE tenant_id = 5; PREPARE TRANSACTION 'p5'")
	t.Cleanup(func() { _ = r.Src.Exec(context.Background(), r.DB, "ROLLBACK PREPARED 'p5'") }) // or nobody could make a slot any more
	require.Equal(t, migration.WordBusy, r.Fence(s, 5, pairtest.Try(1, 1), 9*time.Second))
	ready, err := r.Pair.Ready(t.Context(), s, 5, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
	require.NoError(t, err)
	require.Contains(t, pairtest.Checks(ready.Findings), "postgres-old-writer")
	require.NoError(t, r.Src.Stop(pg.Immediate))
	require.NoError(t, r.Src.Restart(t.Context()))
	r.Pair.OnPrem.Reset() // a connection that the crash has ended fails once
	r.Until("the worker is connected again", func() bool { return r.Pair.OnPrem.Pool.Ping(t.Context()) == nil })
	require.Equal(t, migration.WordBusy, r.Fence(s, 5, pairtest.Try(1, 1), 9*time.Second))
	r.Must(s, "COMMIT PREPARED 'p5'")
	require.Equal(t, migration.WordFenced, r.Fence(s, 5, pairtest.Try(1, 1), 9*time.Second))
}

func TestAFenceGivesUpBeforeTheWriterIsPickedAsADeadlocksVictim(t *testing.T) {
	r := pairtest.New(t).Prepared(7)
	tx, err := r.App(s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), update, 7, 1)
	require.NoError(t, err)
	fenced := make(chan string)
	go func() {
		fenced <- pairtest.Code(r.Query(s, nil, "SELECT drover.fence('{6,7}', 1, '"+pairtest.Owner(1)+"', '9 s')"))
	}()
	r.Until("the fence holds tenant 6", func() bool {
		return r.Num(s, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 724 AND objid = 6 AND mode = "+
			"'ExclusiveLock'") == 1
	})
	_, err = tx.Exec(t.Context(), update, 6, 1)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, "55P03", <-fenced)
	require.EqualValues(t, 2, r.Num(s, "SELECT sum(n) FROM acct WHERE tenant_id IN (6, 7)"))
}

func TestASealThatTimesOutBehindAVacuumChangesNothing(t *testing.T) {
	r := pairtest.New(t).Prepared(8)
	require.Equal(t, migration.WordFenced, r.Fence(s, 8, pairtest.Try(1, 1), 20*time.Second))
	tx, err := r.App(s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
	require.NoError(t, err)
	require.Equal(t, "55P03", r.Exec(s, "SELECT drover.seal('{8}', 1, '"+pairtest.Owner(1)+"', 300)"))
	require.EqualValues(t, 1, r.Num(s, "SELECT count(*) FROM drover.fence f JOIN drover.direction USING (tenant) WHERE tenant = 8 AND "+
		"state = 'fenced' AND is_on"))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, migration.WordSealed, r.Seal(s, 8, pairtest.Try(1, 1)))
}

func TestADoubtfulOpenIsResolvedByWriting(t *testing.T) {
	r := pairtest.New(t).Prepared(8)
	ctx := t.Context()
	r.Move(s, 2, pairtest.Try(1, 1))
	require.Equal(t, migration.WordFenced, r.Fence(s, 8, pairtest.Try(1, 1), 20*time.Second))
	require.Equal(t, migration.WordSealed, r.Seal(s, 8, pairtest.Try(1, 1)))
	require.Equal(t, migration.WordSealed, r.Seal(s, 8, pairtest.Try(1, 1)), "again")
	require.Equal(t, migration.WordSuperseded, r.Seal(s, 8, pairtest.Try(1, 2)), "the same token of another owner")
	require.Equal(t, migration.WordPoisoned, r.Word(r.Pair.Poison(ctx, d, 8, pairtest.Try(2, 1))))
	require.Equal(t, migration.WordSuperseded, r.OpenAt(d, 8, pairtest.Try(1, 1)), "a late open")
	require.Equal(t, migration.WordSuperseded, r.Word(r.Pair.Poison(ctx, d, 8, pairtest.Try(2, 2))), "the same token of another owner")
	require.Equal(t, migration.WordOpen, r.Word(r.Pair.Reopen(ctx, s, 8, pairtest.Try(2, 1))))
	require.Equal(t, migration.WordOpen, r.Word(r.Pair.Reopen(ctx, s, 8, pairtest.Try(2, 1))), "again")
	require.Equal(t, migration.WordSuperseded, r.Seal(s, 8, pairtest.Try(1, 1)), "a late seal")
	require.Equal(t, migration.WordOpened, r.Word(r.Pair.Poison(ctx, d, 2, pairtest.Try(2, 1))), "it had opened")
	require.Equal(t, migration.WordNotFenced, r.Seal(s, 8, pairtest.Try(3, 1)), "a seal without its fence")
	r.Sound()
}

func TestTheGuardRefusesWhatIsNotAtHome(t *testing.T) {
	r := pairtest.New(t).Prepared(9)
	r.Move(s, 2, pairtest.Try(1, 1))
	require.Equal(t, "DR003", r.Exec(s, "TRUNCATE orders"))
	require.Equal(t, "DR003", r.Exec(s, "TRUNCATE events_a"), "a partition by itself")
	require.Equal(t, pairtest.Refused, r.Exec(d, "INSERT INTO acct VALUES (99, 1)"), "an unknown tenant, on the side where newcomers do "+
		"not write")
	require.Equal(t, pairtest.Refused, r.Exec(s, "INSERT INTO events (ts, tenant_id) VALUES ('2024-05-05', 2)"), "a partitioned table")
	r.Must(s, "INSERT INTO orders (tenant_id, amount) VALUES (9, 1)")
	require.Equal(t, pairtest.Refused, r.Exec(s, "UPDATE orders SET tenant_id = 2 WHERE tenant_id = 9"), "a row given to a tenant that "+
		"is elsewhere")
	require.EqualValues(t, 1, r.Num(d, "SELECT drover.is_home(2)::int"))
	require.EqualValues(t, 0, r.Num(s, "SELECT drover.is_home(2)::int"))

	t.Run("a publication changed by hand is found and rebuilt", func(t *testing.T) {
		r.Sound()
		pub := pgx.Identifier{r.Pair.Names.Forward}.Sanitize()
		r.Must(s, "ALTER PUBLICATION "+pub+" SET TABLE acct WHERE (tenant_id < 5)")
		broken, err := r.Pair.Audit(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, broken)
		r.Must(s, "SELECT drover.rebuild($1)", r.Pair.Names.Forward)
		r.Sound()
	})
	_, err := pairtest.StepsOn(r.Pair).Fence(t.Context(), s, 99, pairtest.Try(1, 1), time.Second)
	require.ErrorIs(t, err, postgres.ErrNotPrepared)
}

func TestAClientKilledWhileItWaitedIsStoppedByItsToken(t *testing.T) {
	r := pairtest.New(t).Prepared(2)
	tx, err := r.App(s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), update, 1, 1)
	require.NoError(t, err)
	zombie := make(chan string)
	go func() {
		var w string
		_ = r.Query(s, &w, "SELECT drover.fence('{1}', 1, '"+pairtest.Owner(1)+"', '9 s', 10000)")
		zombie <- w
	}()
	r.Until("it waits", func() bool {
		return r.Num(s, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 1
	})
	claimed := make(chan migration.Word)
	go func() { claimed <- r.Word(r.Pair.Claim(context.WithoutCancel(t.Context()), s, 1, pairtest.Try(2, 2))) }()
	require.Equal(t, migration.WordOpen, <-claimed)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, "superseded", <-zombie)
	require.Empty(t, r.Exec(s, update, 1, 2))
}
