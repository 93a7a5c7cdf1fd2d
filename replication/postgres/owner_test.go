package postgres

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// rival is another plan over the same two databases.
func (r *rig) rival() *Pair {
	r.Helper()
	p := r.open(orders)
	p.Plan = "rival"
	p.Names = NamesOf(p.Plan, p.Name)
	r.Cleanup(p.Close)
	return p
}

// alike waits until the rows of tenants are the same on both sides.
func (r *rig) alike(tenants ...int64) {
	r.Helper()
	for _, t := range tenants {
		r.until(fmt.Sprintf("tenant %d is alike on both sides", t), func() bool {
			v, err := r.pair.Verify(r.Context(), t)
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
	r := newRig(t)
	r.rows(3)
	r.prepare(3)
	r.synced()
	r.move(s, 1, try(1, 1))
	r.must(d, "INSERT INTO audit VALUES (1, now(), NULL, 'written at home on AWS')")

	rival := r.rival()
	found, err := rival.Check(t.Context(), []int64{1, 2})
	require.NoError(t, err)
	subjects, first := blockers(found, "postgres-other-plan")
	require.Equal(t, []string{"database orders on premises", "database orders on AWS"}, subjects)
	require.Contains(t, first.Reason, fmt.Sprintf("plan %q", r.db))
	full, _ := blockers(found, "postgres-target-not-empty")
	require.NotEmpty(t, full, "another plan's subscription makes rows on AWS nobody's first copy")

	before := r.num(d, "SELECT count(*) FROM audit")
	for range 2 {
		err = rival.Prepare(t.Context(), []int64{1, 2}, nil)
		require.ErrorIs(t, err, ErrOtherPlan)
		require.ErrorContains(t, err, fmt.Sprintf("plan %q", r.db))
	}
	require.NoError(t, rival.DropAll(t.Context(), nil), "its end takes nothing of the first plan away")

	require.EqualValues(t, before, r.num(d, "SELECT count(*) FROM audit"))
	for _, side := range []migration.Side{s, d} {
		require.Zero(t, r.num(side, "SELECT count(*) FROM drover.direction WHERE pub IN ($1, $2)", rival.Names.Forward, rival.Names.Back))
		require.Zero(t, r.num(side, "SELECT count(*) FROM pg_publication WHERE pubname IN ($1, $2)", rival.Names.Forward, rival.Names.Back))
	}
	r.sound()
	r.alike(1, 2, 3)
	r.move(d, 1, try(2, 1))
	r.sound()
	r.alike(1, 2, 3)
}

// Both pass the preflight, since neither has made anything when the other looks.
func TestOfTwoPlansThatPrepareAtTheSameMomentOneGoesOn(t *testing.T) {
	for range 3 {
		r := newRig(t)
		r.rows(3)
		plans := []*Pair{r.pair, r.rival()}
		for _, p := range plans {
			found, err := p.Check(t.Context(), []int64{1, 2, 3})
			require.NoError(t, err)
			require.Empty(t, migration.Blockers(found))
		}
		errs := make([]error, len(plans))
		var all sync.WaitGroup
		start := make(chan struct{})
		for i, p := range plans {
			all.Go(func() {
				<-start
				errs[i] = p.Prepare(t.Context(), []int64{1, 2, 3}, nil)
			})
		}
		close(start)
		all.Wait()
		won := 0
		if errs[0] != nil {
			won = 1
		}
		require.NoError(t, errs[won])
		require.ErrorIs(t, errs[1-won], ErrOtherPlan)
		require.ErrorContains(t, errs[1-won], fmt.Sprintf("plan %q", plans[won].Plan))
		require.NoError(t, plans[1-won].DropAll(t.Context(), nil))
		r.pair = plans[won]
		r.synced()
		require.EqualValues(t, r.num(s, "SELECT count(*) FROM audit"), r.num(d, "SELECT count(*) FROM audit"))
		r.move(s, 1, try(1, 1))
		r.move(d, 1, try(2, 1))
		r.alike(1, 2, 3)
		r.sound()
		require.NoError(t, r.pair.DropAll(t.Context(), nil))
		r.pair = plans[0]
	}
}

func TestAPlanMayFollowOneThatHasEnded(t *testing.T) {
	r := newRig(t).prepared(1)
	require.NoError(t, r.pair.DropAll(t.Context(), nil))
	rival := r.rival()
	require.ErrorIs(t, rival.Prepare(t.Context(), []int64{1}, nil), ErrTargetNotEmpty, "rows that the first plan brought would be doubled")
	require.NoError(t, rival.DropAll(t.Context(), nil))
	require.NoError(t, r.dst.Exec(t.Context(), r.db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
	require.NoError(t, rival.Prepare(t.Context(), []int64{1}, nil))
	require.NoError(t, rival.DropAll(t.Context(), nil))
}

// Whoever is at home on AWS when its direction is first written is not sent from premises.
func TestADirectionSaysWhatTheFenceSays(t *testing.T) {
	r := newRig(t)
	r.rows(3)
	r.cutOffAt("fences")
	r.must(s, "INSERT INTO drover.fence (tenant, state) VALUES (2, 'sealed')")
	r.must(d, "INSERT INTO drover.fence (tenant, state) VALUES (2, 'open')")
	r.prepare(3)
	r.synced()
	require.EqualValues(t, 1, r.num(s, "SELECT count(*) FROM drover.direction WHERE tenant = 2 AND NOT is_on"))
	require.EqualValues(t, 1, r.num(d, "SELECT count(*) FROM drover.direction WHERE tenant = 2 AND is_on"))
	require.Zero(t, r.num(d, "SELECT count(*) FROM audit WHERE tenant_id = 2"), "no first copy of a tenant that is sealed at the source")
	require.Positive(t, r.num(d, "SELECT count(*) FROM audit WHERE tenant_id = 1"))
	r.sound()
}

func TestASubscriptionThatWasLostIsNotCopiedAgain(t *testing.T) {
	r := newRig(t)
	r.rows(3)
	r.prepare(3)
	r.synced()
	rows := r.num(d, "SELECT count(*) FROM audit")
	require.NoError(t, r.pair.unsubscribe(t.Context(), r.pair.AWS, r.pair.OnPrem))
	require.ErrorIs(t, r.pair.Prepare(t.Context(), []int64{1, 2, 3}, nil), ErrTargetNotEmpty)
	require.Equal(t, rows, r.num(d, "SELECT count(*) FROM audit"))
}
