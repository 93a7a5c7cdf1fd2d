package migration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/homes"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
)

// leaving is a plan of customers without a database that is aborted.
type leaving struct {
	mu   sync.Mutex
	plan state.Plan
	home map[string]bool
	told map[string]int

	slots map[string]int // by batch that was taken back
}

func (l *leaving) LoadPlan(context.Context, migration.SpecRef) (state.Plan, error) {
	return l.plan, nil
}

func (*leaving) SweepState(context.Context, state.SweepRequest) error { return nil }

func (l *leaving) ReadHomeRecords(_ context.Context, req homes.ManyRequest) (homes.ManyResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := homes.ManyResult{Homes: map[string]migration.Homed{}}
	for _, c := range req.Customers {
		if out.Homes[c] = (migration.Homed{Side: migration.AWS, Token: 1, Weight: 100}); l.home[c] {
			out.Homes[c] = migration.Homed{Side: migration.OnPrem, Token: 3}
		}
	}
	return out, nil
}

// customer comes home in a minute, and the first of them in ten hours.
func (l *leaving) customer(ctx workflow.Context, in customer.Input) error {
	length := time.Minute
	if in.ID == "c00" {
		length = 10 * time.Hour
	}
	err := workflow.Sleep(ctx, length)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.home[in.ID] = true
	return err
}

func (l *leaving) stage() *testsuite.TestWorkflowEnvironment {
	l.slots = map[string]int{}
	env := patient(&testsuite.WorkflowTestSuite{})
	env.RegisterActivity(l)
	env.RegisterWorkflow(Migration)
	env.RegisterWorkflowWithOptions(l.customer, workflow.RegisterOptions{Name: "Customer"})
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, id, _, signal string, arg any) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.told[signal]++
			if w, ok := arg.(mail.Wish); ok && signal == mail.SignalBack {
				l.slots[id[strings.LastIndex(id, "/")+1:]] = w.Slots
			}
			return nil
		})
	return env
}

func abort(t *testing.T, env *testsuite.TestWorkflowEnvironment) {
	env.UpdateWorkflow(migration.UpdateAbort, "", &testsuite.TestUpdateCallback{OnReject: func(err error) { require.NoError(t, err) },
		OnAccept: func() {}, OnComplete: func(any, error) {}}, migration.Command{RequestID: "a", By: "bob", Reason: "it shall end"})
}

// Each customer on its way back takes connections to the plan's databases.
func TestBatchesThatAreTakenBackAtOnceShareTheSlotsOfTheWayBack(t *testing.T) {
	const back = 20
	for name, command := range map[string]string{"a rollback of the plan": migration.UpdateRollback, "an abort": migration.UpdateAbort} {
		for what, c := range map[string]struct{ away, slots [3]int }{ // of each batch; who has finished does not come
			"one is away":               {[3]int{40, 0, 0}, [3]int{back, 1, 1}},
			"three are away":            {[3]int{40, 20, 40}, [3]int{8, 4, 8}},
			"a small one beside large":  {[3]int{1, 50, 50}, [3]int{1, 9, 9}},
			"the last of each are away": {[3]int{1, 1, 1}, [3]int{6, 6, 6}},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				l := &leaving{told: map[string]int{}, plan: state.Plan{Policy: migration.Policy{BackConcurrency: back}}}
				st := newMigration(Input{}).State
				st.Spec.Plan, st.Started, st.Resume, st.Phase = "shop", 3, migration.MigrationReleasing, migration.MigrationReleasing
				for i, name := range []string{"first", "second", "third"} {
					l.plan.Batches = append(l.plan.Batches, migration.Batch{Name: name, Customers: make([]string, 60)})
					st.Names = append(st.Names, name)
					n := c.away[i]
					st.Batches[name] = migration.BatchStatus{Name: name, Phase: migration.BatchDone,
						Counts: migration.Counts{Customers: 60, Away: n + 5, Finished: 5, OnAWS: n + 5}}
				}
				env := l.stage()
				env.RegisterDelayedCallback(func() {
					env.UpdateWorkflow(command, "", &testsuite.TestUpdateCallback{OnReject: func(err error) { require.NoError(t, err) },
						OnAccept: func() {}, OnComplete: func(any, error) {}}, migration.Command{RequestID: "a", By: "bob"})
				}, time.Minute)
				env.RegisterDelayedCallback(env.CancelWorkflow, 2*time.Minute)
				env.SetTestTimeout(time.Minute)
				env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, 3*time.Minute)
				env.ExecuteWorkflow(Migration, Input{State: &st})
				require.Equal(t, map[string]int{"first": c.slots[0], "second": c.slots[1], "third": c.slots[2]}, l.slots)
			})
		}
	}
}

// Somebody who is held on AWS may keep an abort waiting for weeks.
func TestAnAbortThatWaitsGoesOnInANewHistory(t *testing.T) {
	l := &leaving{told: map[string]int{}, plan: state.Plan{Batches: []migration.Batch{{Name: "wave", Customers: []string{"acme"}}}}}
	st := newMigration(Input{}).State
	st.Spec.Plan, st.Names, st.Started, st.Resume, st.Phase = "shop", []string{"wave"}, 1, migration.MigrationReleasing,
		migration.MigrationReleasing
	under := migration.BatchStatus{Name: "wave", Phase: migration.BatchCuttingOver,
		Counts: migration.Counts{Customers: 1, Held: 1, Away: 1}}
	st.Batches["wave"] = under
	env := l.stage()
	env.RegisterDelayedCallback(func() { abort(t, env) }, time.Minute)
	env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, time.Hour)
	env.ExecuteWorkflow(Migration, Input{State: &st})
	require.True(t, env.IsWorkflowCompleted())
	var anew *workflow.ContinueAsNewError
	require.True(t, errors.As(env.GetWorkflowError(), &anew), "%v", env.GetWorkflowError())
	var in Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(anew.Input, &in))
	require.Equal(t, "bob", in.State.Aborted.By)
	require.Equal(t, 1, l.told[mail.SignalBack])

	env = l.stage()
	env.RegisterDelayedCallback(func() {
		under.Phase, under.Counts = migration.BatchAborted, migration.Counts{Customers: 1}
		env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: env.Now().UnixNano(), N: 2},
			Status: under, Closed: true})
	}, time.Hour)
	env.ExecuteWorkflow(Migration, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, 1, l.told[mail.SignalBack], "they know it")
	require.Equal(t, 1, l.told[mail.SignalAbort])
	v, err := env.QueryWorkflow(migration.QueryStatus, migration.Page{})
	require.NoError(t, err)
	var s migration.MigrationStatus
	require.NoError(t, v.Get(&s))
	require.Equal(t, migration.MigrationAborted, s.Phase)
}

// Whoever is at home ends when its database answers, which may take as long.
func TestAnAbortWhoseCustomersAreAtHomeAndDoNotEndGoesOnInANewHistory(t *testing.T) {
	l := &leaving{told: map[string]int{}, plan: state.Plan{Batches: []migration.Batch{{Name: "wave", Customers: []string{"acme"}}}}}
	st := newMigration(Input{}).State
	st.Spec.Plan, st.Names, st.Started, st.Resume, st.Phase = "shop", []string{"wave"}, 1, migration.MigrationReleasing,
		migration.MigrationReleasing
	st.Batches["wave"] = migration.BatchStatus{Name: "wave", Phase: migration.BatchCuttingOver,
		Counts: migration.Counts{Customers: 1, Waiting: 1}}
	env := l.stage()
	env.RegisterDelayedCallback(func() { abort(t, env) }, time.Minute)
	env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, time.Hour)
	env.RegisterDelayedCallback(env.CancelWorkflow, 2*time.Hour) // too late
	env.ExecuteWorkflow(Migration, Input{State: &st})
	require.True(t, env.IsWorkflowCompleted())
	var anew *workflow.ContinueAsNewError
	require.True(t, errors.As(env.GetWorkflowError(), &anew), "%v", env.GetWorkflowError())
	var in Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(anew.Input, &in))
	require.Equal(t, "bob", in.State.Aborted.By)
	require.Equal(t, 1, l.told[mail.SignalAbort])
}

// What is aborted is not kept waiting by what is tried in vain.
func TestAnAbortDoesNotWaitForRoutesThatCannotBeRecorded(t *testing.T) {
	l := &leaving{told: map[string]int{}, plan: state.Plan{Routed: true, Batches: []migration.Batch{{Name: "wave",
		Customers: []string{"acme"}}}}}
	st := newMigration(Input{}).State
	st.Spec.Plan, st.Names, st.Resume, st.Phase = "shop", []string{"wave"}, migration.MigrationProvisioning,
		migration.MigrationProvisioning
	waiting := migration.BatchStatus{Name: "wave", Phase: migration.BatchWaiting, Counts: migration.Counts{Customers: 1, Waiting: 1}}
	st.Batches["wave"] = waiting
	env := l.stage()
	tried := 0
	env.RegisterActivityWithOptions(func(context.Context, traffic.RecordRouteRequest) error {
		tried++
		return errors.New("AccessDenied")
	}, activity.RegisterOptions{Name: "RecordRoute"})
	env.RegisterActivityWithOptions(func(context.Context, traffic.RestoreRouteRequest) error { return nil },
		activity.RegisterOptions{Name: "RestoreRoute"})
	// The environment of the test makes ten attempts at most, in more than a minute.
	env.RegisterDelayedCallback(func() { abort(t, env) }, 30*time.Second)
	env.RegisterDelayedCallback(func() {
		require.Equal(t, 1, l.told[mail.SignalAbort])
		waiting.Phase = migration.BatchAborted
		order := mail.Order{At: env.Now().UnixNano(), N: 1}
		env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: order, Status: waiting, Closed: true})
	}, 40*time.Second)
	env.ExecuteWorkflow(Migration, Input{State: &st})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Greater(t, tried, 5)
}

// Of those who had finished, one that is held keeps nobody else from coming home.
func TestTheNextIsRecalledAsOneHasComeHome(t *testing.T) {
	l := &leaving{told: map[string]int{}, home: map[string]bool{}}
	for i := range 3 * recallAtOnce {
		l.plan.Stateless = append(l.plan.Stateless, fmt.Sprintf("c%02d", i))
	}
	l.plan.Batches = []migration.Batch{{Name: "wave", Customers: l.plan.Stateless}}
	st := newMigration(Input{}).State
	st.Spec.Plan, st.Names, st.Started, st.Resume, st.Phase = "shop", []string{"wave"}, 1, migration.MigrationSoak, migration.MigrationSoak
	n := len(l.plan.Stateless)
	st.Batches["wave"] = migration.BatchStatus{Name: "wave", Phase: migration.BatchDone,
		Counts: migration.Counts{Customers: n, OnAWS: n, Away: n, Finished: n}}
	st.Closed["wave"] = true
	env := l.stage()
	env.RegisterDelayedCallback(func() { abort(t, env) }, time.Minute)
	env.RegisterDelayedCallback(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		require.Len(t, l.home, n-1, "all but the one that is held")
	}, time.Hour)
	env.ExecuteWorkflow(Migration, Input{State: &st})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, l.home, n)
}
