package workflows_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/check"
	whole "github.com/drover-migration/drover/workflows/migration"
)

// systems are what a preflight asks. Its exported methods are the activities, under the names that
// the workflows call.
type systems struct {
	plan  state.Plan
	vms   map[string][]migration.VM // by site
	wrong map[string][]error        // what a site's vCenter answers first
	asked []string                  // sites

	database []migration.Finding
	denied   error               // what AWS answers
	hooks    []migration.Finding // as each worker that calls one finds
	called   []string            // from where they are called
	counted  int                 // questions to those who count requests
}

func (s *systems) CheckRequests(context.Context, migration.SpecRef) ([]migration.Finding, error) {
	s.counted++
	return []migration.Finding{{Severity: migration.Warning, Check: "requests-not-counted"}}, nil
}

func (s *systems) CheckHooks(context.Context, migration.SpecRef) ([]migration.Finding, error) {
	s.called = append(s.called, "main")
	return s.hooks, s.denied
}

func (s *systems) CheckFreezeHooks(ctx context.Context, req freeze.CheckFreezeHooksRequest) ([]migration.Finding, error) {
	s.called = append(s.called, activity.GetInfo(ctx).TaskQueue)
	if len(req.Hooks) != 1 || req.Hooks[0].Event != migration.HookBeforeSeal {
		return nil, errPermanent
	}
	return s.hooks, s.denied
}

func (s *systems) LoadPlan(context.Context, migration.SpecRef) (state.Plan, error) {
	return s.plan, nil
}

// ListVMs knows names and folders.
func (s *systems) ListVMs(_ context.Context, req vsphere.ListVMsRequest) (out vsphere.ListVMsResult, err error) {
	s.asked = append(s.asked, req.Site.Name)
	if answers := s.wrong[req.Site.Name]; len(answers) > 0 {
		s.wrong[req.Site.Name] = answers[1:]
		return out, answers[0]
	}
	for _, vm := range s.vms[req.Site.Name] {
		if sel := req.Selector; len(sel.Names) > 0 && slices.Contains(sel.Names, vm.Name) || len(sel.Names) == 0 &&
			sel.Folder == vm.Folder {
			out.VMs = append(out.VMs, vm)
		}
	}
	return out, nil
}

func (s *systems) CheckCompute(context.Context, compute.CheckComputeRequest) (compute.CheckComputeResult, error) {
	return compute.CheckComputeResult{}, s.denied
}

func (s *systems) CheckPostgres(context.Context, postgres.CheckPostgresRequest) (postgres.CheckPostgresResult, error) {
	return postgres.CheckPostgresResult{Findings: s.database}, nil
}

func (s *systems) CheckRoute(context.Context, traffic.CheckRouteRequest) (traffic.CheckRouteResult, error) {
	return traffic.CheckRouteResult{}, s.denied
}

// errTouched ends a migration that has begun to change something.
var errTouched = temporal.NewNonRetryableApplicationError("the routes are recorded", "Touched", nil)

func (*systems) RecordRoute(context.Context, traffic.RecordRouteRequest) error { return errTouched }

func (s *systems) SaveSpec(_ context.Context, req state.SaveSpecRequest) (state.SavedSpec, error) {
	return state.SavedSpec{SpecRef: migration.SpecRef{Plan: req.Spec.Plan}}, nil
}

// twoSites have a workload each, and a third of both kinds of machine.
func twoSites() *systems {
	return &systems{
		plan: state.Plan{
			Sites: []migration.Site{{Name: "dc1"}, {Name: "dc2"}}, Targets: []migration.Target{{Name: "prod"}},
			Workloads: []migration.Workload{
				{Name: "web", Site: "dc1", Target: "prod", EC2: &migration.EC2{}, VMs: migration.VMSelector{Names: []string{"web-01"}}},
				{Name: "api", Site: "dc2", Target: "prod", EC2: &migration.EC2{}, VMs: migration.VMSelector{Names: []string{"web-01"}}},
			},
		},
		vms: map[string][]migration.VM{
			"dc1": {{Name: "web-01", Ref: "vm-1", UUID: "u1", Folder: "shop"}},
			"dc2": {{Name: "web-01", Ref: "vm-1", UUID: "u2", Folder: "shop"}},
		},
	}
}

func (s *systems) preflight(t *testing.T) []migration.Finding {
	t.Helper()
	env := newEnvironment()
	env.RegisterActivity(s)
	env.RegisterWorkflow(check.Preflight)
	env.ExecuteWorkflow(check.Preflight, migration.SpecRef{Plan: "shop"})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	var report check.Report
	require.NoError(t, env.GetWorkflowResult(&report))
	return report.Findings
}

func TestTwoSitesMayHaveAVMOfOneName(t *testing.T) {
	require.Empty(t, twoSites().preflight(t))
}

func TestAVMThatIsNamedInOneWorkloadAndMatchedByOthersBlocks(t *testing.T) {
	s := twoSites()
	folder := migration.VMSelector{Folder: "shop"}
	s.plan.Workloads = append(s.plan.Workloads,
		migration.Workload{Name: "batch", Site: "dc1", Target: "prod", EC2: &migration.EC2{}, VMs: folder},
		migration.Workload{Name: "jobs", Site: "dc1", Target: "prod", Fargate: &migration.Fargate{}, VMs: folder})
	require.Equal(t, []migration.Finding{{
		Severity: migration.Blocker, Check: "vm-in-several-workloads", Subject: "vm web-01", Reason: "VM web-01 of site dc1 belongs to " +
			"workloads web, batch and jobs",
		Remedy: "a VM moves once: leave it to one of them, by its vms.names or a narrower vms.match",
	}}, s.preflight(t))
}

func TestANameThatTwoVMsHaveBlocks(t *testing.T) {
	s := twoSites()
	s.vms["dc1"] = append(s.vms["dc1"], migration.VM{Name: "web-01", Ref: "vm-9", UUID: "u9", Folder: "archive"})
	require.Equal(t, []migration.Finding{{
		Severity: migration.Blocker, Check: "vm-name-twice", Subject: "workload web", Reason: "site dc1 has 2 VMs named web-01, in the " +
			"folders shop, archive",
		Remedy: "say which by vms.match.folder, or rename the others",
	}}, s.preflight(t))
}

func TestTwoVMsOfOneUUIDBlock(t *testing.T) {
	s := twoSites()
	s.vms["dc2"][0].UUID = "u1"
	found := s.preflight(t)
	require.Len(t, found, 1)
	require.Equal(t, migration.Blocker, found[0].Severity)
	require.Equal(t, "VM web-01 of site dc2 has the instance UUID of VM web-01 of site dc1: u1", found[0].Reason)
}

// everything is twoSites with a database, routes and a customer.
func everything() *systems {
	s := twoSites()
	s.plan.Routed = true
	s.plan.Batches = []migration.Batch{{Name: "canary", Customers: []string{"acme"}}}
	s.plan.Datasets = []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{Site: "dc1", Target: "prod"}}}
	return s
}

// migrate plays a Migration to the first change that it makes, and says why it ended and which
// activities and workflows it had begun.
func (s *systems) migrate(t *testing.T) (activities, children []string, end error) {
	t.Helper()
	env := newEnvironment()
	env.RegisterActivity(s)
	env.RegisterWorkflow(whole.Migration)
	env.RegisterWorkflow(check.Preflight)
	for _, name := range []string{"Customer", "Workload", "Replication", "Batch"} {
		env.RegisterWorkflowWithOptions(func(workflow.Context, any) error { return nil }, workflow.RegisterOptions{Name: name})
	}
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		activities = append(activities, info.ActivityType.Name)
	})
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		children = append(children, info.WorkflowType.Name)
	})
	env.ExecuteWorkflow(whole.Migration, whole.Input{MigrationInput: migration.MigrationInput{Spec: &migration.Spec{Plan: "shop"}}})
	require.True(t, env.IsWorkflowCompleted())
	slices.Sort(activities)
	slices.Sort(children)
	return slices.Compact(activities), slices.Compact(children), env.GetWorkflowError()
}

func TestABlockedVMStopsTheMigrationBeforeAnythingIsTouched(t *testing.T) {
	s := everything()
	s.vms["dc1"][0].Findings = []migration.Finding{
		{Severity: migration.Warning, Check: "efi", Subject: "vm web-01", Reason: "it boots by UEFI"},
		{Severity: migration.Blocker, Check: "vm-encrypted", Subject: "vm web-01",
			Reason: "an encrypted machine's disks are read encrypted", Remedy: "decrypt it, or copy it from inside"},
	}
	activities, children, end := s.migrate(t)
	require.ErrorContains(t, end, "preflight: ")
	require.ErrorContains(t, end, "vm web-01: an encrypted machine's disks are read encrypted")
	require.ErrorContains(t, end, "decrypt it, or copy it from inside")
	require.NotContains(t, end.Error(), "UEFI", "a warning stops nothing")
	require.Equal(t, []string{"CheckCompute", "CheckPostgres", "CheckRoute", "ListVMs", "LoadPlan", "SaveSpec"}, activities,
		"the plan is stored, and the rest only reads")
	require.Equal(t, []string{"Batch", "Preflight"}, children, "batches show their customers from the first minute, and nothing is "+
		"brought up")
}

func TestAVMWithAWarningIsMigrated(t *testing.T) {
	s := everything()
	s.vms["dc1"][0].Findings = []migration.Finding{{Severity: migration.Warning, Check: "efi", Subject: "vm web-01",
		Reason: "it boots by UEFI"}}
	activities, _, end := s.migrate(t)
	require.ErrorContains(t, end, errTouched.Error())
	require.Contains(t, activities, "RecordRoute")
}

func TestASiteWhoseVCenterCannotBeReadIsAFindingAmongTheOthers(t *testing.T) {
	s := everything()
	web := s.plan.Workloads[0]
	web.Name = "batch"
	s.plan.Workloads = append(s.plan.Workloads, web)
	refused := temporal.NewNonRetryableApplicationError(`site "dc1": vCenter refused the credentials: correct the secret env://VSPHERE`,
		"Credentials", nil)
	s.wrong = map[string][]error{"dc1": {refused, refused}}
	s.vms["dc2"][0].Findings = []migration.Finding{{Severity: migration.Blocker, Check: "vm-encrypted", Subject: "vm web-01"}}
	s.database = []migration.Finding{{Severity: migration.Blocker, Check: "postgres-version", Subject: "dataset orders"}}
	found := s.preflight(t)
	require.Len(t, found, 3)
	require.Equal(t, migration.Finding{
		Severity: migration.Blocker, Check: "vcenter-inventory", Subject: "site dc1",
		Reason: `site "dc1": vCenter refused the credentials: correct the secret env://VSPHERE`,
		Remedy: "correct the site in the plan, its secret, or what its user may read, and submit the plan again",
	}, found[0])
	require.Equal(t, "vm-encrypted", found[1].Check, "of the other site")
	require.Equal(t, "postgres-version", found[2].Check)
	require.Equal(t, []string{"dc1", "dc2"}, s.asked, "not once for each workload")
}

func TestAPermissionThatAnAccountDeniesIsAFindingAmongTheOthers(t *testing.T) {
	s := everything()
	s.database = []migration.Finding{{Severity: migration.Blocker, Check: "postgres-version", Subject: "dataset orders"}}
	s.denied = temporal.NewNonRetryableApplicationError("describe listener l: AccessDenied", "AccessDenied", nil)
	found := s.preflight(t)
	require.Len(t, found, 3)
	for i, subject := range []string{"target prod", "dataset orders", "the routes"} {
		require.Equal(t, migration.Blocker, found[i].Severity)
		require.Equal(t, subject, found[i].Subject)
	}
	require.Equal(t, "describe listener l: AccessDenied", found[2].Reason)
}

func TestAPermissionThatTheCheckOfHooksLacksIsAFindingAmongTheOthers(t *testing.T) {
	s := everything()
	s.database = []migration.Finding{{Severity: migration.Blocker, Check: "postgres-version", Subject: "dataset orders"}}
	s.denied = temporal.NewNonRetryableApplicationError("describe document join: AccessDenied", "AccessDenied", nil)
	s.plan.Hooks = []migration.Hook{{Event: migration.HookBeforeSeal}}
	var subjects []string
	for _, f := range s.preflight(t) {
		if f.Check == "hooks" {
			require.Equal(t, migration.Blocker, f.Severity)
			require.Equal(t, "describe document join: AccessDenied", f.Reason)
			require.NotEmpty(t, f.Remedy)
		}
		subjects = append(subjects, f.Subject)
	}
	require.Contains(t, subjects, "the hooks")
	require.Contains(t, subjects, "the hooks inside a freeze at site dc1")
	require.Contains(t, subjects, "dataset orders", "it ends nothing")
	require.Contains(t, subjects, "the routes")
}

func TestAVCenterThatDoesNotAnswerYetIsAskedAgain(t *testing.T) {
	s := twoSites()
	s.wrong = map[string][]error{"dc1": {errNetwork, errNetwork}}
	require.Empty(t, s.preflight(t))
	require.Equal(t, []string{"dc1", "dc1", "dc1", "dc2"}, s.asked)
}

// Each hook is looked at by the worker that will call it.
func TestHooksAreCheckedFromWhereTheyAreCalled(t *testing.T) {
	s := everything()
	s.plan.Datasets = append(s.plan.Datasets, migration.Dataset{Name: "audit", Postgres: &migration.Postgres{Site: "dc2", Target: "prod"}})
	require.Empty(t, s.preflight(t))
	require.Empty(t, s.called, "a plan without hooks asks nobody")
	s.plan.Hooks = []migration.Hook{{Event: migration.HookBeforeSeal}, {Event: migration.HookAfterOpen}}
	s.hooks = []migration.Finding{{Severity: migration.Blocker, Check: "hook-unreachable", Subject: "hook beforeSeal"}}
	found := s.preflight(t)
	require.Len(t, found, 3)
	require.Equal(t, "hook beforeSeal", found[0].Subject)
	require.Equal(t, "hook beforeSeal at site dc1", found[1].Subject)
	require.Equal(t, "hook beforeSeal at site dc2", found[2].Subject)
	require.Equal(t, []string{"main", migration.SiteQueue("dc1"), migration.SiteQueue("dc2")}, s.called)
}

func TestThoseWhoCountRequestsAreAskedWhereThePlanNamesThem(t *testing.T) {
	s := twoSites()
	require.Empty(t, s.preflight(t))
	require.Zero(t, s.counted)
	s.plan.Counted = true
	found := s.preflight(t)
	require.Len(t, found, 1)
	require.Empty(t, migration.Blockers(found), "nobody's Move waits for a number")
	require.Equal(t, 1, s.counted)
}
