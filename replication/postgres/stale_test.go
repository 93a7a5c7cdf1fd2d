package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestASideThatForgotItsSealIsClosedAndWhatWasWrittenThereIsNamed(t *testing.T) {
	for _, x := range []struct{ name, forget string }{
		{"a hand that opened it", "UPDATE drover.fence SET state = 'open' WHERE tenant = 1"},
		{"a failover to a standby that missed the seal",
			"UPDATE drover.fence SET state = 'open', token = 0, sealed_token = 0, owner = NULL WHERE tenant = 1; " +
				"UPDATE drover.direction SET is_on = true, token = 0, owner = NULL WHERE tenant = 1"},
		{"a failover to a standby that has the fence and missed the seal",
			"UPDATE drover.fence SET state = 'fenced', lease_until = clock_timestamp() - interval '1 second', sealed_token = 0 WHERE " +
				"tenant = 1; " +
				"UPDATE drover.direction SET is_on = true, token = 0, owner = NULL WHERE tenant = 1"},
		{"a hand, and a claim that raised the token after it", "UPDATE drover.fence SET state = 'open', token = 9 WHERE tenant = 1"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := pairtest.New(t).Prepared(2)
			r.Must(s, "INSERT INTO orders (tenant_id, amount) VALUES (1, 5)")
			r.Move(s, 1, pairtest.Try(1, 1))
			require.Empty(t, watch(r).Stale)
			r.Script(s, x.forget)
			h := home(r, 1)
			require.Equal(t, migration.NoHome, h.Home())
			require.Contains(t, h.Undecided(), "both sides take its writes")
			r.Must(s, "INSERT INTO orders (id, tenant_id, amount) OVERRIDING SYSTEM VALUE VALUES (4711, 1, 7)")
			r.Must(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 1")
			r.Must(d, "INSERT INTO orders (tenant_id, amount) VALUES (1, 9)")

			w := watch(r)
			require.Empty(t, w.Both)
			require.Len(t, w.Stale, 1)
			require.Equal(t, migration.OnPrem, w.Stale[0].Side)
			require.EqualValues(t, 1, w.Stale[0].Tenant)
			require.Contains(t, w.Stale[0].Writes, "id=4711")
			require.Contains(t, w.Stale[0].Writes, "acct: 1 rows")
			require.Equal(t, migration.AWS, home(r, 1).Home())
			require.Equal(t, pairtest.Refused, r.Exec(s, "UPDATE acct SET n = 0 WHERE tenant_id = 1"))
			r.Must(d, "UPDATE acct SET n = n + 10 WHERE tenant_id = 1")
			require.Equal(t, migration.OnPrem, home(r, 2).Home(), "the others are not touched")
			require.Equal(t, w.Stale, watch(r).Stale, "a second look says the same")
			r.Sound()
		})
	}
}

func TestASideThatOpenedLaterIsNeverTheStaleOne(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Move(d, 1, pairtest.Try(2, 1))
	r.Script(d, "UPDATE drover.fence SET state = 'open', token = 1 WHERE tenant = 1; UPDATE drover.direction SET is_on = true, token = "+
		"1 WHERE tenant = 1")
	w := watch(r)
	require.Len(t, w.Stale, 1)
	require.Equal(t, migration.AWS, w.Stale[0].Side)
	require.Equal(t, migration.OnPrem, home(r, 1).Home())
}

func TestASideIsNotClosedOnOldNews(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Move(d, 1, pairtest.Try(2, 1))
	// What a look would do that had read premises before they came home, and AWS while it was open.
	word, err := r.Pair.OnPrem.SealStale(t.Context(), 1, pairtest.Try(1, 1), pairtest.Try(1, 1))
	require.NoError(t, err)
	require.Equal(t, migration.WordSuperseded, word)
	require.Equal(t, migration.OnPrem, home(r, 1).Home())
}

func TestWhereNothingSaysWhichSideIsStaleNoneIsClosed(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Script(d, "UPDATE drover.fence SET state = 'open' WHERE tenant = 1; UPDATE drover.direction SET is_on = true WHERE tenant = 1")
	w := watch(r)
	require.Empty(t, w.Stale)
	require.Len(t, w.Both, 1)
	require.Contains(t, w.Both[0].Why, "neither says that it opened later")
	require.Equal(t, migration.NoHome, home(r, 1).Home())
}
