// Package check asks before anything is touched: what the sites hold, and whether a plan can work.
// It only reads.
package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Report is everything preflight found, blockers and warnings.
type Report struct {
	Findings []migration.Finding `json:"findings"`
}

// Preflight asks every system a plan names whether the migration can work, all of them, before
// anything is touched.
func Preflight(ctx workflow.Context, ref migration.SpecRef) (Report, error) {
	var plan state.Plan
	l := work.Question.In(ctx, "read the plan")
	if err := workflow.ExecuteActivity(l, work.State.LoadPlan, ref).Get(l, &plan); err != nil {
		return Report{}, err
	}
	p := preflight{ref: ref, plan: plan}
	for _, check := range []func(workflow.Context) ([]migration.Finding, error){p.machines, p.targets, p.databases, p.files, p.routes,
		p.hooks, p.evidence, p.requests} {
		found, err := check(ctx)
		if err != nil {
			return Report{}, err
		}
		p.found = append(p.found, found...)
	}
	return Report{Findings: p.found}, nil
}

type preflight struct {
	ref   migration.SpecRef
	plan  state.Plan
	found []migration.Finding
	looks bool // nothing may be written, nor tried and rolled back
}

// machines wants every selected VM to be there, in one workload, and none of them blocked.
func (p *preflight) machines(ctx workflow.Context) (found []migration.Finding, err error) {
	var owned owners
	silent := map[string]bool{} // sites whose vCenter gave its reason: asked again, it gives the same
	for _, w := range p.plan.Workloads {
		if !w.OnVMs() || silent[w.Site] {
			continue
		}
		vms, err := listVMs(ctx, p.plan.Site(w.Site), w.VMs)
		var mistake *temporal.ApplicationError
		switch {
		case err == nil:
		// that a vCenter cannot be read is what a preflight is for, and others have their findings
		// too
		case errors.As(err, &mistake) && mistake.NonRetryable():
			silent[w.Site] = true
			found = append(found, migration.Finding{
				Severity: migration.Blocker, Check: "vcenter-inventory", Subject: "site " + w.Site, Reason: mistake.Message(),
				Remedy: "correct the site in the plan, its secret, or what its user may read, and submit the plan again",
			})
			continue
		default:
			return nil, err
		}
		seen := map[string][]string{} // folders by name
		for _, vm := range vms {
			seen[vm.Name] = append(seen[vm.Name], vm.Folder)
			owned.add(w, vm)
			if w.RunsDisks() { // what a disk cannot give away does not matter to a workload that leaves its disks behind
				found = append(found, vm.Findings...)
			}
		}
		for _, name := range w.VMs.Names {
			switch folders := seen[name]; {
			case len(folders) == 0:
				found = append(found, missing("workload "+w.Name, "VM "+name+" is not in the inventory of site "+w.Site))
			case len(folders) > 1:
				found = append(found, migration.Finding{
					Severity: migration.Blocker, Check: "vm-name-twice", Subject: "workload " + w.Name,
					Reason: fmt.Sprintf("site %s has %d VMs named %s, in the folders %s", w.Site, len(folders), name,
						strings.Join(folders, ", ")),
					Remedy: "say which by vms.match.folder, or rename the others",
				})
			}
		}
		if len(vms) == 0 && len(w.VMs.Names) == 0 {
			found = append(found, missing("workload "+w.Name, "no VM of site "+w.Site+" matches"))
		}
	}
	return append(found, owned.shared()...), nil
}

// owners are the VMs that were seen, each with the workloads that select it.
type owners []*owned

type owned struct {
	uuid, site, ref, name string
	workloads             []string
}

func (o *owners) add(w migration.Workload, vm migration.VM) {
	for _, m := range *o {
		if m.site == w.Site && m.ref == vm.Ref {
			m.workloads = append(m.workloads, w.Name)
			return
		}
	}
	*o = append(*o, &owned{uuid: vm.UUID, site: w.Site, ref: vm.Ref, name: vm.Name, workloads: []string{w.Name}})
}

// shared are VMs that would be copied and launched more than once, and such that cannot be told
// apart.
func (o owners) shared() (found []migration.Finding) {
	block := func(check, vm, remedy, reason string, args ...any) {
		found = append(found, migration.Finding{Severity: migration.Blocker, Check: check, Subject: "vm " + vm,
			Reason: fmt.Sprintf(reason, args...), Remedy: remedy})
	}
	by := map[string]*owned{}
	for _, m := range o {
		if n := len(m.workloads); n > 1 {
			block("vm-in-several-workloads", m.name, "a VM moves once: leave it to one of them, by its vms.names or a narrower vms.match",
				"VM %s of site %s belongs to workloads %s and %s", m.name, m.site, strings.Join(m.workloads[:n-1], ", "), m.workloads[n-1])
		}
		if other := by[m.uuid]; other != nil && m.uuid != "" {
			block("vm-uuid-twice", m.name, "name one VM through one site only; if they are two, give one another instance UUID in "+
				"vCenter: its copy and its instance are found by it",
				"VM %s of site %s has the instance UUID of VM %s of site %s: %s", m.name, m.site, other.name, other.site, m.uuid)
		}
		by[m.uuid] = m
	}
	return found
}

func missing(subject, why string) migration.Finding {
	return migration.Finding{Severity: migration.Blocker, Check: "vm-missing", Subject: subject, Reason: why,
		Remedy: "correct the plan's vms, or see `drover inventory`"}
}

func (p *preflight) targets(ctx workflow.Context) (found []migration.Finding, err error) {
	for _, t := range p.plan.Targets {
		var mine []migration.Workload
		for _, w := range p.plan.Workloads {
			if w.Target == t.Name {
				mine = append(mine, w)
			}
		}
		var r compute.CheckComputeResult
		l := work.Question.In(ctx, "check target "+t.Name)
		err := workflow.ExecuteActivity(l, work.Compute.CheckCompute, compute.CheckComputeRequest{Target: t, Workloads: mine}).Get(l, &r)
		if r.Findings, err = answered(err, "target", "target "+t.Name, r.Findings); err != nil {
			return nil, err
		}
		found = append(found, r.Findings...)
	}
	return found, nil
}

// movesAtOnce are how many customers of a plan may be on their way at a time: batches go one after
// another, and all of them may be taken back at once.
func movesAtOnce(plan state.Plan) (going, back int) {
	customers := 0
	for _, b := range plan.Batches {
		g, h := b.Slots(plan.Policy)
		going, back, customers = max(going, g), max(back, h), customers+len(b.Customers)
	}
	// Those of the batch with the most are shared, and each other batch may have one more.
	return going, min(back+max(0, len(plan.Batches)-1), customers)
}

func (p *preflight) databases(ctx workflow.Context) (found []migration.Finding, err error) {
	going, back := movesAtOnce(p.plan)
	for _, d := range p.plan.Datasets {
		if d.Postgres == nil {
			continue
		}
		var r postgres.CheckPostgresResult
		s := work.Survey.At(ctx, d.Site(), "check "+d.Name)
		req := postgres.CheckPostgresRequest{PostgresRef: postgres.PostgresRef{Plan: p.ref.Plan, Dataset: d,
			Target: p.plan.Target(d.Target())}, Tenants: p.plan.Tenants[d.Name], Looks: p.looks}
		req.Moves.Going, req.Moves.Back = going, back
		err := workflow.ExecuteActivity(s, work.Postgres.CheckPostgres, req).Get(s, &r)
		if r.Findings, err = answered(err, "postgres", "dataset "+d.Name, r.Findings); err != nil {
			return nil, err
		}
		found = append(found, r.Findings...)
	}
	return found, nil
}

func (p *preflight) files(ctx workflow.Context) (found []migration.Finding, err error) {
	for _, d := range p.plan.Datasets {
		if d.Files == nil {
			continue
		}
		var list state.FileCustomers
		l := work.Question.In(ctx, "customers of "+d.Name)
		if err := workflow.ExecuteActivity(l, work.State.ListFileCustomers,
			state.ListFileCustomersRequest{Spec: p.ref, Dataset: d.Name}).Get(l, &list); err != nil {
			return nil, err
		}
		var customers []migration.Customer
		for _, c := range list.Customers {
			customers = append(customers, migration.Customer{ID: c.ID})
		}
		var r files.CheckFilesResult
		s := work.Survey.At(ctx, d.Site(), "check "+d.Name)
		err := workflow.ExecuteActivity(s, work.Files.CheckFiles,
			files.CheckFilesRequest{Dataset: d, Target: p.plan.Target(d.Target()), Customers: customers}).Get(s, &r)
		if r.Findings, err = answered(err, "files", "dataset "+d.Name, r.Findings); err != nil {
			return nil, err
		}
		found = append(found, r.Findings...)
	}
	return found, nil
}

func (p *preflight) routes(ctx workflow.Context) ([]migration.Finding, error) {
	if !p.plan.Routed {
		return nil, nil
	}
	var r traffic.CheckRouteResult
	l := work.Question.In(ctx, "check the routes")
	err := workflow.ExecuteActivity(l, work.Traffic.CheckRoute, traffic.CheckRouteRequest{Spec: p.ref}).Get(l, &r)
	return answered(err, "route", "the routes", r.Findings)
}

// answered is what a check has found. An error that trying again does not cure, such as a missing
// permission, is an answer too: it is said with everything else that was found.
func answered(err error, check, subject string, found []migration.Finding) ([]migration.Finding, error) {
	var mistake *temporal.ApplicationError
	if errors.As(err, &mistake) && mistake.NonRetryable() {
		return []migration.Finding{{Severity: migration.Blocker, Check: check, Subject: subject, Reason: mistake.Message(),
			Remedy: "mend what the reason names, and submit the plan again"}}, nil
	}
	return found, err
}

// hooks wants what the plan has called to be there, as the worker that will call it sees it: the
// main worker, and inside a freeze each site's that has a database.
func (p *preflight) hooks(ctx workflow.Context) (found []migration.Finding, err error) {
	if len(p.plan.Hooks) == 0 {
		return nil, nil
	}
	l := work.Question.In(ctx, "check the hooks")
	err = workflow.ExecuteActivity(l, work.Hooks.CheckHooks, p.ref).Get(l, &found)
	if found, err = answered(err, "hooks", "the hooks", found); err != nil {
		return nil, err
	}
	var frozen []migration.Hook
	for _, h := range p.plan.Hooks {
		if h.Event.Frozen() {
			frozen = append(frozen, h)
		}
	}
	if frozen == nil {
		return found, nil
	}
	var sites []string
	for _, d := range p.plan.Datasets {
		if d.Postgres != nil && !slices.Contains(sites, d.Site()) {
			sites = append(sites, d.Site())
		}
	}
	for _, site := range sites {
		var there []migration.Finding
		s := work.Survey.At(ctx, site, "check the hooks that are called inside a freeze")
		err := workflow.ExecuteActivity(s, work.Freezer.CheckFreezeHooks, freeze.CheckFreezeHooksRequest{Hooks: frozen}).Get(s, &there)
		if there, err = answered(err, "hooks", "the hooks inside a freeze", there); err != nil {
			return nil, err
		}
		for _, f := range there {
			f.Subject += " at site " + site
			found = append(found, f)
		}
	}
	return found, nil
}

// evidence wants a key that can sign: at the end of a batch it would be too late.
func (p *preflight) evidence(ctx workflow.Context) (found []migration.Finding, err error) {
	if !p.plan.Evidence {
		return nil, nil
	}
	l := work.Question.In(ctx, "check the key of the evidence")
	err = workflow.ExecuteActivity(l, work.Evidence.CheckKey, p.ref).Get(l, &found)
	return answered(err, "evidence", "the key of the evidence", found)
}

// requests wants those who count the requests of users to answer.
func (p *preflight) requests(ctx workflow.Context) (found []migration.Finding, err error) {
	if !p.plan.Counted {
		return nil, nil
	}
	l := work.Question.In(ctx, "ask who counts the requests of users")
	err = workflow.ExecuteActivity(l, work.Health.CheckRequests, p.ref).Get(l, &found)
	return answered(err, "requests", "health.requests", found)
}
