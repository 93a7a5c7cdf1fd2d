package workload

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/disks"
	"github.com/drover-migration/drover/activities/hooks"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// machineRoom is a site with VMs, and an account with their instances. Its exported methods are the
// activities, under the names that the workflows call.
type machineRoom struct {
	vms   []migration.VM
	found map[string]compute.FindInstanceResult // by the UUID of the VM

	mu         sync.Mutex
	refuses    int      // so many launches
	spent      bool     // a snapshot is given up while it is copied
	calls      []string // sorted: VMs are brought up at once
	registered []string
	children   []string             // their ids, sorted
	hooks      []migration.Hook     // of the plan's first revision; a later one has none
	answers    []string             // of the hook: "fails", or why it holds; then it says go on
	heard      []migration.HookCall // by the hook
	since      []time.Time          // of each call
	said       []string             // of the reports, in the mail.Order in which they came
}

func (m *machineRoom) called(what string, vm migration.VM) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, what+" "+vm.Name)
	slices.Sort(m.calls)
}

func (m *machineRoom) LoadPlan(_ context.Context, spec migration.SpecRef) (state.Plan, error) {
	hooks := m.hooks
	if spec.Revision > 1 {
		hooks = nil
	}
	return state.Plan{
		Hooks: hooks,
		Sites: []migration.Site{{Name: "dc1"}}, Targets: []migration.Target{{Name: "prod"}},
		Workloads: []migration.Workload{{Name: "web", Site: "dc1", Target: "prod", EC2: &migration.EC2{},
			Ingress: &migration.Ingress{Port: 8080}}},
	}, nil
}

func (*machineRoom) EnsureTargetGroup(context.Context, traffic.EnsureTargetGroupRequest) (traffic.TargetGroup, error) {
	return traffic.TargetGroup{ARN: "group"}, nil
}

func (m *machineRoom) ListVMs(context.Context, vsphere.ListVMsRequest) (vsphere.ListVMsResult, error) {
	return vsphere.ListVMsResult{VMs: m.vms}, nil
}

func (m *machineRoom) FindInstance(_ context.Context, req compute.FindInstanceRequest) (compute.FindInstanceResult, error) {
	return m.found[req.VM.UUID], nil
}

// snapped is when the snapshots of all machines were made.
var snapped = time.Date(2026, 12, 2, 20, 30, 0, 0, time.UTC)

func (m *machineRoom) ReplicateDisks(_ context.Context, req disks.ReplicateDisksRequest) (disks.ReplicateDisksResult, error) {
	m.called("copy from "+req.Snapshot, req.VM)
	if m.spent {
		return disks.ReplicateDisksResult{}, temporal.NewNonRetryableApplicationError("the snapshot is given up", "SnapshotSpent", nil)
	}
	return disks.ReplicateDisksResult{Disks: []migration.DiskImage{{Snapshot: "snap-" + req.VM.UUID, AsOf: snapped}}}, nil
}

func (m *machineRoom) RemoveVMSnapshot(_ context.Context, req vsphere.RemoveVMSnapshotRequest) error {
	m.called("remove snapshot "+req.Name, req.VM)
	return nil
}

func (m *machineRoom) RegisterImage(_ context.Context, req compute.RegisterImageRequest) (compute.Image, error) {
	m.called("image", req.VM)
	return compute.Image{ID: "ami-" + req.Disks[0].Snapshot}, nil
}

func (m *machineRoom) LaunchInstance(_ context.Context, req compute.LaunchInstanceRequest) (compute.Instance, error) {
	m.called("launch", req.VM)
	m.mu.Lock()
	m.refuses--
	refused := m.refuses >= 0
	m.mu.Unlock()
	if refused {
		return compute.Instance{}, temporal.NewNonRetryableApplicationError("there is no instance profile web", "NoProfile", nil)
	}
	return compute.Instance{ID: "i-" + req.VM.UUID, PrivateIP: "new-" + req.VM.UUID}, nil
}

func (m *machineRoom) RegisterTargets(_ context.Context, req traffic.RegisterTargetsRequest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.registered = append(m.registered, req.Addresses...)
	return nil
}

func (*machineRoom) AwaitTargets(context.Context, traffic.AwaitTargetsRequest) error { return nil }

func (m *machineRoom) CallHook(_ context.Context, req hooks.CallHookRequest) (hooks.CallHookResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard, m.since = append(m.heard, req.Call), append(m.since, req.Since)
	if n := len(m.heard); n <= len(m.answers) {
		if a := m.answers[n-1]; a != "fails" {
			return hooks.CallHookResult{Hold: a}, nil
		}
		return hooks.CallHookResult{}, errors.New("hook afterLaunch: the receiver answered 503")
	}
	return hooks.CallHookResult{}, nil
}

// bringUp plays the Workload, and says what it reported last.
func (m *machineRoom) bringUp(t *testing.T) migration.PieceStatus {
	t.Helper()
	env := m.temporal()
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		m.children = append(m.children, info.WorkflowExecution.ID)
		slices.Sort(m.children)
	})
	var mu sync.Mutex
	var last mail.PieceReport
	env.OnSignalExternalWorkflow(mock.Anything, migration.MigrationID("shop"), "", mail.SignalPiece,
		mock.Anything).Run(func(args mock.Arguments) {
		mu.Lock()
		defer mu.Unlock()
		m.said = append(m.said, args.Get(4).(mail.PieceReport).Piece.Detail)
		if r := args.Get(4).(mail.PieceReport); r.Order.Newer(last.Order) { // they may arrive in any order
			last = r
		}
	}).Return(nil)
	env.ExecuteWorkflow(Workload, Input{Spec: migration.SpecRef{Plan: "shop"}, Workload: "web"})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, migration.PieceReady, last.Piece.Phase)
	return last.Piece
}

// temporal is a Temporal of its own over the machine room.
func (m *machineRoom) temporal() *testsuite.TestWorkflowEnvironment {
	env := quiet()
	env.RegisterActivity(m)
	env.RegisterWorkflow(Workload)
	env.RegisterWorkflow(ReplicateVM)
	return env
}

// quiet is a Temporal of its own that logs nothing, and in which a step may take a minute.
func quiet() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	return env
}

func instance(id, address string, others ...string) compute.FindInstanceResult {
	return compute.FindInstanceResult{Instance: compute.Instance{ID: id, PrivateIP: address}, Image: "ami-1", Others: others}
}

// The plan is submitted again after its Migration was terminated: every Workload begins anew.
func TestAVMThatHasItsInstanceIsNeitherCopiedNorLaunchedAgain(t *testing.T) {
	m := &machineRoom{vms: []migration.VM{{Name: "web-01", UUID: "u1"}},
		found: map[string]compute.FindInstanceResult{"u1": instance("i-1", "10.0.0.1")}}
	last := m.bringUp(t)
	require.Empty(t, m.calls)
	require.Equal(t, []string{"10.0.0.1"}, m.registered)
	require.Empty(t, last.Detail)
}

func TestOnlyTheVMsThatHaveNoInstanceAreBroughtUp(t *testing.T) {
	m := &machineRoom{vms: []migration.VM{{Name: "web-01", UUID: "u1"}, {Name: "web-02", UUID: "u2"}},
		found: map[string]compute.FindInstanceResult{"u1": instance("i-1", "10.0.0.1")}}
	last := m.bringUp(t)
	_, _, asOf := last.Disks()
	require.Equal(t, snapped, asOf)
	require.Equal(t, []string{"copy from drover-shop web-02", "image web-02", "launch web-02", "remove snapshot drover-shop web-02"},
		m.calls)
	require.Equal(t, []string{"10.0.0.1", "new-u2"}, m.registered)
}

// What AWS refuses is a person's to correct. Meanwhile the copy that is there is kept, and made no
// second time.
func TestTheDisksOfAVMAreCopiedOnceHoweverOftenItsLaunchIsRefused(t *testing.T) {
	m := &machineRoom{vms: []migration.VM{{Name: "web-01", UUID: "u1"}}, refuses: 2}
	m.bringUp(t)
	require.Equal(t, []string{"copy from drover-shop web-01", "image web-01", "image web-01", "image web-01", "launch web-01",
		"launch web-01", "launch web-01", "remove snapshot drover-shop web-01"}, m.calls)
	require.Equal(t, []string{"new-u1"}, m.registered)
	require.Contains(t, m.said, "VM web-01: there is no instance profile web. Its disks are copied; what comes after that is tried "+
		"again in 30s")
}

func TestTheSnapshotOfACopyThatFailedIsRemoved(t *testing.T) {
	m := &machineRoom{spent: true}
	env := m.temporal()
	env.ExecuteWorkflow(ReplicateVM, VMInput{Spec: migration.SpecRef{Plan: "shop"}, Site: migration.Site{Name: "dc1"},
		VM: migration.VM{Name: "web-01", UUID: "u1"}})
	require.ErrorContains(t, env.GetWorkflowError(), "the snapshot is given up")
	require.Equal(t, []string{"copy from drover-shop web-01", "remove snapshot drover-shop web-01"}, m.calls)
}

// A launch that AWS refuses for weeks fills no history: the workload goes on as new, with the
// copies that it has, once nothing of it is under way.
func TestAWorkloadWhoseLaunchIsRefusedForWeeksGoesOnAsNewWithItsCopies(t *testing.T) {
	m := &machineRoom{vms: []migration.VM{{Name: "web-01", UUID: "u1"}, {Name: "web-02", UUID: "u2"}}, refuses: 1000}
	env := m.temporal()
	env.OnSignalExternalWorkflow(mock.Anything, migration.MigrationID("shop"), "", mail.SignalPiece, mock.Anything).Return(nil)
	env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, 24*time.Hour)
	env.ExecuteWorkflow(Workload, Input{Spec: migration.SpecRef{Plan: "shop"}, Workload: "web"})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	var in Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	require.Len(t, in.Copied, 2)

	env = m.temporal()
	env.OnSignalExternalWorkflow(mock.Anything, migration.MigrationID("shop"), "", mail.SignalPiece, mock.Anything).Return(nil)
	m.refuses = 1
	env.ExecuteWorkflow(Workload, in)
	require.NoError(t, env.GetWorkflowError())
	copies := slices.DeleteFunc(slices.Clone(m.calls), func(c string) bool { return !strings.HasPrefix(c, "copy ") })
	require.Equal(t, []string{"copy from drover-shop web-01", "copy from drover-shop web-02"}, copies)
	require.Equal(t, []string{"new-u1", "new-u2"}, m.registered)
}

func TestAWorkloadSaysWhichInstancesItDoesNotUse(t *testing.T) {
	m := &machineRoom{vms: []migration.VM{{Name: "web-01", UUID: "u1"}},
		found: map[string]compute.FindInstanceResult{"u1": instance("i-1", "10.0.0.1", "i-2", "i-3")}}
	last := m.bringUp(t)
	require.Equal(t, []string{"10.0.0.1"}, m.registered)
	require.Equal(t, "VM web-01 has instance i-1 and also i-2, i-3: the first, which is the oldest, is used; terminate the others and "+
		"take them out of the target group", last.Detail)
}

func TestTwoVMsOfOneNameAreCopiedApartAndFromADatasetOfThatName(t *testing.T) {
	m := &machineRoom{vms: []migration.VM{{Name: "orders", Folder: "old", UUID: "u1"}, {Name: "orders", Folder: "new", UUID: "u2"}}}
	m.bringUp(t)
	require.Equal(t, []string{migration.DisksID("shop", "u1"), migration.DisksID("shop", "u2")}, m.children)
	require.NotContains(t, m.children, migration.ReplicationID("shop", "orders"))
	require.Equal(t, []string{"new-u1", "new-u2"}, m.registered)
}

// Nobody is served by machines of which the plan's hook has not said go on.
func TestAWorkloadIsReadyWhenItsHookSaysSo(t *testing.T) {
	room := func(answers ...string) *machineRoom {
		return &machineRoom{vms: []migration.VM{{Name: "web-01", UUID: "u1"}}, answers: answers, hooks: []migration.Hook{
			{Event: migration.HookAfterLaunch, Timeout: migration.Duration(time.Second), Webhook: &migration.WebhookChannel{}}}}
	}
	m := room("fails", "it has not joined the domain")
	m.bringUp(t)
	require.Len(t, m.heard, 3)
	require.Equal(t, "web", m.heard[0].Workload)
	require.Equal(t, m.heard[0].Key(), m.heard[2].Key())
	require.Equal(t, m.since[0], m.since[1], "a document that did not end is waited for")
	require.Less(t, m.since[1], m.since[2], "one that held has ended, and is run anew")
	said := strings.Join(m.said, "\n")
	const runs = "What it launched runs, and is healthy; the hook is called again in "
	require.Contains(t, said, "hook afterLaunch: the receiver answered 503. "+runs+"30s")
	require.Contains(t, said, "hook afterLaunch holds it: it has not joined the domain. "+runs+"1m0s")

	again := room()
	again.found = map[string]compute.FindInstanceResult{"u1": instance("i-u1", "new-u1")}
	again.bringUp(t)
	require.Equal(t, m.heard[0].Key(), again.heard[0].Key(), "the same machines, when the plan is submitted again")
	other := room()
	other.found = map[string]compute.FindInstanceResult{"u1": instance("i-9", "10.0.0.9")}
	other.bringUp(t)
	require.NotEqual(t, m.heard[0].Key(), other.heard[0].Key())

	elsewhere := room()
	elsewhere.hooks[0].Webhook, elsewhere.hooks[0].SSM = nil, &migration.SSMDocument{Workloads: []string{"jobs"}}
	elsewhere.bringUp(t)
	require.Empty(t, elsewhere.heard)
}

// A hook that holds a workload is passed over by no command to a customer: an amendment that takes
// it out of the plan ends the hold.
func TestAWorkloadThatItsHookHoldsGoesOnWhenAnAmendmentHasTakenTheHookOut(t *testing.T) {
	m := &machineRoom{vms: []migration.VM{{Name: "web-01", UUID: "u1"}}, answers: slices.Repeat([]string{"it has not joined"}, 1000),
		hooks: []migration.Hook{{Event: migration.HookAfterLaunch, Timeout: migration.Duration(time.Second),
			Webhook: &migration.WebhookChannel{}}}}
	env := m.temporal()
	var said []string
	env.OnSignalExternalWorkflow(mock.Anything, migration.MigrationID("shop"), "", mail.SignalPiece, mock.Anything).Run(
		func(args mock.Arguments) {
			p := args.Get(4).(mail.PieceReport).Piece
			said = append(said, string(p.Phase)+" "+p.Detail)
		}).Return(nil)
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(mail.SignalAsk, mail.Ask{Belongs: mail.Belongs{Revision: migration.Revision{Revision: 2, Digest: "second"}}})
	}, time.Hour)
	begun := env.Now()
	env.ExecuteWorkflow(Workload, Input{Spec: migration.SpecRef{Plan: "shop"}, Workload: "web"})
	require.NoError(t, env.GetWorkflowError())
	require.Contains(t, strings.Join(said, "\n"), "hook afterLaunch holds it: it has not joined. What it launched runs, and is healthy; "+
		"the hook is called again in 30s. It goes on when the hook says so, or `drover amend` has taken the hook out of the plan")
	require.Equal(t, time.Hour, env.Now().Sub(begun).Truncate(time.Minute), "at once")
	require.Greater(t, len(m.heard), 5)
}

func TestAWorkloadWhoseHookHoldsForWeeksGoesOnAsNew(t *testing.T) {
	m := &machineRoom{vms: []migration.VM{{Name: "web-01", UUID: "u1"}}, answers: slices.Repeat([]string{"fails"}, 10_000),
		hooks: []migration.Hook{{Event: migration.HookAfterLaunch, Timeout: migration.Duration(time.Second),
			Webhook: &migration.WebhookChannel{}}}}
	env := m.temporal()
	env.OnSignalExternalWorkflow(mock.Anything, migration.MigrationID("shop"), "", mail.SignalPiece, mock.Anything).Return(nil)
	env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, 24*time.Hour)
	env.ExecuteWorkflow(Workload, Input{Spec: migration.SpecRef{Plan: "shop"}, Workload: "web"})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	require.Greater(t, len(m.heard), 100)
}
