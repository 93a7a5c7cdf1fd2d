package setup_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/preflight"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// rival is another plan over the same two databases.
func rival(r *pairtest.Rig) *postgres.Pair {
	r.Helper()
	p := r.Over(pairtest.Orders)
	p.Plan = "rival"
	p.Names = postgres.NamesOf(p.Plan, p.Name)
	r.Cleanup(p.Close)
	return p
}

// alike waits until the rows of tenants are the same on both sides.
func alike(r *pairtest.Rig, tenants ...int64) {
	r.Helper()
	for _, t := range tenants {
		r.Until(fmt.Sprintf("tenant %d is alike on both sides", t), func() bool {
			v, err := r.Pair.Verify(r.Context(), t)
			require.NoError(r, err)
			return len(v.Differences) == 0
		})
	}
}

// blockers are the subjects that a preflight blocks by one check.
func blockers(found []migration.Finding, check string) (subjects []string, first migration.Finding) {
	for _, f := range found {
		if f.Check == check && f.Severity == migration.Blocker {
			subjects = append(subjects, f.Subject)
			if first.Check == "" {
				first = f
			}
		}
	}
	return subjects, first
}

func TestASecondPlanIsRefusedAndTheFirstOnesWayBackStands(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	r.Prepare(3)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Must(d, "INSERT INTO audit VALUES (1, now(), NULL, 'written at home on AWS')")

	rival := rival(r)
	found, err := preflight.Check(t.Context(), rival, []int64{1, 2}, preflight.Moves{})
	require.NoError(t, err)
	subjects, first := blockers(found, "postgres-other-plan")
	require.Equal(t, []string{"database orders on premises", "database orders on AWS"}, subjects)
	require.Contains(t, first.Reason, fmt.Sprintf("plan %q", r.DB))
	full, _ := blockers(found, "postgres-target-not-empty")
	require.NotEmpty(t, full, "another plan's subscription makes rows on AWS nobody's first copy")

	before := r.Num(d, "SELECT count(*) FROM audit")
	for range 2 {
		err = setup.Prepare(t.Context(), rival, []int64{1, 2}, nil)
		require.ErrorIs(t, err, postgres.ErrOtherPlan)
		require.ErrorContains(t, err, fmt.Sprintf("plan %q", r.DB))
	}
	require.NoError(t, setup.DropAll(t.Context(), rival, nil), "its end takes nothing of the first plan away")

	require.EqualValues(t, before, r.Num(d, "SELECT count(*) FROM audit"))
	for _, side := range []migration.Side{s, d} {
		require.Zero(t, r.Num(side, "SELECT count(*) FROM drover.direction WHERE pub IN ($1, $2)", rival.Names.Forward, rival.Names.Back))
		require.Zero(t, r.Num(side, "SELECT count(*) FROM pg_publication WHERE pubname IN ($1, $2)", rival.Names.Forward, rival.Names.Back))
	}
	r.Sound()
	alike(r, 1, 2, 3)
	r.Move(d, 1, pairtest.Try(2, 1))
	r.Sound()
	alike(r, 1, 2, 3)
}

// Both pass the preflight, since neither has made anything when the other looks.
func TestOfTwoPlansThatPrepareAtTheSameMomentOneGoesOn(t *testing.T) {
	for range 3 {
		r := pairtest.New(t)
		r.Rows(3)
		plans := []*postgres.Pair{r.Pair, rival(r)}
		for _, p := range plans {
			found, err := preflight.Check(t.Context(), p, []int64{1, 2, 3}, preflight.Moves{})
			require.NoError(t, err)
			require.Empty(t, migration.Blockers(found))
		}
		errs := make([]error, len(plans))
		var all sync.WaitGroup
		start := make(chan struct{})
		for i, p := range plans {
			all.Go(func() {
				<-start
				errs[i] = setup.Prepare(t.Context(), p, []int64{1, 2, 3}, nil)
			})
		}
		close(start)
		all.Wait()
		won := 0
		if errs[0] != nil {
			won = 1
		}
		require.NoError(t, errs[won])
		require.ErrorIs(t, errs[1-won], postgres.ErrOtherPlan)
		require.ErrorContains(t, errs[1-won], fmt.Sprintf("plan %q", plans[won].Plan))
		require.NoError(t, setup.DropAll(t.Context(), plans[1-won], nil))
		r.Pair = plans[won]
		r.Synced()
		require.EqualValues(t, r.Num(s, "SELECT count(*) FROM audit"), r.Num(d, "SELECT count(*) FROM audit"))
		r.Move(s, 1, pairtest.Try(1, 1))
		r.Move(d, 1, pairtest.Try(2, 1))
		alike(r, 1, 2, 3)
		r.Sound()
		require.NoError(t, setup.DropAll(t.Context(), r.Pair, nil))
		r.Pair = plans[0]
	}
}

func TestAPlanMayFollowOneThatHasEnded(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	require.NoError(t, setup.DropAll(t.Context(), r.Pair, nil))
	rival := rival(r)
	require.ErrorIs(t, setup.Prepare(t.Context(), rival, []int64{1}, nil), setup.ErrTargetNotEmpty, "rows that the first plan brought "+
		"would be doubled")
	require.NoError(t, setup.DropAll(t.Context(), rival, nil))
	require.NoError(t, r.Dst.Exec(t.Context(), r.DB, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
	require.NoError(t, setup.Prepare(t.Context(), rival, []int64{1}, nil))
	require.NoError(t, setup.DropAll(t.Context(), rival, nil))
}

// Whoever is at home on AWS when its direction is first written is not sent from premises.
func TestADirectionSaysWhatTheFenceSays(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	cutOffAt(r, "fences")
	r.Must(s, "INSERT INTO drover.fence (tenant, state) VALUES (2, 'sealed')")
	r.Must(d, "INSERT INTO drover.fence (tenant, state) VALUES (2, 'open')")
	r.Prepare(3)
	r.Synced()
	require.EqualValues(t, 1, r.Num(s, "SELECT count(*) FROM drover.direction WHERE tenant = 2 AND NOT is_on"))
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM drover.direction WHERE tenant = 2 AND is_on"))
	require.Zero(t, r.Num(d, "SELECT count(*) FROM audit WHERE tenant_id = 2"), "no first copy of a tenant that is sealed at the source")
	require.Positive(t, r.Num(d, "SELECT count(*) FROM audit WHERE tenant_id = 1"))
	r.Sound()
}

func TestASubscriptionThatWasLostIsNotCopiedAgain(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	r.Prepare(3)
	r.Synced()
	rows := r.Num(d, "SELECT count(*) FROM audit")
	require.NoError(t, setup.DropSubscription(t.Context(), r.Pair.AWS, r.Pair.OnPrem, r.Pair.Names.Forward))
	require.ErrorIs(t, setup.Prepare(t.Context(), r.Pair, []int64{1, 2, 3}, nil), setup.ErrTargetNotEmpty)
	require.Equal(t, rows, r.Num(d, "SELECT count(*) FROM audit"))
}
