package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestASideThatForgotItsSealIsClosedAndWhatWasWrittenThereIsNamed(t *testing.T) {
	for _, x := range []struct{ name, forget string }{
		{"a hand that opened it", "UPDATE drover.fence SET state = 'open' WHERE tenant = 1"},
		{"a failover to a standby that missed the seal",
			"UPDATE drover.fence SET state = 'open', token = 0, sealed_token = 0, owner = NULL WHERE tenant = 1; " +
				"UPDATE drover.direction SET is_on = true, token = 0, owner = NULL WHERE tenant = 1"},
		{"a failover to a standby that has the fence and missed the seal",
			"UPDATE drover.fence SET state = 'fenced', lease_until = clock_timestamp() - interval '1 second', sealed_token = 0 WHERE tenant = 1; " +
				"UPDATE drover.direction SET is_on = true, token = 0, owner = NULL WHERE tenant = 1"},
		{"a hand, and a claim that raised the token after it", "UPDATE drover.fence SET state = 'open', token = 9 WHERE tenant = 1"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := newRig(t).prepared(2)
			r.must(s, "INSERT INTO orders (tenant_id, amount) VALUES (1, 5)")
			r.move(s, 1, try(1, 1))
			require.Empty(t, r.watch().Stale)
			r.script(s, x.forget)
			h := r.home(1)
			require.Equal(t, migration.NoHome, h.Home())
			require.Contains(t, h.Undecided(), "both sides take its writes")
			r.must(s, "INSERT INTO orders (id, tenant_id, amount) OVERRIDING SYSTEM VALUE VALUES (4711, 1, 7)")
			r.must(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 1")
			r.must(d, "INSERT INTO orders (tenant_id, amount) VALUES (1, 9)")

			w := r.watch()
			require.Empty(t, w.Both)
			require.Len(t, w.Stale, 1)
			require.Equal(t, migration.OnPrem, w.Stale[0].Side)
			require.EqualValues(t, 1, w.Stale[0].Tenant)
			require.Contains(t, w.Stale[0].Writes, "id=4711")
			require.Contains(t, w.Stale[0].Writes, "acct: 1 rows")
			require.Equal(t, migration.AWS, r.home(1).Home())
			require.Equal(t, refused, r.exec(s, "UPDATE acct SET n = 0 WHERE tenant_id = 1"))
			r.must(d, "UPDATE acct SET n = n + 10 WHERE tenant_id = 1")
			require.Equal(t, migration.OnPrem, r.home(2).Home(), "the others are not touched")
			require.Equal(t, w.Stale, r.watch().Stale, "a second look says the same")
			r.sound()
		})
	}
}

func TestASideThatOpenedLaterIsNeverTheStaleOne(t *testing.T) {
	r := newRig(t).prepared(1)
	r.move(s, 1, try(1, 1))
	r.move(d, 1, try(2, 1))
	r.script(d, "UPDATE drover.fence SET state = 'open', token = 1 WHERE tenant = 1; UPDATE drover.direction SET is_on = true, token = 1 WHERE tenant = 1")
	w := r.watch()
	require.Len(t, w.Stale, 1)
	require.Equal(t, migration.AWS, w.Stale[0].Side)
	require.Equal(t, migration.OnPrem, r.home(1).Home())
}

func TestASideIsNotClosedOnOldNews(t *testing.T) {
	r := newRig(t).prepared(1)
	r.move(s, 1, try(1, 1))
	r.move(d, 1, try(2, 1))
	// What a look would do that had read premises before they came home, and AWS while it was open.
	word, err := r.pair.OnPrem.sealStale(t.Context(), 1, turn{Token: 1, Owner: owner(1)}, turn{Token: 1, Owner: owner(1)})
	require.NoError(t, err)
	require.Equal(t, migration.WordSuperseded, word)
	require.Equal(t, migration.OnPrem, r.home(1).Home())
}

func TestWhereNothingSaysWhichSideIsStaleNoneIsClosed(t *testing.T) {
	r := newRig(t).prepared(1)
	r.script(d, "UPDATE drover.fence SET state = 'open' WHERE tenant = 1; UPDATE drover.direction SET is_on = true WHERE tenant = 1")
	w := r.watch()
	require.Empty(t, w.Stale)
	require.Len(t, w.Both, 1)
	require.Contains(t, w.Both[0].Why, "neither says that it opened later")
	require.Equal(t, migration.NoHome, r.home(1).Home())
}
