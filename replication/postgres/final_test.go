package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestABatchThatIsFinalisedLeavesTheWayBackAndNobodyElseDoes(t *testing.T) {
	r := pairtest.New(t).Prepared(3)
	require.ErrorIs(t, r.Pair.EndWayBack(t.Context(), []int64{1, 2}), postgres.ErrNotOnAWS)
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Move(s, 2, pairtest.Try(1, 1))
	err := r.Pair.EndWayBack(t.Context(), []int64{1, 3})
	require.ErrorIs(t, err, postgres.ErrNotOnAWS)
	require.ErrorContains(t, err, "[3]")
	final, err := r.Pair.Final(t.Context())
	require.NoError(t, err)
	require.Empty(t, final, "nobody was touched")

	for range 2 {
		require.NoError(t, r.Pair.EndWayBack(t.Context(), []int64{1}))
		final, err = r.Pair.Final(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int64{1}, final)
	}
	r.Sound()
	require.Equal(t, pairtest.Refused, r.Exec(s, "UPDATE acct SET n = 1 WHERE tenant_id = 1"), "the guard at home stands")
	r.Must(d, "UPDATE acct SET n = 41 WHERE tenant_id = 1")
	r.Must(d, "UPDATE acct SET n = 42 WHERE tenant_id = 2")
	r.Until("the other one's write is at home", func() bool { return r.Num(s, "SELECT n FROM acct WHERE tenant_id = 2") == 42 })
	require.Zero(t, r.Num(s, "SELECT n FROM acct WHERE tenant_id = 1"), "what it writes stays on AWS")

	_, err = pairtest.StepsOn(r.Pair).Fence(t.Context(), d, 1, pairtest.Try(5, 1), time.Minute)
	require.ErrorIs(t, err, postgres.ErrFinal, "no Move leads home")
	r.Must(d, "UPDATE acct SET n = 43 WHERE tenant_id = 1")
	r.Move(d, 2, pairtest.Try(3, 1))
	require.Equal(t, migration.OnPrem, home(r, 2).Home(), "the other one goes home as before")
	r.Move(s, 3, pairtest.Try(1, 1))
	r.Sound()
	require.Equal(t, migration.AWS, home(r, 1).Home())
}

// A side that has forgotten the seal is still the stale one, though the other sends it nothing.
func TestAFinalisedCustomerIsNotClosedOnAWSBecauseThePremisesForgot(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Move(s, 1, pairtest.Try(1, 1))
	require.NoError(t, r.Pair.EndWayBack(t.Context(), []int64{1}))
	r.Script(s, "UPDATE drover.fence SET state = 'open', token = 0, sealed_token = 0, owner = NULL, final = false WHERE tenant = 1; "+
		"UPDATE drover.direction SET is_on = true, token = 0, owner = NULL WHERE tenant = 1")
	w := watch(r)
	require.Len(t, w.Stale, 1)
	require.Equal(t, migration.OnPrem, w.Stale[0].Side)
	require.Equal(t, migration.AWS, home(r, 1).Home())
}
