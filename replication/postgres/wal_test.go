package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestWALBeyondTheBudgetIsNamedWithWhatFollows(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	found, err := r.Pair.OverBudget(t.Context(), 1<<40)
	require.NoError(t, err)
	require.Empty(t, found)

	r.Must(s, "UPDATE acct SET n = n + 1")
	r.Until("more WAL waits than the plan allows", func() bool {
		found, err = r.Pair.OverBudget(t.Context(), 1)
		return err == nil && len(found) > 0 && found[0].Check == "postgres-wal-budget"
	})
	require.Equal(t, migration.Warning, found[0].Severity)
	require.Equal(t, "database orders on premises", found[0].Subject)
	require.Contains(t, found[0].Reason, "fill the disk of the server on premises")
	require.Contains(t, found[0].Remedy, "`SELECT * FROM pg_stat_subscription")
	found, err = r.Pair.OverBudget(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, found, "no budget")
}

// The copy of one table hangs, and WAL waits for it on premises while everything else keeps up.
func TestWALThatAFirstCopyKeepsCountsInTheBudget(t *testing.T) {
	const budget = 16 << 20
	r := pairtest.New(t)
	r.Must(s, `CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF current_setting('session_replication_role') = 'replica' THEN PERFORM pg_advisory_xact_lock_shared(4711); END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER hang BEFORE INSERT ON acct FOR EACH ROW EXECUTE FUNCTION hang();
		ALTER TABLE acct ENABLE ALWAYS TRIGGER hang;
		INSERT INTO acct VALUES (1, 0)`)
	holder := r.App(d)
	_, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock(4711)")
	require.NoError(t, err)
	r.Prepare(1)
	r.Until("the copy of a table hangs", func() bool {
		return r.Num(d, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'") > 0
	})
	found, err := r.Pair.OverBudget(t.Context(), budget)
	require.NoError(t, err)
	require.Empty(t, found)
	for range 3 {
		r.Must(s, "SELECT pg_logical_emit_message(false, 'fills', repeat('x', 8 << 20))")
	}
	r.Until("the direction itself keeps up, and the copy does not", func() bool {
		r.Script(s, "CHECKPOINT") // a slot goes on from what a checkpoint logs
		return r.Num(s, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots WHERE slot_name = $1",
			r.Pair.Names.Forward) < budget
	})
	found, err = r.Pair.OverBudget(t.Context(), budget)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "postgres-wal-budget", found[0].Check)
	require.Equal(t, "database orders on premises", found[0].Subject)
	require.Contains(t, found[0].Reason, "; the copy of table public.acct keeps most of them")
	require.Contains(t, found[0].Remedy, "`SELECT * FROM pg_stat_progress_copy` in the database on AWS")
	require.Contains(t, found[0].Remedy, "`drover abort "+r.Pair.Plan+"` and submit the plan again: the abort takes everybody home")

	_, err = holder.Exec(t.Context(), "SELECT pg_advisory_unlock(4711)")
	require.NoError(t, err)
	r.Synced()
	r.Until("the copy's slot is gone", func() bool {
		r.Script(s, "CHECKPOINT")
		found, err = r.Pair.OverBudget(t.Context(), budget)
		return err == nil && len(found) == 0
	})
}

// A copy whose slot has lost WAL never ends, while the direction itself keeps up.
func TestACopyWhoseSlotHasLostWALIsNamedWithWhatFollows(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	var table string
	require.NoError(t, r.Query(d, &table, `SELECT format('pg_%s_sync_%s_1', u.oid, 'acct'::regclass::oid) FROM pg_subscription u
		WHERE subname = $1`, r.Pair.Names.Forward))
	for _, slot := range []string{table, r.Pair.Names.Joining} {
		r.Must(s, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", slot)
	}
	lost := func() int64 {
		return r.Num(s, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = ANY ($1) AND wal_status = 'lost'",
			[]string{table, r.Pair.Names.Joining})
	}
	r.Must(s, "SELECT pg_logical_emit_message(false, 'fills', repeat('x', 1 << 20))")
	r.Until("the copies keep most of it", func() bool { // the direction itself goes on with its next beat
		r.Script(s, "CHECKPOINT")
		found, err := r.Pair.OverBudget(t.Context(), 1)
		return err == nil && len(found) > 0 && strings.Contains(found[0].Reason, "; the copy of ")
	})

	keep := func(sql string) {
		require.NoError(t, r.Src.Exec(context.Background(), "postgres", sql))
		require.NoError(t, r.Src.Exec(context.Background(), "postgres", "SELECT pg_reload_conf()"))
	}
	keep("ALTER SYSTEM SET max_slot_wal_keep_size = '64MB'")
	t.Cleanup(func() { keep("ALTER SYSTEM RESET max_slot_wal_keep_size") })
	for n := 0; lost() < 2 && n < 20; n++ {
		r.Must(s, "SELECT pg_logical_emit_message(false, 'fills', repeat('x', 12 << 20))")
		r.Until("the direction itself keeps up", func() bool {
			r.Script(s, "CHECKPOINT") // a slot goes on from what a checkpoint logs
			return r.Num(s, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots
				WHERE slot_name = $1`, r.Pair.Names.Forward) < 32<<20
		})
	}
	require.EqualValues(t, 2, lost())
	found, err := r.Pair.OverBudget(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, found, 2)
	said := map[bool]string{}
	for _, f := range found {
		require.Equal(t, "postgres-copy", f.Check)
		require.Equal(t, migration.Blocker, f.Severity)
		require.Contains(t, f.Reason, "to the database on AWS needs: it never ends")
		said[strings.Contains(f.Reason, "the copy of those who join")] = f.Remedy
	}
	require.Contains(t, said[true], "`ALTER SUBSCRIPTION "+r.Pair.Names.Joining+" DISABLE` in the database on AWS")
	require.Contains(t, said[false], "the abort takes everybody home who is on AWS")
}

func TestASubscriptionThatDoesNotRunIsNamedWithWhatFollowsAndOneCommand(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Script(s, "ALTER SUBSCRIPTION "+r.Pair.Names.Back+" DISABLE")
	found, err := r.Pair.OverBudget(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "database orders on AWS", found[0].Subject)
	require.Contains(t, found[0].Reason, r.Pair.Names.Back+" on premises is disabled: while that lasts")
	require.Contains(t, found[0].Reason, "going back would lose what customers wrote on AWS")
	require.Contains(t, found[0].Remedy, "`ALTER SUBSCRIPTION "+r.Pair.Names.Back+" ENABLE` in the database on premises")
	r.Script(s, "ALTER SUBSCRIPTION "+r.Pair.Names.Back+" ENABLE") // the command

	r.Until("all is well", func() bool { found, err = r.Pair.OverBudget(t.Context(), 0); return err == nil && len(found) == 0 })
	// A row that stands on AWS already stops replication of everybody.
	r.Script(d, "SET session_replication_role = replica; INSERT INTO acct VALUES (77, 0)")
	r.Must(s, "INSERT INTO acct VALUES (77, 0)")
	r.Until("the subscription that fails is named", func() bool {
		found, err = r.Pair.OverBudget(t.Context(), 0)
		return err == nil && len(found) == 1 && strings.Contains(found[0].Reason, "fails again and again")
	})
	require.Contains(t, found[0].Reason, "customers there could not move to AWS")
	r.Script(d, "SET session_replication_role = replica; DELETE FROM acct WHERE tenant_id = 77")
	r.Synced()
}

func TestASlotThatIsGoneIsNamedWithWhatFollowsAndOneCommand(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Script(s, "ALTER SUBSCRIPTION "+r.Pair.Names.Back+" DISABLE; ALTER SUBSCRIPTION "+r.Pair.Names.Back+" SET (slot_name = NONE)")
	r.Until("the walsender has gone", func() bool {
		return r.Num(d, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active", r.Pair.Names.Back) == 0
	})
	r.Must(d, "SELECT pg_drop_replication_slot($1)", r.Pair.Names.Back)
	found, err := r.Pair.OverBudget(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, migration.Blocker, found[0].Severity)
	require.True(t, found[0].Halts)
	require.Equal(t, migration.AWS, found[0].From)
	require.Contains(t, found[0].Reason,
		"does not reach the database on premises any more, and going back would lose what customers wrote on AWS")
	require.Contains(t, found[0].Remedy, "`drover finalise "+r.Pair.Plan+" --batch BATCH` ends the way back of who is on AWS")

	r.Script(d, "ALTER SUBSCRIPTION "+r.Pair.Names.Forward+" DISABLE; ALTER SUBSCRIPTION "+r.Pair.Names.Forward+
		" SET (slot_name = NONE); DROP SUBSCRIPTION "+r.Pair.Names.Forward)
	found, err = r.Pair.OverBudget(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Contains(t, found[0].Reason, "subscription "+r.Pair.Names.Forward+" on AWS is gone")
	require.Contains(t, found[0].Remedy, "`drover rollback "+r.Pair.Plan+" --all --reason")
}

func TestAMaterialisedViewCanBeReadOnAWS(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "CREATE MATERIALIZED VIEW totals AS SELECT tenant_id, sum(n) AS n FROM acct GROUP BY 1")
	r.Must(s, "CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM totals")
	// One that nobody fills at home may be one that nobody can.
	r.Must(s, "CREATE MATERIALIZED VIEW never AS SELECT 1 / 0 AS n WITH NO DATA")
	r.Prepared(3)
	require.EqualValues(t, 3, r.Num(d, "SELECT n FROM total"))
	require.Equal(t, "55000", r.Exec(d, "SELECT n FROM never"))
}
