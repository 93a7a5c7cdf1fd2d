package migration

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/batch"
	"github.com/drover-migration/drover/workflows/check"
	"github.com/drover-migration/drover/workflows/mail"
)

// bucket is what amendments ask of the state bucket: contents by digest, and which revision holds.
type bucket struct {
	mu      sync.Mutex
	plans   map[string]state.Plan
	newest  migration.Revision
	refused []migration.Finding
	judging func() // happens while an amendment is judged
	ending  func() // happens when replication is ended
}

func (b *bucket) LoadPlan(_ context.Context, ref migration.SpecRef) (state.Plan, error) {
	return b.plans[ref.Digest], nil
}

// SaveSpec says that the plan is at work, and goes on with its newest revision.
func (b *bucket) SaveSpec(context.Context, state.SaveSpecRequest) (state.SavedSpec, error) {
	ref, _ := b.newest.Renews(migration.SpecRef{Plan: "shop"})
	return state.SavedSpec{SpecRef: ref, Newer: true}, nil
}

func (b *bucket) JudgeAmendment(context.Context, state.JudgeAmendmentRequest) (state.Judgement, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.judging != nil {
		b.judging()
	}
	return state.Judgement{Refused: b.refused}, nil
}

func (b *bucket) AmendPlan(_ context.Context, req state.AmendPlanRequest) (migration.SpecRef, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.newest.Revision != req.Base.Revision {
		return req.Base, temporal.NewNonRetryableApplicationError("the plan's revision is another", state.ErrorRevision, nil)
	}
	b.newest = migration.Revision{Revision: req.Base.Revision + 1, Digest: req.Digest}
	out, _ := b.newest.Renews(req.Base)
	return out, nil
}

func (*bucket) CheckFinal(context.Context, postgres.FinaliseRequest) (postgres.FinalFindings, error) {
	return postgres.FinalFindings{}, nil
}

func (b *bucket) FinalisePostgres(context.Context, postgres.FinaliseRequest) error {
	if b.ending != nil {
		b.ending()
	}
	return nil
}

func (*bucket) ReadHomes(context.Context, postgres.ReadHomesRequest) (postgres.ReadHomesResult, error) {
	return postgres.ReadHomesResult{}, nil
}

func (b *bucket) NewestRevision(_ context.Context, have migration.SpecRef) (migration.SpecRef, error) {
	out, _ := b.newest.Renews(have)
	return out, nil
}

// shop is a migration in its soak, of the plan's first revision with one batch. The second has
// another batch after it, the third has one before it, the fourth has two after it.
type shop struct {
	*testing.T
	env   *testsuite.TestWorkflowEnvironment
	b     *bucket
	mu    sync.Mutex            // of what signals bring, each in a goroutine of its own
	words map[string]mail.Pause // the last that each batch has heard that ran before
	asks  map[string]mail.Ask   // the last that each copy has heard
	turns []string              // batches that have had theirs
	runs  map[string]batch.Input
	memo  map[string]any
	over  bool                  // what copies has ended
	heard map[string]mail.Pause // the last that each batch has heard that this migration has started
	ended int                   // words to the batch last that it ends
}

func newShop(t *testing.T, has ...func(*testsuite.TestWorkflowEnvironment)) *shop {
	t.Helper()
	wave, late := migration.Batch{Name: "wave", Customers: []string{"acme"}}, migration.Batch{Name: "late", Customers: []string{"birch"}}
	last := migration.Batch{Name: "last", Customers: []string{"cedar"}}
	plan := func(batches ...migration.Batch) state.Plan {
		return state.Plan{Batches: batches, Datasets: []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{Site: "dc1"}}}}
	}
	s := &shop{T: t, env: patient(&testsuite.WorkflowTestSuite{}), words: map[string]mail.Pause{},
		heard: map[string]mail.Pause{},
		runs:  map[string]batch.Input{}, asks: map[string]mail.Ask{}, b: &bucket{newest: migration.Revision{Revision: 1, Digest: "first"},
			plans: map[string]state.Plan{"first": plan(wave), "second": plan(wave, late), "third": plan(late, wave),
				"fourth": plan(wave, late, last)}}}
	s.env.RegisterActivity(s.b)
	s.env.RegisterWorkflow(Migration)
	s.env.RegisterWorkflowWithOptions(func(ctx workflow.Context, in batch.Input) error {
		s.runs[in.Batch.Name] = in
		mail.Listen(ctx, mail.SignalTurn, "", func(workflow.Context, mail.Turn) { s.turns = append(s.turns, in.Batch.Name) })
		mail.Listen(ctx, mail.SignalWord, "", func(_ workflow.Context, p mail.Pause) { s.heard[in.Batch.Name] = p })
		if in.Batch.Name == "last" {
			mail.Listen(ctx, mail.SignalDismiss, "", func(workflow.Context, mail.Wish) { s.ended++ })
		}
		return workflow.Sleep(ctx, time.Hour)
	}, workflow.RegisterOptions{Name: "Batch"})
	s.env.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ migration.SpecRef) (check.Report, error) {
		_ = workflow.Sleep(ctx, 10*time.Minute)
		return check.Report{}, temporal.NewNonRetryableApplicationError("nothing passes here", "Enough", nil)
	}, workflow.RegisterOptions{Name: "Preflight"})
	for _, register := range has {
		register(s.env)
	}
	s.env.OnUpsertMemo(mock.MatchedBy(func(m map[string]any) bool {
		s.memo = m
		return true
	})).Return(nil)
	s.env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, to, _, signal string, arg any) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.over = s.over || signal == mail.SignalStop; s.over && signal == mail.SignalAsk {
				return new(temporal.UnknownExternalWorkflowExecutionError)
			}
			switch v := arg.(type) {
			case mail.Pause:
				s.words[to] = v
			case mail.Ask:
				s.asks[to] = v
			}
			return nil
		})
	return s
}

// word is the last that a batch has heard, ask the last that a copy has.
func (s *shop) word(batch string) migration.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.words["batch/shop/"+batch].Revision
}

func (s *shop) ask(dataset string) migration.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asks["replication/shop/"+dataset].Revision
}

// answer is what became of a command.
type answer struct {
	said migration.Accepted
	err  error
}

// amend sends a content. What became of it is there when the workflow has answered.
func (s *shop) amend(id, by, digest string, against int) *answer {
	a := &answer{}
	s.env.UpdateWorkflow(migration.UpdateAmend, id, &testsuite.TestUpdateCallback{
		OnReject: func(err error) { a.err = err }, OnAccept: func() {},
		OnComplete: func(v any, err error) {
			a.said, _ = v.(migration.Accepted)
			a.err = err
		},
	}, migration.Command{RequestID: id, By: by, Amend: &migration.SpecRef{Plan: "shop", Revision: against, Digest: digest}})
	return a
}

func (s *shop) at(d time.Duration, do func()) { s.env.RegisterDelayedCallback(do, d) }

func (s *shop) says() (out migration.MigrationStatus) {
	v, err := s.env.QueryWorkflow(migration.QueryStatus, migration.Page{})
	require.NoError(s, err)
	require.NoError(s, v.Get(&out))
	return out
}

// run plays until the migration has ended: everybody's soak is over after ten minutes.
func (s *shop) run() {
	refused := new(error)
	s.at(11*time.Minute, func() { refused = finalise(s.T, s.env, migration.Command{RequestID: "end", By: "ann"}) })
	s.play()
	require.NoError(s, s.env.GetWorkflowError())
	require.NoError(s, *refused)
}

// play is run without the command that ends it.
func (s *shop) play() {
	st := newMigration(Input{}).State
	st.Spec = migration.SpecRef{Plan: "shop", Revision: 1, Digest: "first"}
	st.Names, st.Started, st.Resume, st.Phase = []string{"wave"}, 1, migration.MigrationSoak, migration.MigrationSoak
	st.Batches["wave"] = migration.BatchStatus{Name: "wave", Phase: migration.BatchDone, Counts: migration.Counts{Customers: 1, OnAWS: 1}}
	st.Pieces["orders"] = migration.PieceStatus{Name: "orders", Phase: migration.PieceReady}
	s.at(10*time.Minute, func() {
		for _, b := range s.says().Batches {
			s.env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: 2, N: 2}, Closed: true,
				Status: migration.BatchStatus{Name: b.Name, Phase: migration.BatchDone}})
		}
	})
	s.env.ExecuteWorkflow(Migration, Input{State: &st})
}

func TestAnAmendmentHoldsAndEverybodyIsTold(t *testing.T) {
	s := newShop(t)
	var first, again, stale *answer
	s.at(time.Minute, func() {
		require.Equal(t, migration.Revision{}, s.words["batch/shop/wave"].Revision, "nobody hears of a first revision")
		first = s.amend("a", "ann", "second", 1)
	})
	s.at(2*time.Minute, func() {
		require.NoError(t, first.err)
		require.Equal(t, "revision 2 holds", first.said.Message)
		second := migration.Revision{Revision: 2, Digest: "second"}
		require.Equal(t, second, s.word("wave"))
		require.Equal(t, second, s.ask("orders"))
		require.Equal(t, map[string]any{migration.MemoDigest: "second", migration.MemoRevision: 2}, s.memo)
		require.Equal(t, 2, s.runs["late"].Spec.Revision)
		require.Equal(t, []string{"late"}, s.turns, "the batch before it is through")
		now := s.says()
		require.Equal(t, migration.MigrationReleasing, now.Phase)
		require.Equal(t, 2, now.Revision)
		require.Len(t, now.Batches, 2)
		require.Contains(t, now.Timeline[len(now.Timeline)-1].What, "amended: revision 2")
		require.Equal(t, "ann", now.Timeline[len(now.Timeline)-1].By)
		again = s.amend("b", "bob", "second", 1)
		stale = s.amend("c", "cyd", "first", 1)
	})
	s.at(3*time.Minute, func() {
		require.NoError(t, again.err)
		require.Equal(t, "nothing changes: revision 2 has this content", again.said.Message)
		require.ErrorContains(t, stale.err, "the plan's revision is 2 (digest second), and the amendment was made against 1")
		require.Equal(t, 2, s.b.newest.Revision)
		s.env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: 1, N: 1}, Status: migration.BatchStatus{Name: "late",
			Phase: migration.BatchDone}})
	})
	s.at(4*time.Minute, func() { require.Equal(t, migration.MigrationSoak, s.says().Phase) })
	s.run()
}

// A word to end would come before the batch has read the plan, and it would end customers that are
// another batch's by now.
func TestABatchThatThePlanHasNoMoreHearsOfTheRevisionAndNoWordToEnd(t *testing.T) {
	s := newShop(t)
	var added, gone *answer
	s.at(time.Minute, func() { added = s.amend("a", "ann", "fourth", 1) })
	s.at(2*time.Minute, func() {
		require.NoError(t, added.err)
		require.Equal(t, []string{"late"}, s.turns)
		gone = s.amend("b", "ann", "second", 2)
	})
	s.at(3*time.Minute, func() {
		require.NoError(t, gone.err)
		require.Equal(t, migration.Revision{Revision: 3, Digest: "second"}, s.heard["last"].Revision)
		require.Zero(t, s.ended)
		require.Len(t, s.says().Batches, 2)
	})
	s.run()
}

func TestTheBatchWhoseTurnIsNextIsTakenOutOfThePlan(t *testing.T) {
	s := newShop(t)
	var added, gone *answer
	s.at(time.Minute, func() { added = s.amend("a", "ann", "fourth", 1) })
	s.at(2*time.Minute, func() {
		require.NoError(t, added.err)
		s.b.judging = func() { // the batch before it is through
			s.env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: 1, N: 1},
				Status: migration.BatchStatus{Name: "late", Phase: migration.BatchDone}})
		}
		gone = s.amend("b", "ann", "second", 2)
	})
	s.at(3*time.Minute, func() {
		require.NoError(t, gone.err)
		require.Equal(t, migration.MigrationSoak, s.says().Phase)
		require.Equal(t, []string{"late"}, s.turns)
	})
	s.run()
}

func TestOfTwoAmendmentsAtOnceOneHolds(t *testing.T) {
	s := newShop(t)
	var one, two *answer
	s.at(time.Minute, func() {
		one = s.amend("a", "ann", "second", 1)
		two = s.amend("b", "bob", "third", 1)
	})
	s.at(2*time.Minute, func() {
		require.NoError(t, one.err)
		require.ErrorContains(t, two.err, "ann amends the plan at this moment")
		require.Equal(t, "second", s.b.newest.Digest)
	})
	s.run()
}

func TestAnAmendmentThatMayNotBeChangesNothing(t *testing.T) {
	s := newShop(t)
	s.b.refused = []migration.Finding{{Subject: "customer acme", Reason: "it is soaking, homed on aws", Remedy: "leave it as it was"}}
	var judged, order, none *answer
	s.at(time.Minute, func() { judged = s.amend("a", "ann", "second", 1) })
	s.at(2*time.Minute, func() {
		require.ErrorContains(t, judged.err, "customer acme: it is soaking, homed on aws (leave it as it was)")
		s.b.refused = nil
		order = s.amend("b", "ann", "third", 1)
	})
	s.at(3*time.Minute, func() {
		require.ErrorContains(t, order.err, "the batches wave have had their turn already")
		none = &answer{}
		s.env.UpdateWorkflow(migration.UpdateAmend, "c", &testsuite.TestUpdateCallback{OnReject: func(err error) { none.err = err },
			OnAccept: func() {}, OnComplete: func(any, error) {}}, migration.Command{By: "ann"})
	})
	s.at(4*time.Minute, func() {
		require.ErrorContains(t, none.err, "no content was given")
		require.Equal(t, 1, s.says().Revision)
		require.Nil(t, s.memo)
		require.Empty(t, s.runs)
	})
	s.run()
}

func TestAMigrationThatHasForgottenARevisionGoesOnByItWhenItIsAmended(t *testing.T) {
	s := newShop(t)
	s.b.newest = migration.Revision{Revision: 2, Digest: "second"} // it was reset to a moment before that
	var refused, taken *answer
	s.at(time.Minute, func() { refused = s.amend("a", "ann", "fourth", 1) })
	s.at(2*time.Minute, func() {
		require.ErrorContains(t, refused.err, "the plan's revision is another")
		require.Equal(t, 2, s.says().Revision)
		require.Equal(t, s.b.newest, s.word("wave"))
		require.Equal(t, []string{"late"}, s.turns)
		taken = s.amend("b", "ann", "fourth", 2)
	})
	s.at(3*time.Minute, func() {
		require.NoError(t, taken.err)
		require.Equal(t, "revision 3 holds", taken.said.Message)
		require.Len(t, s.says().Batches, 3)
	})
	s.run()
}

func TestIncidentsOfABatchThatThePlanHasNoMoreAreForgivenOnce(t *testing.T) {
	s := newShop(t)
	for digest, p := range s.b.plans {
		p.Policy.StopAfter = 2
		s.b.plans[digest] = p
	}
	held := func(batch string) {
		s.env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: 1, N: 1}, Incidents: 2,
			Status: migration.BatchStatus{Name: batch, Phase: migration.BatchWaiting}})
	}
	resume := func(id string) {
		s.env.UpdateWorkflow(migration.UpdateResume, id, &testsuite.TestUpdateCallback{
			OnReject: func(err error) { require.NoError(s, err) }, OnAccept: func() {}, OnComplete: func(any, error) {},
		}, migration.Command{RequestID: id, By: "ann"})
	}
	s.at(time.Minute, func() { s.amend("a", "ann", "fourth", 1) })
	s.at(2*time.Minute, func() { held("last") })
	s.at(3*time.Minute, func() {
		require.True(t, s.says().Paused)
		resume("go on")
	})
	s.at(4*time.Minute, func() { s.amend("b", "ann", "second", 2) })
	s.at(5*time.Minute, func() {
		require.Len(t, s.says().Batches, 2)
		require.False(t, s.says().Paused)
		held("late")
	})
	s.at(6*time.Minute, func() {
		require.True(t, s.says().Paused, "two more were held")
		resume("go on again")
	})
	s.run()
}

func TestAnAcceptedPlanIsCountedByTheRevisionThatGoesOn(t *testing.T) {
	s := newShop(t)
	s.b.newest = migration.Revision{Revision: 2, Digest: "second"}
	var noted []string
	s.env.ExecuteWorkflow(func(ctx workflow.Context) error {
		m := newMigration(Input{MigrationInput: migration.MigrationInput{Spec: &migration.Spec{}, By: "ann"}})
		err := m.accept(ctx)
		for _, e := range m.Timeline {
			noted = append(noted, e.What)
		}
		return err
	})
	require.NoError(t, s.env.GetWorkflowError())
	require.Equal(t, []string{"plan accepted: 2 customers in 2 batches", "goes on with revision 2"}, noted)
}
