package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Preview says what a plan would do, in the order in which Migration would do it, with the checks
// and questions that execution uses. The plan travels with it: nothing is stored, and nothing is
// changed.
func Preview(ctx workflow.Context, in migration.PreviewInput) (migration.PreviewReport, error) {
	if in.Spec == nil {
		return migration.PreviewReport{}, temporal.NewNonRetryableApplicationError("preview: no plan was given", "BadRequest", nil)
	}
	v := &preview{spec: in.Spec, ref: in.Spec.Inline(), vms: map[string][]migration.VM{}, standing: map[string]int{}}
	if err := v.preflight(ctx); err != nil {
		return v.report, err
	}
	found := look(ctx, v.ref, in.Spec, in.Copying, false)
	v.report.Things = found.things
	v.report.Unseen = append(v.report.Unseen, found.unseen...)
	v.measure(ctx)
	v.steps()
	return v.report, nil
}

type preview struct {
	spec     *migration.Spec
	ref      migration.SpecRef
	vms      map[string][]migration.VM // by workload
	standing map[string]int            // databases of a dataset in which Drover's schema stands
	report   migration.PreviewReport
}

// preflight asks what the migration would ask first. What would write is left out, and named.
func (v *preview) preflight(ctx workflow.Context) error {
	var plan state.Plan
	l := work.Question.In(ctx, "read the plan")
	if err := workflow.ExecuteActivity(l, work.State.LoadPlan, v.ref).Get(l, &plan); err != nil {
		return err
	}
	p := preflight{ref: v.ref, plan: plan, looks: true}
	for _, check := range []func(workflow.Context) ([]migration.Finding, error){p.machines, p.targets, p.databases, p.files, p.routes,
		p.hooks, p.evidence} {
		found, err := check(ctx)
		if err != nil {
			return err
		}
		v.report.Findings = append(v.report.Findings, found...)
	}
	for _, d := range v.spec.Datasets {
		if d.Postgres != nil {
			v.report.LeftOut = append(v.report.LeftOut, "postgres-connectivity of "+d.Name+": whether each server reaches the other is "+
				"tried by a subscription that is rolled back; preflight does it when the plan is submitted")
		}
	}
	return nil
}

// measure reads what would be copied, and how long each customer would be closed.
func (v *preview) measure(ctx workflow.Context) {
	for _, w := range v.spec.Workloads {
		site, _ := v.spec.Site(w.Site)
		if site.VSphere == nil || !w.RunsDisks() {
			continue
		}
		vms, err := listVMs(ctx, site, w.VMs)
		if err != nil {
			v.report.Unseen = append(v.report.Unseen, "site "+site.Name+": "+work.Reason(err))
			continue
		}
		v.vms[w.Name] = vms
		for _, vm := range vms {
			v.report.Sizings = append(v.report.Sizings, migration.SizingOf(w.Name, w.EC2.InstanceType, vm))
			for _, d := range vm.Disks {
				v.report.Sizes = append(v.report.Sizes, migration.PreviewSize{What: fmt.Sprintf("disk %s of VM %s", d.Label, vm.Name),
					Bytes: d.Bytes})
			}
		}
	}
	freezes := map[string]*migration.PreviewCustomer{}
	for _, b := range v.spec.Batches {
		for _, id := range b.Customers {
			freezes[id] = &migration.PreviewCustomer{ID: id, Batch: b.Name}
		}
	}
	for _, d := range v.spec.Datasets {
		if d.Postgres != nil {
			v.measureRows(ctx, d, freezes)
		}
	}
	var hooks migration.Duration // as the plan predicts them
	for _, h := range migration.FrozenHooks(v.spec.Hooks, migration.AWS) {
		hooks += h.Takes
	}
	for _, b := range v.spec.Batches {
		for _, id := range b.Customers {
			c := freezes[id]
			c.Late = v.late(id)
			if c.Freeze > 0 {
				c.Freeze += hooks
			}
			c.Over = c.Freeze > v.spec.Policy.FreezeBudget
			if c.Refused = c.Freeze > v.spec.Policy.Patience; !c.Refused {
				c.Stall = c.Freeze
			}
			v.report.Customers = append(v.report.Customers, *c)
		}
	}
}

// late is how long clients of a customer with a database may go on to ask the side that is closed.
func (v *preview) late(id string) (out migration.Duration) {
	slice, _ := v.spec.Slice(id)
	for _, r := range slice.Routes {
		if r.DNS != nil && !slice.Stateless() {
			out = max(out, r.DNS.Late())
		}
	}
	return out
}

// measureRows adds what a database has to the freezes of its customers: a freeze takes as long as
// the longest of its databases.
func (v *preview) measureRows(ctx workflow.Context, d migration.Dataset, freezes map[string]*migration.PreviewCustomer) {
	tenants, ids := tenantsOf(v.spec, d)
	c := work.Examination.At(ctx, d.Site(), "measure the rows of "+d.Name)
	var r postgres.MeasureResult
	if err := workflow.ExecuteActivity(c, work.Postgres.MeasurePostgres,
		postgres.MeasureRequest{PostgresRef: database(v.spec, d), Tenants: tenants}).Get(c, &r); err != nil {
		v.report.Unseen = append(v.report.Unseen, "dataset "+d.Name+": "+work.Reason(err))
	}
	v.standing[d.Name] = r.Standing
	v.report.Sizes = append(v.report.Sizes, migration.PreviewSize{What: "database " + d.Name, Bytes: r.Bytes})
	for _, t := range tenants {
		to := freezes[ids[t]]
		if to == nil {
			continue
		}
		m, ok := r.Tenants[t]
		if !ok {
			to.Why = "the rows of " + d.Name + " were not read in time"
			continue
		}
		to.Rows += m.Rows
		to.Freeze = max(to.Freeze, m.Freeze)
	}
}

// steps are what Migration does, in its order.
func (v *preview) steps() {
	s := v.spec
	v.done("store the compiled plan", "s3://"+s.State.Bucket)
	for _, d := range s.Datasets {
		if o := migration.Observes(s.Batches); o != nil && d.Postgres != nil && v.standing[d.Name] != 2 {
			v.done("observe who writes, for "+o.For.Brief()+", and refuse nobody", "database "+d.Name)
		}
	}
	for _, r := range s.Routes {
		switch r.Kind() {
		case migration.RouteDNS:
			v.done("put the workloads behind their listener on AWS", "route "+r.Name)
			v.done("record what the names of its customers say", "zone "+r.DNS.Zone)
		case migration.RouteHook:
			v.done("put the workloads behind their listener on AWS", "route "+r.Name)
			v.done("see that the router heeds conditions", "route "+r.Name)
		case migration.RouteALB:
			v.done("record the rules as they stand", "route "+r.Name)
		}
	}
	byName := map[string]bool{}
	for _, id := range s.ByName() {
		byName[id] = true
	}
	for _, w := range s.Workloads {
		if w.Ingress != nil {
			v.made("target group", "target group", "workload "+w.Name)
		}
	}
	for _, w := range s.Workloads {
		previews[w.Kind()](v, w)
	}
	for _, d := range s.Datasets {
		switch {
		case d.Postgres != nil && v.standing[d.Name] == 2:
			v.report.Steps = append(v.report.Steps, migration.PreviewStep{Do: "functions, guards, publications and subscriptions",
				To: "both databases of " + d.Name, State: migration.Exists})
		case d.Postgres != nil:
			v.report.Steps = append(v.report.Steps, migration.PreviewStep{Do: "functions, guards, publications and subscriptions",
				To: "both databases of " + d.Name, State: migration.WillBeMade})
			v.done("copy the tables", "database "+d.Name+" to AWS")
		case d.Files != nil:
			v.done("copy the files of every customer", "dataset "+d.Name+" to s3://"+d.Files.Bucket)
		}
	}
	for _, h := range s.Hooks {
		if h.Event == migration.HookAfterLaunch {
			v.done("call hook "+string(h.Event), "each workload that is launched")
		} else {
			v.done("call hook "+string(h.Event), "each customer that moves")
		}
	}
	for _, b := range s.Batches {
		if b.Approvals > 0 {
			v.done(fmt.Sprintf("wait for %d approvals", b.Approvals), "batch "+b.Name)
		}
		if b.Window != nil {
			v.done("wait for the window that opens "+b.Window.Opens.UTC().Format(time.RFC3339), "batch "+b.Name)
		}
		if n := len(slices.DeleteFunc(slices.Clone(b.Customers), func(id string) bool { return !byName[id] })); n > 0 {
			v.done(fmt.Sprintf("lower the TTL of the names of %d customers, as early as the old one lasts, and put it back after the "+
				"soak", n),
				"batch "+b.Name)
		}
		v.done(fmt.Sprintf("move %d customers, %d at a time: %s", len(b.Customers), max(b.Concurrency, 1), firstOf(b.Customers)),
			"batch "+b.Name)
		if len(s.Policy.Weights) > 0 {
			v.done("send "+percents(s.Policy.Weights)+" of the requests of those without a database to AWS, "+s.Policy.Step.Brief()+
				" at each before the last", "batch "+b.Name)
		}
		v.done("bake "+b.Bake.Brief()+", then soak "+s.Policy.Soak.Brief(), "batch "+b.Name)
	}
	v.done("end the way back, when a lead says so", "plan "+s.Plan)
}

// previews are the steps of a workload, by what it runs on at AWS.
var previews = map[migration.TargetKind]func(*preview, migration.Workload){
	migration.KindEC2: (*preview).machines,
	migration.KindFargate: func(v *preview, w migration.Workload) {
		v.made("service", "service", "workload "+w.Name)
	},
}

// machines are the steps of each VM with its copy.
func (v *preview) machines(w migration.Workload) {
	for _, vm := range v.vms[w.Name] {
		if v.exists("instance", "VM "+vm.Name) != "" {
			v.made("instance", "instance", "VM "+vm.Name)
			continue
		}
		v.done("take a snapshot in vCenter, and remove it after the copy", "VM "+vm.Name)
		v.done(fmt.Sprintf("copy %d disks to EBS snapshots", len(vm.Disks)), "VM "+vm.Name)
		v.made("image", "image", "VM "+vm.Name)
		v.made("instance", "instance", "VM "+vm.Name)
	}
	if w.Ingress != nil {
		v.done("register the machines, and wait until they are healthy", "target group of workload "+w.Name)
	}
}

// percents are weights in words: 5 %, 25 %, 100 %.
func percents(weights []int) string {
	words := make([]string, len(weights))
	for i, w := range weights {
		words[i] = fmt.Sprintf("%d %%", w)
	}
	return strings.Join(words, ", ")
}

func (v *preview) done(what, to string) {
	v.report.Steps = append(v.report.Steps, migration.PreviewStep{Do: what, To: to, State: migration.WillBeDone})
}

func (v *preview) made(what, kind, of string) {
	step := migration.PreviewStep{Do: what, To: of, State: migration.WillBeMade}
	if id := v.exists(kind, of); id != "" {
		step.State, step.Found = migration.Exists, id
	}
	v.report.Steps = append(v.report.Steps, step)
}

// exists is the id of the thing of a kind that Drover has made for something; "": there is none.
func (v *preview) exists(kind, of string) string {
	for _, t := range v.report.Things {
		if t.Kind == kind && t.Left == "" && (t.Of == of || strings.HasSuffix(t.Of, ", "+of)) {
			return t.ID
		}
	}
	return ""
}

// firstOf names some customers.
func firstOf(ids []string) string {
	const most = 5
	if len(ids) > most {
		return strings.Join(ids[:most], ", ") + ", ..."
	}
	return strings.Join(ids, ", ")
}
