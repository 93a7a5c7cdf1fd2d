package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func examined(r *pairtest.Rig) postgres.Condition {
	r.Helper()
	c, err := r.Pair.Examine(r.Context(), 0)
	require.NoError(r, err)
	return c
}

func TestDoctorFindsWhatIsBrokenAndMendsItOnce(t *testing.T) {
	names := func(r *pairtest.Rig) postgres.Names { return r.Pair.Names }
	for _, x := range []struct {
		name         string
		harm         func(r *pairtest.Rig)
		finds, mends string
	}{
		{"a seal that was forgotten", func(r *pairtest.Rig) {
			r.Script(s, "UPDATE drover.fence SET state = 'open' WHERE tenant = 1")
		}, "tenant 1: both sides take its writes", "tenant 1: the side that opened earlier was closed"},
		{"a publication that was changed by hand", func(r *pairtest.Rig) {
			r.Script(d, "ALTER PUBLICATION "+names(r).Back+" SET TABLE acct WHERE (tenant_id = 2), orders, drover.beat")
		}, "tenant 1 is published: f", " on AWS was written from the truth"},
		{"a subscription that was disabled", func(r *pairtest.Rig) {
			r.Script(s, "ALTER SUBSCRIPTION "+names(r).Back+" DISABLE")
		}, "is disabled", "on premises runs again"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := pairtest.New(t).Prepared(2)
			r.Move(s, 1, pairtest.Try(1, 1))
			require.Empty(t, examined(r).Broken, "it is sound before")
			x.harm(r)
			require.Contains(t, strings.Join(examined(r).Broken, "\n"), x.finds)
			require.Contains(t, strings.Join(examined(r).Broken, "\n"), x.finds, "a look changes nothing")
			done, err := r.Pair.Mend(t.Context())
			require.NoError(t, err)
			require.Contains(t, strings.Join(done, "\n"), x.mends)
			require.Empty(t, examined(r).Broken)
			require.Equal(t, migration.AWS, home(r, 1).Home())
			done, err = r.Pair.Mend(t.Context())
			require.NoError(t, err)
			require.Empty(t, done, "a second time there is nothing to do")
			r.Sound()
		})
	}
}

func TestDoctorMendsNothingWhileAServerIsInDoubt(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Move(s, 1, pairtest.Try(1, 1))
	watch(r)
	r.Script(d, "UPDATE drover.server SET system_id = '1' WHERE side = 'onprem'")
	r.Script(s, "UPDATE drover.fence SET state = 'open' WHERE tenant = 1")
	_, err := r.Pair.Mend(t.Context())
	require.ErrorIs(t, err, postgres.ErrDoubtedServer)
	require.Equal(t, migration.Open, home(r, 1).OnPrem.State, "nothing was closed")
}

func TestDoctorTellsWhatIsInUseFromWhatIsLeftOver(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Script(s, "SELECT pg_create_logical_replication_slot('drover_former_x_00000000_fwd', 'pgoutput')")
	var left []string
	kinds := map[string]bool{}
	for _, m := range examined(r).Made {
		kinds[m.Kind] = true
		if m.Left != "" {
			left = append(left, m.Kind+" "+m.Name+" "+m.On.Where())
		}
	}
	require.Equal(t, []string{"replication slot drover_former_x_00000000_fwd on premises"}, left)
	for _, kind := range []string{"schema", "publication", "subscription", "replication slot", "trigger"} {
		require.True(t, kinds[kind], kind)
	}

	r.Script(s, "DROP SCHEMA drover CASCADE")
	one := examined(r)
	require.Contains(t, strings.Join(one.Broken, "\n"), "stands in one of the two databases only")
	r.Script(d, "DROP SCHEMA drover CASCADE")
	c := examined(r)
	require.Zero(t, c.Standing)
	require.True(t, slices.ContainsFunc(c.Made, func(m postgres.Made) bool {
		return m.Kind == "replication slot" && m.Name == r.Pair.Names.Forward && strings.Contains(m.Left, "the plan has ended here")
	}))
}
