package migration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// finalise sends the command. Why it was refused is there when the workflow has heard it.
func finalise(t *testing.T, env *testsuite.TestWorkflowEnvironment, cmd migration.Command) *error {
	t.Helper()
	var refused error
	env.UpdateWorkflow(migration.UpdateFinalise, "", &testsuite.TestUpdateCallback{
		OnReject: func(err error) { refused = err }, OnAccept: func() {}, OnComplete: func(_ any, err error) { require.NoError(t, err) },
	}, cmd)
	return &refused
}

// premises are what is asked at the end, in the order in which it was.
type premises struct {
	mu    sync.Mutex
	asked []string
	left  []migration.Finding // by a database that is asked who is left; one time
	runs  int                 // times that a guest does not listen
	apart []int64             // tenants in no batch
	bare  string              // why no machine is tagged
}

func (p *premises) ask(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, what)
}

// heard is what was asked so far.
func (p *premises) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (*premises) LoadPlan(context.Context, migration.SpecRef) (state.Plan, error) {
	return state.Plan{
		Batches: []migration.Batch{{Name: "wave", Customers: []string{"acme"}}},
		Datasets: []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{Site: "dc1"}},
			{Name: "files", Files: &migration.Files{}}},
		Workloads: []migration.Workload{{Name: "web", Site: "dc1"}}, Sites: []migration.Site{{Name: "dc1"}},
	}, nil
}

func (p *premises) CheckFinal(_ context.Context, req postgres.FinaliseRequest) (postgres.FinalFindings, error) {
	p.ask("who is left in " + req.Dataset.Name)
	p.mu.Lock()
	defer p.mu.Unlock()
	out := postgres.FinalFindings{Findings: p.left}
	p.left = nil
	return out, nil
}

func (p *premises) FinalisePostgres(_ context.Context, req postgres.FinaliseRequest) error {
	p.ask("end " + req.Dataset.Name)
	return nil
}

func (p *premises) LoadEnd(_ context.Context, req state.LoadEndRequest) (state.BatchEnd, error) {
	return state.BatchEnd{Tenants: map[string][]int64{"orders": {17}}, Workloads: []string{"web"}}, nil
}

func (p *premises) EndWayBack(_ context.Context, req postgres.EndWayBackRequest) error {
	p.ask(fmt.Sprintf("end the way back of %v in %s", req.Tenants, req.Dataset.Name))
	return nil
}

func (p *premises) ListUnplanned(context.Context, postgres.PostgresRef) (postgres.Unplanned, error) {
	return postgres.Unplanned{Tenants: p.apart, All: len(p.apart)}, nil
}

func (p *premises) ListVMs(context.Context, vsphere.ListVMsRequest) (vsphere.ListVMsResult, error) {
	return vsphere.ListVMsResult{VMs: []migration.VM{{Name: "web-01"}}}, nil
}

func (p *premises) ShutdownVM(_ context.Context, req vsphere.ShutdownVMRequest) (vsphere.ShutdownVMResult, error) {
	p.ask("shut down " + req.VM.Name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs--; p.runs >= 0 {
		return vsphere.ShutdownVMResult{}, temporal.NewNonRetryableApplicationError(
			"shut down VM \"web-01\": the guest did not shut down in time", "StillRunning", nil)
	}
	return vsphere.ShutdownVMResult{Untagged: p.bare}, nil
}

// ends plays a migration in its soak, whose only customer ends its soak after an hour. look sees
// what it says at each of the times, and may command.
func ends(t *testing.T, p *premises, look map[time.Duration]func(*testsuite.TestWorkflowEnvironment, migration.MigrationStatus)) {
	t.Helper()
	env := p.stage()
	st := newMigration(Input{}).State
	st.Spec.Plan, st.Names, st.Started, st.Resume, st.Phase = "shop", []string{"wave"}, 1, migration.MigrationSoak, migration.MigrationSoak
	through := migration.BatchStatus{Name: "wave", Phase: migration.BatchDone, Counts: migration.Counts{Customers: 1, OnAWS: 1, Away: 1}}
	st.Batches["wave"] = through
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: 1, N: 1}, Status: through, Closed: true})
	}, time.Hour)
	for at, do := range look {
		env.RegisterDelayedCallback(func() {
			v, err := env.QueryWorkflow(migration.QueryStatus, migration.Page{})
			require.NoError(t, err)
			var s migration.MigrationStatus
			require.NoError(t, v.Get(&s))
			do(env, s)
		}, at)
	}
	env.ExecuteWorkflow(Migration, Input{State: &st})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
}

// stage is a Temporal in which what copies has ended.
func (p *premises) stage() *testsuite.TestWorkflowEnvironment {
	env := patient(&testsuite.WorkflowTestSuite{})
	env.RegisterActivity(p)
	env.RegisterWorkflow(Migration)
	env.RegisterWorkflowWithOptions(func(workflow.Context, any) error { return nil }, workflow.RegisterOptions{Name: "Replication"})
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, to, _, signal string, _ any) error {
			if strings.HasPrefix(to, "replication/") && signal == mail.SignalStop {
				p.ask("stop " + to)
			}
			if signal == mail.SignalAsk && !strings.HasPrefix(to, "batch/") {
				return new(temporal.UnknownExternalWorkflowExecutionError)
			}
			return nil
		})
	env.OnRequestCancelExternalWorkflow(mock.Anything, mock.Anything, mock.Anything).Return(nil)
	return env
}

func TestTheWayBackEndsWhenSomebodySaysSoAndNotBefore(t *testing.T) {
	p := &premises{runs: 2}
	var early, said, twice *error
	ends(t, p, map[time.Duration]func(*testsuite.TestWorkflowEnvironment, migration.MigrationStatus){
		30 * time.Minute: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.NotContains(t, s.MayDo, migration.UpdateFinalise)
			early = finalise(t, env, migration.Command{RequestID: "early", By: "ann"})
		},
		5 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.Equal(t, migration.MigrationSoak, s.Phase)
			require.Equal(t, migration.WaitOperator, s.WaitingFor)
			require.Contains(t, s.Reason, "`drover finalise shop` ends the way back for good")
			require.Contains(t, s.MayDo, migration.UpdateFinalise)
			require.NotContains(t, s.MayDo, migration.UpdateRollback, "nobody would hear it any more")
			require.Empty(t, p.heard(), "nothing ends by itself")
			said = finalise(t, env, migration.Command{RequestID: "one", By: "ann"})
		},
		5*time.Hour + 30*time.Second: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.Equal(t, migration.MigrationFinalising, s.Phase)
			require.Equal(t, migration.WaitOperator, s.WaitingFor)
			require.Contains(t, s.Reason, "machines on premises still run, and are asked again each minute: web: shut down VM \"web-01\"")
			require.NotContains(t, p.heard(), "end orders", "the guards stand while a machine on premises runs")
			twice = finalise(t, env, migration.Command{RequestID: "two", By: "ann"})
			require.Empty(t, s.MayDo)
			env.CancelWorkflow() // there is no way back from here
		},
	})
	require.Equal(t, "who is left in orders", p.heard()[0])
	require.ElementsMatch(t, []string{"stop replication/shop/orders", "stop replication/shop/files"}, p.heard()[1:3])
	require.Equal(t, []string{"shut down web-01", "shut down web-01", "shut down web-01", "end orders"}, p.heard()[3:])
	require.ErrorContains(t, *early, "1 customers have not ended their soak on AWS")
	require.NoError(t, *said)
	require.ErrorContains(t, *twice, "migration shop is finalising: finalise does not apply")
}

// A person may take weeks to shut down a machine whose guest does not listen.
func TestAFinaliseThatWaitsForMachinesGoesOnInANewHistory(t *testing.T) {
	p := &premises{runs: 1000}
	st := newMigration(Input{}).State
	st.Spec.Plan, st.Names, st.Started, st.Resume, st.Phase = "shop", []string{"wave"}, 1, migration.MigrationFinalising,
		migration.MigrationFinalising
	st.Closed["wave"], st.Final = true, &final{By: "ann", SignUps: true}
	env := p.stage()
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour) // there is no way back from here
	env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, 2*time.Hour)
	env.ExecuteWorkflow(Migration, Input{State: &st})
	require.True(t, env.IsWorkflowCompleted())
	var anew *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &anew)
	require.NotContains(t, p.heard(), "end orders")
	var in Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(anew.Input, &in))
	require.Equal(t, st.Final, in.State.Final)
	require.Nil(t, in.State.Paused)

	p.mu.Lock()
	p.runs = 1
	p.mu.Unlock()
	env = p.stage()
	env.ExecuteWorkflow(Migration, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.Contains(t, p.heard(), "end orders")
}

func TestATenantLeftOnPremisesKeepsTheWayBackOpen(t *testing.T) {
	p := &premises{left: []migration.Finding{{Severity: migration.Blocker, Subject: "dataset orders",
		Reason: "tenants [41] are in no batch of the plan", Remedy: "say --with-sign-ups"}}}
	ends(t, p, map[time.Duration]func(*testsuite.TestWorkflowEnvironment, migration.MigrationStatus){
		2 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, _ migration.MigrationStatus) {
			finalise(t, env, migration.Command{RequestID: "one", By: "ann"})
		},
		3 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.Equal(t, migration.MigrationSoak, s.Phase)
			require.Contains(t, s.Reason, "not finalised: ")
			require.Contains(t, s.Reason, "tenants [41] are in no batch of the plan")
			require.Equal(t, []string{"who is left in orders"}, p.heard(), "nothing was touched")
			finalise(t, env, migration.Command{RequestID: "two", By: "ann", SignUps: true})
		},
	})
	require.Contains(t, p.heard(), "end orders")
}

func TestAPausedMigrationIsNotFinalisedAndCanBeAfterItIsResumed(t *testing.T) {
	p := &premises{}
	var refused *error
	say := func(env *testsuite.TestWorkflowEnvironment, update, id string) {
		env.UpdateWorkflow(update, "", &testsuite.TestUpdateCallback{OnReject: func(err error) { require.NoError(t, err) },
			OnAccept: func() {}, OnComplete: func(_ any, err error) { require.NoError(t, err) }},
			migration.Command{RequestID: id, By: "bob", Reason: "wait"})
	}
	ends(t, p, map[time.Duration]func(*testsuite.TestWorkflowEnvironment, migration.MigrationStatus){
		2 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, _ migration.MigrationStatus) {
			say(env, migration.UpdatePause, "p")
		},
		3 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, _ migration.MigrationStatus) {
			refused = finalise(t, env, migration.Command{RequestID: "one", By: "ann"})
			say(env, migration.UpdateResume, "r")
		},
		4 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.Equal(t, migration.WaitOperator, s.WaitingFor)
			finalise(t, env, migration.Command{RequestID: "two", By: "ann"})
		},
	})
	require.ErrorContains(t, *refused, "is soak and paused")
	require.Contains(t, p.heard(), "end orders")
}

// No resume ends the pause of a dataset that has lost the way back. To end the way back for good is
// what is left then.
func TestAMigrationThatADatasetHasPausedCanBeFinalised(t *testing.T) {
	p := &premises{}
	var said *error
	ends(t, p, map[time.Duration]func(*testsuite.TestWorkflowEnvironment, migration.MigrationStatus){
		2 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, _ migration.MigrationStatus) {
			env.SignalWorkflow(mail.SignalPiece, mail.PieceReport{Order: mail.Order{At: env.Now().UnixNano(), N: 1}, Stop: true,
				Piece: migration.PieceStatus{Name: "orders", Phase: migration.PieceReady, Detail: "its slot is gone"}})
		},
		3 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.True(t, s.Paused)
			require.Contains(t, s.MayDo, migration.UpdateFinalise)
			require.NotContains(t, s.MayDo, migration.UpdateResume)
			said = finalise(t, env, migration.Command{RequestID: "one", By: "ann"})
		},
	})
	require.NoError(t, *said)
	require.Contains(t, p.heard(), "end orders")
}

// One batch is finalised, which is no end of the plan: databases and routes go on for the others.
func TestABatchIsFinalisedOnItsOwnAndOnce(t *testing.T) {
	p := &premises{runs: 1}
	var unknown, early, said, twice, abort *error
	ends(t, p, map[time.Duration]func(*testsuite.TestWorkflowEnvironment, migration.MigrationStatus){
		30 * time.Minute: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.False(t, s.Batches[0].MayEnd)
			early = finalise(t, env, migration.Command{RequestID: "early", By: "ann", Batch: "wave"})
			unknown = finalise(t, env, migration.Command{RequestID: "unknown", By: "ann", Batch: "surf"})
		},
		2 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.True(t, s.Batches[0].MayEnd)
			said = finalise(t, env, migration.Command{RequestID: "one", By: "ann", Reason: "CHG-1", Batch: "wave"})
		},
		2*time.Hour + 30*time.Second: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			f := s.Batches[0].Finalised
			require.NotNil(t, f)
			require.False(t, s.Batches[0].MayEnd)
			require.False(t, f.Cut.IsZero())
			require.True(t, f.Done.IsZero())
			require.Contains(t, f.Waits, "machines on premises still run")
			require.NotContains(t, s.MayDo, migration.UpdateFinalise, "the plan waits for the batch")
		},
		3 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.Equal(t, migration.MigrationSoak, s.Phase)
			f := s.Batches[0].Finalised
			require.False(t, f.Done.IsZero())
			require.Equal(t, []string{"web-01"}, f.VMs)
			require.Empty(t, f.Waits)
			require.NotContains(t, s.MayDo, migration.UpdateAbort)
			twice = finalise(t, env, migration.Command{RequestID: "two", By: "bob", Batch: "wave"})
			var refused error
			abort = &refused
			env.UpdateWorkflow(migration.UpdateAbort, "", &testsuite.TestUpdateCallback{OnReject: func(err error) { refused = err },
				OnAccept: func() {}, OnComplete: func(any, error) {}}, migration.Command{RequestID: "a", By: "bob"})
			require.NotContains(t, p.heard(), "end orders", "the others go on")
			finalise(t, env, migration.Command{RequestID: "all", By: "ann"})
		},
	})
	require.ErrorContains(t, *early, "batch wave has customers that have not ended their soak on AWS")
	require.ErrorContains(t, *unknown, "has no batch \"surf\"")
	require.NoError(t, *said)
	require.ErrorContains(t, *twice, "batch wave was finalised for ann")
	require.ErrorContains(t, *abort, "the way back of wave has ended")
	require.Equal(t, []string{"end the way back of [17] in orders", "shut down web-01", "end the way back of [17] in orders",
		"shut down web-01"}, p.heard()[:4], "what was done is done again, and changes nothing")
	require.Contains(t, p.heard(), "end orders")
}

// Whoever signed up, or was left out on purpose, may be served by the machines of a batch.
func TestMachinesStayOnWhileTenantsAreInNoBatch(t *testing.T) {
	p := &premises{apart: []int64{41}}
	ends(t, p, map[time.Duration]func(*testsuite.TestWorkflowEnvironment, migration.MigrationStatus){
		2 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, _ migration.MigrationStatus) {
			finalise(t, env, migration.Command{RequestID: "one", By: "ann", Batch: "wave"})
		},
		3 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.Equal(t, []string{"end the way back of [17] in orders"}, p.heard(), "nothing was shut down")
			f := s.Batches[0].Finalised
			require.False(t, f.Done.IsZero())
			require.Empty(t, f.VMs)
			require.Equal(t, "machines on premises stay on until the plan is finalised: they may serve tenants [41] of orders, who are "+
				"in no batch", f.Kept)
			require.Contains(t, s.MayDo, migration.UpdateFinalise, "the plan's word is still to come")
			finalise(t, env, migration.Command{RequestID: "all", By: "ann", SignUps: true})
		},
	})
	require.Contains(t, p.heard(), "shut down web-01")
}

// The user of the site may have no right to tag: the machines are off all the same.
func TestAMachineWithoutItsTagIsOff(t *testing.T) {
	p := &premises{bare: "tag VM \"web-01\": no permission"}
	ends(t, p, map[time.Duration]func(*testsuite.TestWorkflowEnvironment, migration.MigrationStatus){
		2 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, _ migration.MigrationStatus) {
			finalise(t, env, migration.Command{RequestID: "one", By: "ann", Batch: "wave"})
		},
		3 * time.Hour: func(env *testsuite.TestWorkflowEnvironment, s migration.MigrationStatus) {
			require.False(t, s.Batches[0].Finalised.Done.IsZero())
			last := s.Timeline[len(s.Timeline)-2]
			require.Equal(t, "VM web-01 is off, and could not be tagged", last.What)
			require.Equal(t, p.bare, last.Why)
			finalise(t, env, migration.Command{RequestID: "all", By: "ann"})
		},
	})
	require.Contains(t, p.heard(), "end orders")
}

// Such a plan would have no end: a customer on premises keeps it from its finalise, and a batch
// that is finalised from its abort.
func TestNoBatchIsFinalisedWhileAnybodyIsSkipped(t *testing.T) {
	m := newMigration(Input{})
	m.Spec.Plan, m.Phase, m.Names = "shop", migration.MigrationSoak, []string{"wave", "surf"}
	m.Closed = map[string]bool{"wave": true, "surf": true}
	m.Batches["wave"] = migration.BatchStatus{Counts: migration.Counts{Customers: 1, Away: 1}}
	m.Batches["surf"] = migration.BatchStatus{Counts: migration.Counts{Customers: 2, Away: 1, Skipped: 1}}
	require.ErrorContains(t, m.mayEnd("wave"), "1 customers of the plan are skipped")
	require.ErrorContains(t, m.mayEnd("wave"), "drover amend")
	m.Batches["surf"] = migration.BatchStatus{Counts: migration.Counts{Customers: 1, Away: 1}} // the amendment has taken it over
	require.NoError(t, m.mayEnd("wave"))
}

func TestAnAbortIsToldWhetherAWayBackHasEnded(t *testing.T) {
	m := newMigration(Input{})
	m.Spec.Plan, m.Phase, m.Names = "shop", migration.MigrationSoak, []string{"wave"}
	m.plan.Batches = []migration.Batch{{Name: "wave"}}
	m.Ends["wave"] = &migration.Finalised{By: "ann", Waits: "the database does not answer"}
	require.ErrorContains(t, m.allowed(migration.UpdateAbort), "the way back of wave is being ended")
	m.Ends["wave"].Cut = time.Unix(1, 0)
	require.ErrorContains(t, m.allowed(migration.UpdateAbort), "the way back of wave has ended")
}
