package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// whole waits until a tenant's rows in acct and orders are the same on both sides.
func whole(r *pairtest.Rig, tenant, orders int64) {
	r.Helper()
	for _, side := range []migration.Side{s, d} {
		r.Until(fmt.Sprintf("tenant %d is whole on %s", tenant, side), func() bool {
			return r.Num(side, "SELECT count(*) FROM orders WHERE tenant_id = $1", tenant) == orders &&
				r.Num(side, "SELECT count(*) FROM acct WHERE tenant_id = $1", tenant) == 1
		})
	}
}

func TestWhoSignsUpWhileAPlanRunsWritesAtOnceAndIsCarried(t *testing.T) {
	for _, side := range []migration.Side{s, d} {
		t.Run("newcomers write on "+string(side), func(t *testing.T) {
			r := pairtest.New(t)
			r.Must(s, "INSERT INTO acct SELECT g, 0 FROM unnest(ARRAY[1, 2, 3, 5, 9]) g")
			r.Pair.NewCustomers = side
			require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 3, 9}, nil))
			r.Synced()
			signUp := func(tenant int) {
				t.Helper()
				require.Equal(t, pairtest.Refused, r.Exec(side.Other(), "INSERT INTO acct VALUES ($1, 0)", tenant))
				r.Must(side, "INSERT INTO acct VALUES ($1, 0)", tenant)
				r.Must(side, "INSERT INTO orders (tenant_id, amount) VALUES ($1, 1)", tenant)
			}
			for _, tenant := range []int{4, 700, -5} { // in a gap between others, beyond all, below all
				signUp(tenant)
			}
			r.Move(s, 1, pairtest.Try(1, 1))
			r.Move(s, 3, pairtest.Try(1, 1))
			for _, tenant := range []int{701, 6} {
				signUp(tenant)
			}
			for _, tenant := range []int64{4, 700, -5, 701, 6} {
				r.Must(side, "INSERT INTO orders (tenant_id, amount) VALUES ($1, 1)", tenant)
				whole(r, tenant, 2)
			}
			require.EqualValues(t, 1, r.Num(side, "SELECT drover.is_home(700)::int"))
			require.Zero(t, r.Num(side.Other(), "SELECT drover.is_home(700)::int"))
			// Who was there before and is not in the plan stays.
			r.Must(s, "UPDATE acct SET n = 1 WHERE tenant_id IN (2, 5)")
			require.Equal(t, pairtest.Refused, r.Exec(d, "INSERT INTO acct VALUES (5, 0)"))
			require.Zero(t, r.Num(d, "SELECT count(*) FROM acct WHERE tenant_id IN (2, 5)"))
			// Preparing again changes none of that.
			require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 3, 9}, nil))
			signUp(702)
			whole(r, 702, 1)
			r.Move(d, 1, pairtest.Try(2, 2))
			r.Sound()
		})
	}
}

func TestNoNewcomerMakesAFilterLonger(t *testing.T) {
	r := pairtest.New(t).Prepared(3)
	filter := func() string {
		var f string
		require.NoError(t, r.Query(s, &f, "SELECT drover.row_filter($1, 'tenant_id')", r.Pair.Names.Forward))
		return f
	}
	before := filter()
	r.Must(s, "INSERT INTO acct SELECT g * 7, 0 FROM generate_series(10, 300) g")
	require.Equal(t, before, filter())
	r.Move(s, 2, pairtest.Try(1, 1))
	require.Equal(t, "NOT (tenant_id = 2)", filter())
	r.Until("all of them are there", func() bool { return r.Num(d, "SELECT count(*) FROM acct WHERE tenant_id >= 70") == 291 })
}

func TestTenantsWithIdsBeyondAnIntStayAndGoOn(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "CREATE TABLE snow (tenant_id bigint NOT NULL, id int NOT NULL, PRIMARY KEY (tenant_id, id))")
	r.Must(s, "INSERT INTO snow VALUES (1, 1), (7000000000, 1)")
	r.Prepared(1)
	r.Must(s, "INSERT INTO snow VALUES (1, 2), (7000000000, 2), (7000000001, 1)")
	for _, id := range []string{"1::smallint", "1", "1::bigint", "7000000000", "7000000001"} { // of whatever type the column is
		require.EqualValues(t, 1, r.Num(s, "SELECT drover.is_home("+id+")::int"), id)
		require.Zero(t, r.Num(d, "SELECT drover.is_home("+id+")::int"), id)
	}
	require.Equal(t, pairtest.Refused, r.Exec(d, "INSERT INTO snow VALUES (7000000000, 3)"))
	require.Equal(t, pairtest.Refused, r.Exec(d, "INSERT INTO snow VALUES (7000000002, 3)"))
	r.Until("the newcomer is on AWS", func() bool { return r.Num(d, "SELECT count(*) FROM snow WHERE tenant_id = 7000000001") == 1 })
	require.Zero(t, r.Num(d, "SELECT count(*) FROM snow WHERE tenant_id = 7000000000"))
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Sound()
}

// One row there, made by an application, would stop replication of everybody at the same key.
func TestATableOfNoTenantIsWrittenOnPremisesAlone(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	for _, sql := range []string{"INSERT INTO ref_currency VALUES ('EUR', 1)", "UPDATE ref_currency SET rate = 2",
		"DELETE FROM ref_currency", "TRUNCATE ref_currency"} {
		require.Equal(t, "DR005", r.Exec(d, sql), sql)
	}
	r.Must(s, "INSERT INTO ref_currency VALUES ('EUR', 1)")
	r.Until("it comes to AWS", func() bool { return r.Num(d, "SELECT count(*) FROM ref_currency") == 51 })
	r.Must(s, "TRUNCATE ref_currency")
	r.Until("it is empty on AWS, too", func() bool { return r.Num(d, "SELECT count(*) FROM ref_currency") == 0 })

	r.Must(s, "INSERT INTO ref_currency VALUES ('EUR', 1), ('USD', 2)")
	differ, err := r.Pair.ReferenceDifferences(t.Context())
	require.NoError(t, err)
	require.Empty(t, differ, "what is on its way is no difference")
	r.Script(d, "SET session_replication_role = replica; UPDATE ref_currency SET rate = 3 WHERE code = 'EUR'")
	differ, err = r.Pair.ReferenceDifferences(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"table public.ref_currency: 2 rows on each side, with different content"}, differ)

	ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
	require.NoError(t, err)
	require.Equal(t, []string{"postgres-reference"}, pairtest.Checks(ready.Findings))
}

// The tenant of a write probe is nobody's: it writes on both sides, and what it writes on the side
// where newcomers may not stays there.
func TestTheTenantOfAWriteProbeWritesOnBothSidesAndDisturbsNeither(t *testing.T) {
	for _, side := range []migration.Side{s, d} {
		t.Run("newcomers write on "+string(side), func(t *testing.T) {
			r := pairtest.New(t)
			r.Must(s, "INSERT INTO acct SELECT g, 0 FROM unnest(ARRAY[1, 8, 9, 10]) g") // it is there already, among some that stay
			r.Pair.NewCustomers, r.Pair.Dataset.Synthetic = side, []int64{9}
			for range 2 {
				require.NoError(t, setup.Prepare(t.Context(), r.Pair, []int64{1}, nil))
			}
			r.Synced()
			require.Equal(t, pairtest.Refused, r.Exec(d, "INSERT INTO acct VALUES (8, 0)"))
			require.Equal(t, pairtest.Refused, r.Exec(d, "INSERT INTO acct VALUES (10, 0)"))
			const write = "INSERT INTO orders (tenant_id, amount) VALUES (9, 1)"
			r.Must(s, write)
			r.Must(d, write)
			r.Move(s, 1, pairtest.Try(1, 1))
			r.Must(s, write)
			r.Must(d, write)
			r.Synced()
			count := func(at migration.Side) int64 { return r.Num(at, "SELECT count(*) FROM orders WHERE tenant_id = 9") }
			r.Until("what it wrote where newcomers write is carried", func() bool { return count(side.Other()) == 4 })
			require.EqualValues(t, 2, count(side), "what it wrote on the other side stays there")
			r.Must(side, "DELETE FROM orders WHERE tenant_id = 9")
			r.Must(side.Other(), "DELETE FROM orders WHERE tenant_id = 9")
			require.Zero(t, count(s)+count(d))
			r.Sound()
		})
	}
}
