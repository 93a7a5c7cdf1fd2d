package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
)

const update = "UPDATE acct SET n = $2 WHERE tenant_id = $1"

func (r *rig) account(side migration.Side, tenant int64) int64 {
	r.Helper()
	return r.num(side, "SELECT n FROM acct WHERE tenant_id = $1", tenant)
}

func (r *rig) arrives(side migration.Side, tenant, n int64) {
	r.Helper()
	r.until("the account arrives", func() bool { return r.account(side, tenant) == n })
}

func TestALeaseThatRunsOutOpensTheOriginByItself(t *testing.T) {
	r := newRig(t).prepared(3)
	require.Equal(t, migration.WordFenced, r.fence(s, 1, try(1, 1), 600*time.Millisecond))
	require.Equal(t, refused, r.exec(s, update, 1, 5))
	r.until("the lease runs out", func() bool { return r.exec(s, update, 1, 7) == "" })
	r.arrives(d, 1, 7) // the forward filter is still on
	h, err := r.pair.Home(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, migration.Open, h.OnPrem.State, "the first writer writes the expiry down")
	require.Equal(t, migration.WordExpired, r.seal(s, 1, try(1, 1)), "a late seal")
	require.Equal(t, migration.WordExpired, r.fence(s, 1, try(1, 1), time.Minute), "the fence again never renews")

	require.Equal(t, migration.WordFenced, r.fence(s, 1, try(2, 1), 50*time.Millisecond))
	r.until("the lease runs out with no writer", func() bool {
		return r.num(s, "SELECT (lease_until < clock_timestamp())::int FROM drover.fence WHERE tenant = 1") == 1
	})
	require.Equal(t, migration.WordExpired, r.seal(s, 1, try(2, 1)))
	require.Equal(t, migration.WordOpen, r.word(r.pair.Unfence(t.Context(), s, 1, try(2, 1))))
	require.Equal(t, migration.WordExpired, r.fence(s, 1, try(2, 1), time.Minute), "a late fence of a released token")
	require.Equal(t, migration.WordOpen, r.word(r.pair.Unfence(t.Context(), s, 1, try(3, 3))), "unfence before its fence")
	require.Equal(t, migration.WordExpired, r.fence(s, 1, try(3, 3), time.Minute))
	r.sound()
}

func TestTheDestinationOpensOnlyWithEverything(t *testing.T) {
	r := newRig(t).prepared(4)
	sub := pgx.Identifier{r.pair.Names.Forward}.Sanitize()
	r.must(d, "ALTER SUBSCRIPTION "+sub+" DISABLE")
	r.until("the walsender has gone", func() bool {
		return r.num(s, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active", r.pair.Names.Forward) == 0
	})
	r.must(s, update, 2, 70)
	r.must(s, "INSERT INTO orders (tenant_id, amount) VALUES (2, 1)")
	require.Equal(t, migration.WordFenced, r.fence(s, 2, try(1, 1), 20*time.Second))
	require.Equal(t, migration.WordBehind, r.word(r.pair.AwaitMark(t.Context(), d, 2, try(1, 1), 50*time.Millisecond)))
	require.Equal(t, migration.WordSealed, r.seal(s, 2, try(1, 1)))
	require.EqualValues(t, 0, r.num(s, `SELECT count(*) FROM pg_publication p JOIN pg_publication_rel x ON x.prpubid = p.oid
		WHERE pubname = $1 AND prrelid = 'acct'::regclass AND pg_get_expr(prqual, prrelid) !~ 'tenant_id >= 3'`, r.pair.Names.Forward), "the filter is without 2")
	require.Equal(t, migration.WordBehind, r.openAt(d, 2, try(1, 1)))
	r.must(d, "ALTER SUBSCRIPTION "+sub+" ENABLE")
	r.arrives(d, 2, 70) // written before the seal, decoded after it: under the old filter

	t.Run("a transaction in flight there across the open has its later rows sent back", func(t *testing.T) {
		c := r.app(d)
		tx, err := c.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "INSERT INTO ref_currency VALUES ('zz', 1)")
		require.NoError(t, err)
		r.until("it opens", func() bool { return r.openAt(d, 2, try(1, 1)) == migration.WordOpen })
		_, err = tx.Exec(t.Context(), update, 2, 71)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "INSERT INTO orders (tenant_id, amount) VALUES (2, 2)")
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		r.arrives(s, 2, 71)
		require.EqualValues(t, 2, r.num(s, "SELECT count(*) FROM orders WHERE tenant_id = 2"))
		require.EqualValues(t, 2, r.num(d, "SELECT count(*) FROM orders WHERE tenant_id = 2"))
	})
	t.Run("a transaction that wrote another tenant first, too", func(t *testing.T) {
		c := r.app(d)
		tx, err := c.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), update, 2, 72)
		require.NoError(t, err)
		r.move(s, 3, try(1, 1))
		_, err = tx.Exec(t.Context(), update, 3, 90)
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		r.arrives(s, 3, 90)
		r.arrives(s, 2, 72)
	})
	r.sound()
}

func TestASnapshotOlderThanTheFenceCannotWrite(t *testing.T) {
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			r := newRig(t).prepared(4)
			tx, err := r.app(s).BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "SELECT 1 FROM ref_currency LIMIT 1")
			require.NoError(t, err)
			require.Equal(t, migration.WordFenced, r.fence(s, 4, try(1, 1), 10*time.Second))
			_, err = tx.Exec(t.Context(), update, 4, 1)
			require.Equal(t, "40001", code(err))
			require.NoError(t, tx.Rollback(t.Context()))
			require.Equal(t, migration.WordSealed, r.seal(s, 4, try(1, 1)))
		})
	}
}

func TestAFenceWaitsForPreparedTransactionsOverACrashToo(t *testing.T) {
	r := newRig(t).prepared(5)
	r.must(s, "BEGIN; UPDATE acct SET n = 5 WHERE tenant_id = 5; PREPARE TRANSACTION 'p5'")
	t.Cleanup(func() { _ = r.src.Exec(context.Background(), r.db, "ROLLBACK PREPARED 'p5'") }) // or nobody could make a slot any more
	require.Equal(t, migration.WordBusy, r.fence(s, 5, try(1, 1), 9*time.Second))
	ready, err := r.pair.Ready(t.Context(), s, 5, 5*time.Second, 5*time.Second)
	require.NoError(t, err)
	require.Contains(t, checks(ready.Findings), "postgres-old-writer")
	require.NoError(t, r.src.Stop(pg.Immediate))
	require.NoError(t, r.src.Restart(t.Context()))
	r.until("the worker is connected again", func() bool { return r.pair.OnPrem.Pool.Ping(t.Context()) == nil })
	require.Equal(t, migration.WordBusy, r.fence(s, 5, try(1, 1), 9*time.Second))
	r.must(s, "COMMIT PREPARED 'p5'")
	require.Equal(t, migration.WordFenced, r.fence(s, 5, try(1, 1), 9*time.Second))
}

func TestAFenceGivesUpBeforeTheWriterIsPickedAsADeadlocksVictim(t *testing.T) {
	r := newRig(t).prepared(7)
	tx, err := r.app(s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), update, 7, 1)
	require.NoError(t, err)
	fenced := make(chan string)
	go func() {
		fenced <- code(r.query(s, nil, "SELECT drover.fence('{6,7}', 1, '"+owner(1)+"', '9 s')"))
	}()
	r.until("the fence holds tenant 6", func() bool {
		return r.num(s, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 724 AND objid = 6 AND mode = 'ExclusiveLock'") == 1
	})
	_, err = tx.Exec(t.Context(), update, 6, 1)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, "55P03", <-fenced)
	require.EqualValues(t, 2, r.num(s, "SELECT sum(n) FROM acct WHERE tenant_id IN (6, 7)"))
}

func TestASealThatTimesOutBehindAVacuumChangesNothing(t *testing.T) {
	r := newRig(t).prepared(8)
	require.Equal(t, migration.WordFenced, r.fence(s, 8, try(1, 1), 20*time.Second))
	tx, err := r.app(s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
	require.NoError(t, err)
	require.Equal(t, "55P03", r.exec(s, "SELECT drover.seal('{8}', 1, '"+owner(1)+"', 300)"))
	require.EqualValues(t, 1, r.num(s, "SELECT count(*) FROM drover.fence f JOIN drover.direction USING (tenant) WHERE tenant = 8 AND state = 'fenced' AND is_on"))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, migration.WordSealed, r.seal(s, 8, try(1, 1)))
}

func TestADoubtfulOpenIsResolvedByWriting(t *testing.T) {
	r := newRig(t).prepared(8)
	ctx := t.Context()
	r.move(s, 2, try(1, 1))
	require.Equal(t, migration.WordFenced, r.fence(s, 8, try(1, 1), 20*time.Second))
	require.Equal(t, migration.WordSealed, r.seal(s, 8, try(1, 1)))
	require.Equal(t, migration.WordSealed, r.seal(s, 8, try(1, 1)), "again")
	require.Equal(t, migration.WordSuperseded, r.seal(s, 8, try(1, 2)), "the same token of another owner")
	require.Equal(t, migration.WordPoisoned, r.word(r.pair.Poison(ctx, d, 8, try(2, 1))))
	require.Equal(t, migration.WordSuperseded, r.openAt(d, 8, try(1, 1)), "a late open")
	require.Equal(t, migration.WordSuperseded, r.word(r.pair.Poison(ctx, d, 8, try(2, 2))), "the same token of another owner")
	require.Equal(t, migration.WordOpen, r.word(r.pair.Reopen(ctx, s, 8, try(2, 1))))
	require.Equal(t, migration.WordOpen, r.word(r.pair.Reopen(ctx, s, 8, try(2, 1))), "again")
	require.Equal(t, migration.WordSuperseded, r.seal(s, 8, try(1, 1)), "a late seal")
	require.Equal(t, migration.WordOpened, r.word(r.pair.Poison(ctx, d, 2, try(2, 1))), "it had opened")
	require.Equal(t, migration.WordNotFenced, r.seal(s, 8, try(3, 1)), "a seal without its fence")
	r.sound()
}

func TestTheGuardRefusesWhatIsNotAtHome(t *testing.T) {
	r := newRig(t).prepared(9)
	r.move(s, 2, try(1, 1))
	require.Equal(t, "DR003", r.exec(s, "TRUNCATE orders"))
	require.Equal(t, "DR003", r.exec(s, "TRUNCATE events_a"), "a partition by itself")
	require.Equal(t, refused, r.exec(s, "INSERT INTO acct VALUES (99, 1)"), "an unknown tenant")
	require.Equal(t, refused, r.exec(s, "INSERT INTO events (ts, tenant_id) VALUES ('2024-05-05', 2)"), "a partitioned table")
	r.must(s, "INSERT INTO orders (tenant_id, amount) VALUES (9, 1)")
	require.Equal(t, refused, r.exec(s, "UPDATE orders SET tenant_id = 2 WHERE tenant_id = 9"), "a row given to a tenant that is elsewhere")
	require.EqualValues(t, 1, r.num(d, "SELECT drover.is_home(2)::int"))
	require.EqualValues(t, 0, r.num(s, "SELECT drover.is_home(2)::int"))

	t.Run("while it observes, it writes down whom it would refuse, and nothing can be fenced", func(t *testing.T) {
		r.must(s, "UPDATE drover.config SET mode = 'observe'")
		r.must(s, "INSERT INTO acct VALUES (99, 1)")
		require.EqualValues(t, 1, r.num(s, "SELECT count(*) FROM drover.refused WHERE tenant = 99 AND state = 'unknown tenant'"))
		_, err := r.pair.Fence(t.Context(), s, 9, try(1, 1), time.Second)
		require.ErrorIs(t, err, ErrObserving)
		ready, err := r.pair.Ready(t.Context(), s, 9, 5*time.Second, 5*time.Second)
		require.NoError(t, err)
		require.Equal(t, []string{"postgres-guard-mode"}, checks(ready.Findings))
		r.must(s, "UPDATE drover.config SET mode = 'enforce'")
	})
	t.Run("a publication changed by hand is found and rebuilt", func(t *testing.T) {
		r.sound()
		pub := pgx.Identifier{r.pair.Names.Forward}.Sanitize()
		r.must(s, "ALTER PUBLICATION "+pub+" SET TABLE acct WHERE (tenant_id < 5)")
		broken, err := r.pair.Audit(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, broken)
		r.must(s, "SELECT drover.rebuild($1)", r.pair.Names.Forward)
		r.sound()
	})
	_, err := r.pair.Fence(t.Context(), s, 99, try(1, 1), time.Second)
	require.ErrorIs(t, err, ErrNotPrepared)
}

func TestAClientKilledWhileItWaitedIsStoppedByItsToken(t *testing.T) {
	r := newRig(t).prepared(2)
	tx, err := r.app(s).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), update, 1, 1)
	require.NoError(t, err)
	zombie := make(chan string)
	go func() {
		var w string
		_ = r.query(s, &w, "SELECT drover.fence('{1}', 1, '"+owner(1)+"', '9 s', 10000)")
		zombie <- w
	}()
	r.until("it waits", func() bool {
		return r.num(s, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 1
	})
	claimed := make(chan migration.Word)
	go func() { claimed <- r.word(r.pair.Claim(context.WithoutCancel(t.Context()), s, 1, try(2, 2))) }()
	require.Equal(t, migration.WordOpen, <-claimed)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, "superseded", <-zombie)
	require.Empty(t, r.exec(s, update, 1, 2))
}

func checks(f []migration.Finding) (out []string) {
	for _, x := range f {
		out = append(out, x.Check)
	}
	return out
}
