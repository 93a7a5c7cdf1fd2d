package state_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// running is a plan's workflows, as they say themselves.
type running map[string]migration.BatchStatus

func (r running) Migration(context.Context, string) (s migration.MigrationStatus, err error) {
	for _, name := range []string{"first", "second"} {
		s.Batches = append(s.Batches, migration.BatchStatus{Name: name, Phase: r[name].Phase})
	}
	return s, nil
}

func (r running) Batch(_ context.Context, _, name string) (migration.BatchStatus, error) {
	return r[name], nil
}

// over is a worker with an empty memory that asks these workflows.
func over(c *s3.Client, plans state.Plans) *state.Activities {
	store := &objects.Store{S3: func(context.Context, migration.Target) (*s3.Client, error) { return c, nil }}
	return state.New(store, state.NewSpecs(store), plans)
}

// stored stores a plan changed in one way, and answers its digest.
func stored(t *testing.T, spec *migration.Spec, change func(*migration.Spec)) string {
	t.Helper()
	now := *spec
	change(&now)
	_, ref := save(t, &now)
	return ref.Digest
}

func TestRevisionsAreNumberedAndTheNewestHolds(t *testing.T) {
	c, spec := objectStore(t), plan(t)
	accept := func(spec *migration.Spec, continues bool) migration.SpecRef {
		t.Helper()
		var out state.SavedSpec
		for range 2 { // as Temporal may
			ref, err := worker(c).SaveSpec(t.Context(), state.SaveSpecRequest{Spec: spec,
				Accept: &state.Acceptance{By: "ann", Continues: continues}})
			require.NoError(t, err)
			out = ref
		}
		require.Equal(t, continues, out.Newer)
		return out.SpecRef
	}
	first := accept(spec, false)
	require.Equal(t, 1, first.Revision)

	digest := stored(t, spec, func(s *migration.Spec) { s.Policy.Tries = 6 })
	amend := state.AmendPlanRequest{Base: first, Digest: digest, By: "ann"}
	for range 2 {
		second, err := worker(c).AmendPlan(t.Context(), amend)
		require.NoError(t, err)
		require.Equal(t, 2, second.Revision)
		require.Equal(t, digest, second.Digest)
	}
	other := stored(t, spec, func(s *migration.Spec) { s.Policy.Tries = 7 })
	_, err := worker(c).AmendPlan(t.Context(), state.AmendPlanRequest{Base: first, Digest: other, By: "bob"})
	var refused *permanent.Error
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "the plan's revision is 2 already")
	require.ErrorContains(t, err, "by ann")

	// Whoever forgot it finds it again: a reset, and a plan that is at work and submitted again.
	newest, err := worker(c).NewestRevision(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, digest, newest.Digest)
	require.Equal(t, newest, accept(spec, true))
	read, err := worker(c).ReadSpec(t.Context(), newest)
	require.NoError(t, err)
	require.Equal(t, 2, read.Revision)
	require.Equal(t, 6, read.Policy.Tries)

	// A plan that has ended may be submitted with any content.
	require.Equal(t, 3, accept(spec, false).Revision)
}

func TestOfAmendmentsAtOnceOneHolds(t *testing.T) {
	c, spec := objectStore(t), plan(t)
	accepted, err := worker(c).SaveSpec(t.Context(), state.SaveSpecRequest{Spec: spec, Accept: &state.Acceptance{}})
	require.NoError(t, err)
	first := accepted.SpecRef
	var mu sync.Mutex
	var held []string
	var all sync.WaitGroup
	for i := range 8 {
		digest := stored(t, spec, func(s *migration.Spec) { s.Policy.Tries = 10 + i })
		all.Go(func() {
			_, err := worker(c).AmendPlan(t.Context(), state.AmendPlanRequest{Base: first, Digest: digest, By: fmt.Sprint(i)})
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				held = append(held, digest)
			}
		})
	}
	all.Wait()
	require.Len(t, held, 1)
	newest, err := worker(c).NewestRevision(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, migration.Revision{Revision: 2, Digest: held[0]}, newest.Amended())
}

func TestAnAmendmentIsJudgedByWhatThePlansWorkflowsSay(t *testing.T) {
	c, spec := objectStore(t), plan(t)
	accepted, err := worker(c).SaveSpec(t.Context(), state.SaveSpecRequest{Spec: spec, Accept: &state.Acceptance{}})
	require.NoError(t, err)
	first := accepted.SpecRef
	next := first
	next.Digest = stored(t, spec, func(s *migration.Spec) {
		s.Batches = []migration.Batch{{Name: "first", Concurrency: 1}, {Name: "second", Customers: []string{"beta", "zeta", "acme"},
			Concurrency: 2}}
	})
	req := state.JudgeAmendmentRequest{Base: first, Next: next}
	plans := running{"first": {Name: "first", Phase: migration.BatchGate, Customers: []migration.CustomerStatus{{ID: "acme",
		Phase: migration.CustomerWaiting, Home: migration.OnPrem}}}, "second": {Name: "second", Phase: migration.BatchWaiting}}
	j, err := over(c, plans).JudgeAmendment(t.Context(), req)
	require.NoError(t, err)
	require.Empty(t, j.Refused)
	require.Equal(t, []migration.CustomerChange{{ID: "acme", From: "first", To: "second"}}, j.Difference.Customers)
	b := plans["first"]
	b.Customers[0].Phase = migration.CustomerMoving
	j, err = over(c, plans).JudgeAmendment(t.Context(), req)
	require.NoError(t, err)
	require.Len(t, j.Refused, 1)
	require.Equal(t, "customer acme", j.Refused[0].Subject)
}
