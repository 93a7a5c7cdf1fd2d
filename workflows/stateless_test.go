package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/homes"
	"github.com/drover-migration/drover/activities/hooks"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	engine "github.com/drover-migration/drover/homes"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/move"
)

// bucketWorld is all that a Customer without a database touches: its home record, its route and its
// health. Its exported methods are the activities.
type bucketWorld struct {
	mu     sync.Mutex
	homes  *homes.Activities
	slice  migration.CustomerSlice
	ill    int            // it fails its watch while so much of it is on AWS; 0: never
	faults map[int]mishap // by the number of the call of a step on its record
	calls  int
	steps  []string
	late   []func() // effects that come when all is over

	share   int   // as the route has it
	shares  []int // every change of it
	watched []int // share of each watch
	found   []migration.Finding
	holds   string   // the answer of its hooks; empty: go on
	heard   []string // their events, with the share that had been routed to AWS
	first   int      // calls of hooks that have come before a watch has ended, which lasts a minute in the world
}

func newBucketWorld() *bucketWorld {
	w := &bucketWorld{faults: map[int]mishap{}, homes: homes.New(engine.New(&shelf{kept: map[string][]byte{}}))}
	w.slice = migration.CustomerSlice{
		Customer: migration.Customer{ID: "acme"}, Routes: []migration.Route{{Name: "public"}},
		Batch: migration.Batch{Name: "canary", Bake: migration.Duration(time.Second)},
		Policy: migration.Policy{Tries: 3, Weights: []int{5, 25, 100}, Step: migration.Duration(time.Minute),
			Soak: migration.Duration(time.Hour)},
	}
	return w
}

// shelf is a state bucket in memory. Its callers come one after the other.
type shelf struct {
	kept map[string][]byte
	etag int
}

func (s *shelf) Get(_ context.Context, _ migration.StateStore, _ migration.Target, key string) ([]byte, string, error) {
	b, ok := s.kept[key]
	if !ok {
		return nil, "", objects.ErrNotFound
	}
	return b, fmt.Sprint(s.etag), nil
}

func (s *shelf) Put(_ context.Context, _ migration.StateStore, _ migration.Target, key string, body []byte,
	ifMatch string) (string, error) {
	if _, ok := s.kept[key]; ok != (ifMatch != "") || ok && ifMatch != fmt.Sprint(s.etag) {
		return "", objects.ErrConflict
	}
	s.etag++
	s.kept[key] = body
	return fmt.Sprint(s.etag), nil
}

// step is a call that changes the record, which meets its mishap.
func (w *bucketWorld) step(name string, effect func() (homes.StepResult, error)) (homes.StepResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	w.steps = append(w.steps, name)
	switch w.faults[w.calls] {
	case neverCame:
		return homes.StepResult{}, errPermanent
	case tooLate:
		w.late = append(w.late, func() { _, _ = effect() })
		return homes.StepResult{}, errPermanent
	case answerLost:
		_, _ = effect()
		return homes.StepResult{}, errNetwork
	case neverHeard:
		_, _ = effect()
		return homes.StepResult{}, errPermanent
	case runsTwice:
		_, _ = effect()
	}
	return effect()
}

func (w *bucketWorld) ReadHomeRecord(ctx context.Context, req homes.Request) (migration.HomeRecord, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.homes.ReadHomeRecord(ctx, req)
}

func (w *bucketWorld) CommitHome(ctx context.Context, req homes.CommitRequest) (homes.StepResult, error) {
	return w.step("commit", func() (homes.StepResult, error) { return w.homes.CommitHome(ctx, req) })
}

func (w *bucketWorld) WeighHome(ctx context.Context, req homes.WeighRequest) (homes.StepResult, error) {
	return w.step("weigh", func() (homes.StepResult, error) { return w.homes.WeighHome(ctx, req) })
}

func (w *bucketWorld) ClaimHome(ctx context.Context, req homes.ClaimRequest) (homes.StepResult, error) {
	return w.step("claim", func() (homes.StepResult, error) { return w.homes.ClaimHome(ctx, req) })
}

func (w *bucketWorld) NoteHomes(ctx context.Context, req homes.NotesRequest) (homes.NotesResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.homes.NoteHomes(ctx, req)
}

// ReconcileRoute obeys the record, as a router of the product does.
func (w *bucketWorld) ReconcileRoute(ctx context.Context, req traffic.ReconcileRouteRequest) (traffic.RouteState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rec, err := w.homes.ReadHomeRecord(ctx, homes.Request{Spec: req.Spec, Customer: req.Customer})
	share := 0
	if rec.Home() == migration.AWS {
		share = rec.Weight
	}
	if share != w.share {
		w.share, w.shares = share, append(w.shares, share)
	}
	return traffic.RouteState{}, err
}

func (w *bucketWorld) CallHook(_ context.Context, req hooks.CallHookRequest) (hooks.CallHookResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, fmt.Sprintf("%s at %d %%", req.Call.Event, w.share))
	return hooks.CallHookResult{Hold: w.holds}, nil
}

func (w *bucketWorld) isEarly() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.heard) < w.first
}

func (w *bucketWorld) FindMachines(context.Context, health.DestinationRequest) ([]health.Machines, error) {
	return nil, nil
}

func (w *bucketWorld) CheckDestination(context.Context, health.CheckRequest) ([]migration.Finding, error) {
	return w.found, nil
}

func (w *bucketWorld) LoadCustomer(context.Context, state.LoadCustomerRequest) (migration.CustomerSlice, error) {
	return w.slice, nil
}

func (w *bucketWorld) WatchHealth(ctx context.Context, req health.WatchRequest) (migration.Verdict, error) {
	for w.isEarly() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	share := req.Share
	if share == 0 {
		share = 100
	}
	w.watched = append(w.watched, share)
	if w.ill == share {
		return migration.Verdict{Outcome: migration.Fail, Reason: fmt.Sprintf("ill at %d %%", share)}, nil
	}
	return migration.Verdict{Outcome: migration.Pass}, nil
}

// bucketStage is a Temporal of its own over such a world.
type bucketStage struct {
	*testing.T
	*bucketWorld
	env *testsuite.TestWorkflowEnvironment
}

func onBucket(t *testing.T, w *bucketWorld) *bucketStage {
	t.Helper()
	env := newEnvironment()
	env.RegisterActivity(w)
	env.RegisterWorkflow(life)
	env.RegisterWorkflowWithOptions(move.Move, workflow.RegisterOptions{Name: "Move"})
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
	return &bucketStage{t, w, env}
}

func (s *bucketStage) says() (c migration.CustomerStatus) {
	v, err := s.env.QueryWorkflow(migration.QueryStatus)
	require.NoError(s, err)
	require.NoError(s, v.Get(&c))
	return c
}

// play goes until the customer has had half an hour, and says where it stands.
func (s *bucketStage) play() (last migration.CustomerStatus) {
	s.Helper()
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1}) }, time.Millisecond)
	s.env.RegisterDelayedCallback(func() {
		last = s.says()
		s.env.SignalWorkflow("enough", nil)
	}, 30*time.Minute)
	s.env.ExecuteWorkflow(life, customer.Input{ID: "acme", Batch: "canary"})
	require.NoError(s, s.env.GetWorkflowError())
	return last
}

func (s *bucketStage) command(at time.Duration, name string) {
	s.env.RegisterDelayedCallback(func() {
		s.env.UpdateWorkflow(name, "", accepted{&stage{tester: s.T}}, migration.Command{By: "ann", Reason: "month end"})
	}, at)
}

func (w *bucketWorld) record(t *testing.T) migration.HomeRecord {
	t.Helper()
	rec, err := w.homes.ReadHomeRecord(t.Context(), homes.Request{Customer: "acme"})
	require.NoError(t, err)
	return rec
}

// agree holds record, route and status against each other.
func (s *bucketStage) agree(c migration.CustomerStatus) {
	s.Helper()
	for _, late := range s.late {
		late()
	}
	rec := s.record(s.T)
	require.Equal(s, rec.Home(), c.Home, "%v", s.steps)
	want := 0
	if rec.Home() == migration.AWS {
		want = rec.Weight
	}
	require.Equal(s, want, s.share, "the route: %v", s.steps)
}

func TestAStatelessCustomerShiftsByWeightsWithAVerdictAtEach(t *testing.T) {
	s := onBucket(t, newBucketWorld())
	for at, weight := range map[time.Duration]int{30 * time.Second: 5, 90 * time.Second: 25} {
		s.env.RegisterDelayedCallback(func() {
			c := s.says()
			require.Equal(t, migration.CustomerBaking, c.Phase)
			require.Equal(t, weight, c.Weight)
			require.Equal(t, fmt.Sprintf("%d %% of its requests go to AWS", weight), c.Reason)
		}, at)
	}
	// Each watch lasts as long as it is asked to.
	s.env.OnActivity("WatchHealth", mock.Anything, mock.Anything).Return(
		func(ctx context.Context, req health.WatchRequest) (migration.Verdict, error) {
			return s.WatchHealth(ctx, req)
		}).After(time.Minute)
	c := s.play()
	require.Equal(t, migration.CustomerSoaking, c.Phase)
	require.Zero(t, c.Weight, "it is not being shifted any more")
	require.Equal(t, []int{5, 25, 100}, s.shares)
	require.Equal(t, []int{5, 25, 100}, s.watched)
	require.Equal(t, migration.Homed{Side: migration.AWS, Token: 1, Weight: 100}, s.record(t).Homed())
	require.Equal(t, []string{"commit", "weigh", "weigh"}, s.steps)
	s.agree(c)
}

func TestAStatelessCustomerGoesBackByItselfFromAnyWeight(t *testing.T) {
	for _, ill := range []int{5, 25, 100} {
		t.Run(fmt.Sprint(ill), func(t *testing.T) {
			s := onBucket(t, newBucketWorld())
			s.ill = ill
			c := s.play()
			require.Equal(t, migration.CustomerRolledBack, c.Phase)
			require.Equal(t, migration.ByVerdict, c.Cause)
			require.Equal(t, fmt.Sprintf("ill at %d %%", ill), c.Verdict.Reason)
			require.Len(t, c.Moves, 2)
			require.Zero(t, s.share)
			require.Zero(t, c.Weight)
			require.NotContains(t, s.shares[:len(s.shares)-1], 0)
			s.agree(c)
		})
	}
}

func TestACommandToACustomerThatIsShiftedIsHonoured(t *testing.T) {
	t.Run("a hold leaves it at its weight, and a retry goes on from there", func(t *testing.T) {
		s := onBucket(t, newBucketWorld())
		s.env.OnActivity("WatchHealth", mock.Anything, mock.Anything).Return(
			func(ctx context.Context, req health.WatchRequest) (migration.Verdict, error) {
				return s.WatchHealth(ctx, req)
			}).After(time.Minute)
		s.command(90*time.Second, migration.UpdateHold)
		s.env.RegisterDelayedCallback(func() {
			require.Equal(t, migration.CustomerHeld, s.says().Phase)
			require.Equal(t, 25, s.says().Weight)
			require.Equal(t, 25, s.share)
		}, 10*time.Minute)
		s.command(11*time.Minute, migration.UpdateRetry)
		c := s.play()
		require.Equal(t, migration.CustomerSoaking, c.Phase)
		require.Equal(t, []int{5, 25, 100}, s.shares, "its share never falls")
		s.agree(c)
	})
	t.Run("a rollback in the middle of a step takes it home", func(t *testing.T) {
		s := onBucket(t, newBucketWorld())
		s.env.OnActivity("WatchHealth", mock.Anything, mock.Anything).Return(
			func(ctx context.Context, req health.WatchRequest) (migration.Verdict, error) {
				return s.WatchHealth(ctx, req)
			}).After(time.Minute)
		s.command(90*time.Second, migration.UpdateRollback)
		c := s.play()
		require.Equal(t, migration.CustomerRolledBack, c.Phase)
		require.Equal(t, []int{5, 25, 0}, s.shares)
		s.agree(c)
	})
	t.Run("a destination that is not well moves nobody", func(t *testing.T) {
		s := onBucket(t, newBucketWorld())
		s.found = []migration.Finding{{Severity: migration.Blocker, Check: "destination-unhealthy", Subject: "web", Reason: "refused"}}
		c := s.play()
		require.Equal(t, migration.CustomerHeld, c.Phase)
		require.Equal(t, migration.OnPrem, c.Home)
		require.Empty(t, s.steps)
		require.Empty(t, s.shares)
	})
}

// Each call that writes the record meets each mishap, on the way out and, where the customer is
// ill, on the way back.
func TestRecordRouteAndStatusAgreeWhateverBefallsAWriteOfTheRecord(t *testing.T) {
	for _, ill := range []int{0, 25} {
		for at := 1; at <= 4; at++ {
			for _, m := range []mishap{answerLost, runsTwice, neverHeard, neverCame, tooLate} {
				t.Run(fmt.Sprintf("ill at %d: call %d %s", ill, at, m), func(t *testing.T) {
					s := onBucket(t, newBucketWorld())
					s.ill, s.faults[at] = ill, m
					c := s.play()
					s.agree(c)
					want := migration.CustomerSoaking
					if ill > 0 {
						want = migration.CustomerRolledBack
					}
					require.Equal(t, want, c.Phase, "%v", s.steps)
					away := s.shares
					if i := slices.Index(away, 0); i >= 0 {
						away = away[:i]
					}
					require.True(t, slices.IsSorted(away), "its share never falls but by going home: %v", s.shares)
				})
			}
		}
	}
}

func TestACustomerThatIsStartedAgainGoesOnAtTheWeightThatItsRecordSays(t *testing.T) {
	w := newBucketWorld()
	first := onBucket(t, w)
	first.env.OnActivity("WatchHealth", mock.Anything, mock.Anything).Return(
		func(ctx context.Context, req health.WatchRequest) (migration.Verdict, error) {
			return w.WatchHealth(ctx, req)
		}).After(time.Minute)
	first.env.RegisterDelayedCallback(func() { first.env.SignalWorkflow("enough", nil) }, 90*time.Second)
	first.env.RegisterDelayedCallback(func() { first.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1}) }, time.Millisecond)
	first.env.ExecuteWorkflow(life, customer.Input{ID: "acme", Batch: "canary"})
	require.Equal(t, 25, w.record(t).Weight)
	s := onBucket(t, w)
	c := s.play()
	require.Equal(t, migration.CustomerSoaking, c.Phase)
	require.Equal(t, []int{5, 25, 100}, w.shares)
	s.agree(c)
}
