package setup_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// finalised says that nothing of Drover's is left, and that AWS takes everybody's writes.
func finalised(t *testing.T, r *pairtest.Rig) {
	t.Helper()
	bare(t, r)
	require.Empty(t, r.Exec(d, "INSERT INTO acct VALUES (88, 1)"), "nobody is refused any more")
}

func TestFinaliseEndsTheWayBetweenTheSidesWhenEverybodyIsOnAWS(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	r.Prepare(3)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Move(s, 3, pairtest.Try(1, 1))
	left, err := setup.LeftOnPremises(t.Context(), r.Pair)
	require.NoError(t, err)
	require.Equal(t, setup.Left{Home: []int64{2}}, left)
	err = setup.Finalise(t.Context(), r.Pair, false, func(string) {})
	require.ErrorIs(t, err, setup.ErrNotFinal)
	require.ErrorContains(t, err, "tenants [2] are not homed on AWS and closed on premises")
	require.NotEmpty(t, r.Exec(d, "INSERT INTO acct VALUES (2, 1)"), "the guard stands")

	r.Move(s, 2, pairtest.Try(1, 1))
	rows := r.Num(d, "SELECT count(*) FROM orders")
	require.NoError(t, setup.Finalise(t.Context(), r.Pair, false, func(string) {}))
	finalised(t, r)
	require.Equal(t, rows, r.Num(d, "SELECT count(*) FROM orders"))
	require.NoError(t, setup.Finalise(t.Context(), r.Pair, false, func(string) {}), "again")
}

// Only premises gave the ids of such a table until then.
func TestAWSGoesOnWithTheIdsOfReferenceTables(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(1)
	r.Script(s, "DROP TABLE ref_currency; CREATE TABLE ref_currency (id serial PRIMARY KEY, down int GENERATED ALWAYS AS IDENTITY "+
		"(INCREMENT -1), code text); INSERT INTO ref_currency (code) VALUES ('EUR'), ('USD'), ('UAH')")
	r.Prepare(1)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	require.NoError(t, setup.Finalise(t.Context(), r.Pair, false, func(string) {}))
	r.Must(d, "INSERT INTO ref_currency (code) VALUES ('CZK')")
	require.EqualValues(t, 4, r.Num(d, "SELECT id FROM ref_currency WHERE code = 'CZK'"))
	require.EqualValues(t, -4, r.Num(d, "SELECT down FROM ref_currency WHERE code = 'CZK'"))
}

func TestWhoSignedUpOnPremisesIsNamedBeforeTheWayEndsAndLosesNothing(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(1)
	r.Prepare(1)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	require.Empty(t, r.Exec(s, "INSERT INTO acct VALUES (41, 1)"))
	r.Until("the row is on AWS", func() bool { return r.Num(d, "SELECT count(*) FROM acct WHERE tenant_id = 41") == 1 })
	err := setup.Finalise(t.Context(), r.Pair, false, func(string) {})
	require.ErrorIs(t, err, setup.ErrNotFinal)
	require.ErrorContains(t, err, "tenants [41] are in no batch of the plan")
	r.Must(s, "INSERT INTO acct VALUES (42, 1)") // the last that premises send
	require.NoError(t, setup.Finalise(t.Context(), r.Pair, true, func(string) {}))
	finalised(t, r)
	require.EqualValues(t, 2, r.Num(d, "SELECT count(*) FROM acct WHERE tenant_id IN (41, 42)"))
}

// After the end nothing brings over what is missing.
func TestTheWayDoesNotEndWhileAWSLacksWhatPremisesHave(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(1)
	r.Prepare(1)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Must(s, "INSERT INTO acct VALUES (41, 1)")
	r.Until("the row is on AWS", func() bool { return r.Num(d, "SELECT count(*) FROM acct WHERE tenant_id = 41") == 1 })
	for name, c := range map[string]struct{ plant, mend, says string }{
		"a row of somebody who signed up": {"UPDATE acct SET n = 9 WHERE tenant_id = 41", "UPDATE acct SET n = 1 WHERE tenant_id = 41",
			"tenant 41: table public.acct: 1 rows on each side, with different content"},
		"a row of a table of nobody": {"INSERT INTO ref_currency VALUES ('ZZZ', 1)", "DELETE FROM ref_currency WHERE code = 'ZZZ'",
			"table public.ref_currency: "},
	} {
		t.Run(name, func(t *testing.T) {
			r.Script(d, "SET session_replication_role = replica; "+c.plant)
			err := setup.Finalise(t.Context(), r.Pair, true, func(string) {})
			require.ErrorIs(t, err, setup.ErrNotFinal)
			require.ErrorContains(t, err, c.says)
			require.NotEmpty(t, r.Exec(s, "INSERT INTO acct VALUES (1, 1)"), "the guard stands")
			r.Script(d, "SET session_replication_role = replica; "+c.mend)
		})
	}
	require.NoError(t, setup.Finalise(t.Context(), r.Pair, true, func(string) {}))
	finalised(t, r)
}

// Whoever was left out would lose the machines that serve them: nobody's word brings their rows
// along.
func TestWhoWasLeftOutKeepsTheWayBetweenTheSidesOpen(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(2)
	r.Prepare(1) // tenant 2 stays
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	for _, withSignUps := range []bool{false, true} {
		err := setup.Finalise(t.Context(), r.Pair, withSignUps, func(string) {})
		require.ErrorIs(t, err, setup.ErrNotFinal)
		require.ErrorContains(t, err, "tenants [2] were left out of the plan")
	}
	require.Empty(t, r.Exec(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 2"), "it works on")
}

// Whatever it was cut off after, the next run does the rest.
func TestFinaliseGoesOnWhereItWasCutOff(t *testing.T) {
	for _, at := range []string{"removing the subscription on AWS", "removing the subscription on premises", "removing what is on AWS",
		"removing what is on premises"} {
		t.Run(at, func(t *testing.T) {
			r := pairtest.New(t)
			r.Rows(1)
			r.Prepare(1)
			r.Synced()
			r.Move(s, 1, pairtest.Try(1, 1))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			require.ErrorIs(t, setup.Finalise(ctx, r.Pair, false, func(what string) {
				if what == at {
					cancel()
				}
			}), context.Canceled)
			require.NoError(t, setup.Finalise(t.Context(), r.Pair, false, func(string) {}))
			finalised(t, r)
		})
	}
}

func TestWhoIsInNoBatchAndHasRowsOnPremisesIsListed(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	r.Prepare(2) // tenant 3 is left out
	r.Synced()
	r.Must(s, "INSERT INTO acct VALUES (41, 1)")
	r.Move(s, 1, pairtest.Try(1, 1))
	found, err := setup.Unplanned(t.Context(), r.Pair)
	require.NoError(t, err)
	require.Equal(t, []int64{3, 41}, found)
	r.Pair.Dataset.Synthetic = []int64{41}
	found, err = setup.Unplanned(t.Context(), r.Pair)
	require.NoError(t, err)
	require.Equal(t, []int64{3}, found, "a probe is nobody's customer")
}
