package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestEveryTableGoesThereAndBackWithItsChanges(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(4)
	r.Prepare(3) // tenant 4 is nobody's customer
	r.Synced()
	lag, err := r.Pair.Lag(t.Context())
	require.NoError(t, err)
	require.Less(t, lag.Forward, 5*time.Second)
	require.Less(t, lag.Back, 5*time.Second)
	require.EqualValues(t, 50, r.Num(d, "SELECT count(*) FROM ref_currency"))
	require.EqualValues(t, 0, r.Num(d, "SELECT count(*) FROM orders WHERE tenant_id = 4"), "who does not move is not copied")
	require.Empty(t, r.Exec(s, "INSERT INTO orders (tenant_id, amount) VALUES (4, 1)"), "and may write")

	ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
	require.NoError(t, err)
	require.Empty(t, ready.Findings)
	require.Positive(t, ready.Predicted)
	r.Move(s, 1, pairtest.Try(1, 1))
	for _, sql := range []string{
		"UPDATE orders SET ver = ver + 1 WHERE tenant_id = 1", "DELETE FROM order_items WHERE tenant_id = 1 AND id % 3 = 0",
		"UPDATE events SET doc = '{\"a\": 1}' WHERE tenant_id = 1", "UPDATE audit SET msg = msg || '!' WHERE tenant_id = 1",
		"INSERT INTO orders (tenant_id, amount) VALUES (1, 9)", "INSERT INTO order_items (tenant_id, sku) VALUES (1, 'x')",
		"UPDATE events SET ts = ts + interval '400 days' WHERE tenant_id = 1 AND ts < '2025-01-01'", // to another partition
	} {
		require.Empty(t, r.Exec(d, sql), sql)
	}
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM orders WHERE id >= 1000000000000"), "ids of AWS's own range")
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM order_items WHERE id >= 1500000000"))
	r.Move(d, 1, pairtest.Try(2, 2))
	r.Move(s, 1, pairtest.Try(3, 3))
	r.Sound()

	ready, err = r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
	require.NoError(t, err)
	require.Equal(t, []string{"postgres-home"}, pairtest.Checks(ready.Findings), "it is not there any more")
	require.Contains(t, ready.How, "beat")
	ready, err = r.Pair.Ready(t.Context(), s, 2, postgres.Limits{Lease: time.Millisecond, MaxLag: 5 * time.Second})
	require.NoError(t, err)
	require.Equal(t, []string{"postgres-freeze"}, pairtest.Checks(ready.Findings), "the budget is too small")
}

// Prisma, Hibernate and others keep capital letters, and a name may be as long as the server
// allows.
func TestTablesAndColumnsMoveUnderTheNamesTheyHave(t *testing.T) {
	r := pairtest.New(t)
	long := strings.Repeat("tenantOfTheAccount", 4)[:63]
	r.Must(s, `CREATE SCHEMA "Sales-EU"`)
	tables := []struct{ name, column string }{
		{`"userAccounts"`, `"tenantId"`}, {`"Sales-EU"."Order Lines"`, `"` + long + `"`}, {`"Sales-EU".notes`, `"` + long[:62] + `"`},
	}
	for _, x := range tables {
		r.Must(s, fmt.Sprintf(`CREATE TABLE %s (%s int NOT NULL, "Id" int NOT NULL, "Note" text, PRIMARY KEY (%s, "Id"))`, x.name, x.column, x.column))
		r.Must(s, fmt.Sprintf(`INSERT INTO %s SELECT g, 1, 'first' FROM generate_series(1, 2) g`, x.name))
	}
	r.Pair.Dataset.Tables = append(slices.Clone(r.Pair.Dataset.Tables), migration.Table{Name: "userAccounts", Column: "tenantId"},
		migration.Table{Name: "Sales-EU.Order Lines", Column: long}, migration.Table{Name: "notes", Column: long[:62]})
	r.Prepared(2)
	r.Move(s, 1, pairtest.Try(1, 1))
	for _, x := range tables {
		insert := fmt.Sprintf(`INSERT INTO %s VALUES (1, 2, 'second')`, x.name)
		require.Equal(t, "DR001", r.Exec(s, insert), x.name)
		require.Empty(t, r.Exec(d, insert), x.name)
		require.Empty(t, r.Exec(s, fmt.Sprintf(`UPDATE %s SET "Note" = 'mine' WHERE %s = 2`, x.name, x.column)), "who has not moved writes")
	}
	r.Move(d, 1, pairtest.Try(2, 2))
	for _, x := range tables {
		require.EqualValues(t, 2, r.Num(s, fmt.Sprintf(`SELECT count(*) FROM %s WHERE %s = 1`, x.name, x.column)), x.name)
	}
	r.Sound()
}

func TestATenantColumnOfAnyIntegerTypeIsGuardedAndMoves(t *testing.T) {
	r := pairtest.New(t)
	for _, kind := range []string{"smallint", "bigint"} {
		r.Must(s, fmt.Sprintf("CREATE TABLE of_%[1]s (tenant_id %[1]s NOT NULL, id int NOT NULL, note text, PRIMARY KEY (tenant_id, id))",
			kind))
		r.Must(s, fmt.Sprintf("INSERT INTO of_%s SELECT g, 1, 'first' FROM generate_series(1, 2) g", kind))
	}
	r.Prepared(2)
	for _, kind := range []string{"smallint", "bigint"} {
		for _, sql := range []string{"INSERT INTO of_%s VALUES (1, 2, 'x')", "UPDATE of_%s SET note = 'y' WHERE tenant_id = 1",
			"DELETE FROM of_%s WHERE tenant_id = 1 AND id = 1"} {
			require.Empty(t, r.Exec(s, fmt.Sprintf(sql, kind)), kind)
		}
	}
	r.Move(s, 1, pairtest.Try(1, 1))
	for _, kind := range []string{"smallint", "bigint"} {
		require.Equal(t, "DR001", r.Exec(s, fmt.Sprintf("INSERT INTO of_%s VALUES (1, 3, 'x')", kind)), kind)
		require.Empty(t, r.Exec(d, fmt.Sprintf("INSERT INTO of_%s VALUES (1, 3, 'x')", kind)), kind)
	}
	r.Move(d, 1, pairtest.Try(2, 2))
	for _, kind := range []string{"smallint", "bigint"} {
		require.EqualValues(t, 2, r.Num(s, fmt.Sprintf("SELECT count(*) FROM of_%s WHERE tenant_id = 1", kind)), kind)
	}
	r.Sound()
}

// One freeze that took long, for whatever reason, must not be the last: the way back is a Move as
// well.
func TestASlowFreezeDoesNotBlockTheNextOne(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Pair.SetRecent(10 * time.Second)
	ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
	require.NoError(t, err)
	require.Empty(t, ready.Findings)
	require.Equal(t, 10*time.Second, ready.Predicted)
	ready, err = r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: time.Minute, MaxLag: 5 * time.Second, Hooks: 3 * time.Second})
	require.NoError(t, err)
	require.Equal(t, 13*time.Second, ready.Predicted, "hooks come on top of what the databases took")
	ready, err = r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second, Hooks: 5 * time.Second})
	require.NoError(t, err)
	require.Equal(t, []string{"postgres-freeze"}, pairtest.Checks(ready.Findings))
}

func TestADirectionThatDoesNotFlowIsNamedBeforeAMove(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Synced()
	for _, c := range []struct {
		at    *pg.Server
		from  migration.Side
		names string
	}{{r.Dst, s, "beat from onprem to aws: no beat arrived"}, {r.Src, d, "beat from aws to onprem: no beat arrived"}} {
		sub := r.Pair.Names.Outgoing(c.from)
		require.NoError(t, c.at.Exec(t.Context(), r.DB, "ALTER SUBSCRIPTION "+sub+" DISABLE"))
		ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 100 * time.Millisecond})
		require.NoError(t, err)
		// On a busy machine the beat of the other direction may take longer than the plan allows.
		found := slices.DeleteFunc(ready.Findings, func(f migration.Finding) bool { return f.Check == "postgres-lag" })
		require.Equal(t, []string{"postgres-beat"}, pairtest.Checks(found))
		require.Contains(t, found[0].Reason, c.names)
		require.NoError(t, c.at.Exec(t.Context(), r.DB, "ALTER SUBSCRIPTION "+sub+" ENABLE"))
		r.Synced()
	}
	ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 30 * time.Second})
	require.NoError(t, err)
	require.Empty(t, ready.Findings)
}

func TestVerifyNamesTheTableThatDiffers(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	r.Prepare(3)
	r.Synced()
	r.Until("both sides are alike", func() bool {
		v, err := r.Pair.Verify(t.Context(), 2)
		require.NoError(t, err)
		return v.Differences == nil && v.Rows > 200 && v.Tables == 7
	})
	r.Must(d, "SET session_replication_role = replica; UPDATE blobs SET data = 'y' WHERE ctid = (SELECT ctid FROM blobs WHERE tenant_id "+
		"= 2 LIMIT 1); DELETE FROM audit WHERE ctid = (SELECT ctid FROM audit WHERE tenant_id = 2 LIMIT 1)")
	v, err := r.Pair.Verify(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, v.Differences, 2)
	require.Contains(t, v.Differences[0], "table public.audit: ")
	require.Contains(t, v.Differences[1], "table public.blobs: ")
	v, err = r.Pair.Verify(t.Context(), 1)
	require.NoError(t, err)
	require.Empty(t, v.Differences, "another tenant")
}

func TestACrashDoesNotTakeBackAFirstCopyThatWasAwaited(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	r.Prepare(3)
	r.Synced()
	require.NoError(t, r.Dst.Kill9())
	require.NoError(t, r.Dst.Restart(t.Context()))
	r.Pair.AWS.Reset() // a connection that the crash has ended fails once
	r.Until("the worker is connected again", func() bool { return r.Pair.AWS.Pool.Ping(t.Context()) == nil })
	sync, err := r.Pair.Sync(t.Context())
	require.NoError(t, err)
	require.True(t, sync.Done(), sync.Waiting)
	require.EqualValues(t, 3, r.Num(d, "SELECT count(*) FROM acct"))
}
