package check

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/work"
)

// A person waits for doctor's answer: what does not answer within these times is said.
const (
	lookWithin = time.Minute
	mendWithin = 2 * time.Minute
)

// Doctor reads what the systems of a plan say, with or without workflows that are alive: which
// servers stand on both sides, who is not open on exactly one, which routes lead elsewhere, and
// what Drover has made. It changes nothing but what it is asked to agree to, to carry out and to
// repair, and looks after that.
func Doctor(ctx workflow.Context, in migration.DoctorInput) (migration.DoctorReport, error) {
	if in.Spec == nil {
		return migration.DoctorReport{}, temporal.NewNonRetryableApplicationError("doctor: no plan was given", "BadRequest", nil)
	}
	d := &doctor{in: in, ref: in.Spec.Inline(), homes: map[string]migration.Homed{}}
	if in.Awaits != "" { // first: the command may be there already
		if err := d.awaitCommand(ctx); err != nil {
			return d.report, err
		}
	}
	if in.Agree != nil {
		if err := agree(ctx, in.Spec, *in.Agree); err != nil {
			return migration.DoctorReport{}, err
		}
	}
	if in.Repair != nil {
		d.repair(ctx)
	}
	for _, dataset := range in.Spec.Datasets {
		if dataset.Postgres != nil {
			d.examine(ctx, dataset)
		}
	}
	d.routes(ctx, in.Repair != nil)
	found := look(ctx, d.ref, in.Spec, in.Copying, in.Repair != nil)
	d.report.Things = append(d.report.Things, found.things...)
	d.report.Unseen = append(d.report.Unseen, found.unseen...)
	for _, what := range found.removed {
		d.mended("%s was taken away", what)
	}
	return d.report, nil
}

type doctor struct {
	in     migration.DoctorInput
	ref    migration.SpecRef
	homes  map[string]migration.Homed // by customer, as its first database says
	report migration.DoctorReport
}

func agree(ctx workflow.Context, spec *migration.Spec, a migration.AgreeToServer) error {
	d, ok := spec.Dataset(a.Dataset)
	if !ok || d.Postgres == nil {
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf("doctor: the plan has no database %q", a.Dataset), "NoSuchDataset", nil)
	}
	c := work.SiteQuestion.At(ctx, d.Site(), fmt.Sprintf("%s agrees to the server of %s %s", a.By, d.Name, a.Side))
	req := postgres.AgreeRequest{PostgresRef: database(spec, d), Side: a.Side, Seen: a.Seen, By: a.By, Reason: a.Reason}
	return workflow.ExecuteActivity(c, work.Postgres.AgreeServer, req).Get(c, nil)
}

// unseen notes that a place could not be looked at: the others have their answer.
func (d *doctor) unseen(what string, err error) {
	d.report.Unseen = append(d.report.Unseen, what+": "+work.Reason(err))
}

func (d *doctor) mended(format string, args ...any) {
	d.report.Mended = append(d.report.Mended, fmt.Sprintf(format, args...))
}

// examine looks at one database. That it cannot be looked at is part of the answer: the others have
// theirs.
func (d *doctor) examine(ctx workflow.Context, dataset migration.Dataset) {
	out := migration.DatasetHealth{Dataset: dataset.Name}
	tenants, ids := tenantsOf(d.in.Spec, dataset)
	c := work.Examination.At(ctx, dataset.Site(), "examine both sides of "+dataset.Name)
	var r postgres.ExamineResult
	if err := workflow.ExecuteActivity(c, work.Postgres.ExamineServers,
		postgres.ExamineRequest{PostgresRef: database(d.in.Spec, dataset), Tenants: tenants}).Get(c, &r); err != nil {
		out.Error = work.Reason(err)
		d.report.Datasets = append(d.report.Datasets, out)
		return
	}
	out.Servers, out.Whole, out.Broken, out.Silent = r.Servers, r.Whole, r.Broken, r.Silent
	for _, t := range r.Joining {
		out.Joining = append(out.Joining, ids[t])
	}
	for _, t := range tenants {
		if h, broken := r.Homes[t]; broken {
			out.Customers = append(out.Customers, migration.CustomerHealth{ID: ids[t], Record: h, Why: unsettled(h)})
		}
		if a, apart := r.Apart[t]; apart {
			a.ID = ids[t]
			out.Apart = append(out.Apart, a)
		}
		if l, alone := r.Alone[t]; alone {
			out.Alone = append(out.Alone, migration.GoesAlone{ID: ids[t], Loss: l})
		}
		if h, known := r.Routed[t]; known {
			if _, first := d.homes[ids[t]]; !first {
				d.homes[ids[t]] = h
			}
		}
	}
	d.report.Datasets = append(d.report.Datasets, out)
	d.report.Things = append(d.report.Things, r.Made...)
}

// tenantsOf are the tenants of a dataset in the plan's order, and whose they are.
func tenantsOf(spec *migration.Spec, d migration.Dataset) (tenants []int64, ids map[int64]string) {
	ids = map[int64]string{}
	for _, c := range spec.Customers {
		if slices.Contains(c.Datasets, d.Name) {
			tenants = append(tenants, c.Tenant)
			ids[c.Tenant] = c.ID
		}
	}
	return tenants, ids
}

// unsettled says why a customer is not open on exactly one side.
func unsettled(h migration.HomeRecord) string {
	if why := h.Undecided(); why != "" {
		return why
	}
	return fmt.Sprintf("premises are %s at token %d, AWS is %s at token %d: a Move is under way, or one ended between its steps and is "+
		"to be repaired",
		h.OnPrem.State, h.OnPrem.Token, h.AWS.State, h.AWS.Token)
}

func database(spec *migration.Spec, d migration.Dataset) postgres.PostgresRef {
	target, _ := spec.Target(d.Target())
	return postgres.PostgresRef{Plan: spec.Plan, Dataset: d, Target: target}
}

// repair settles every Move that ended between its steps, as the customer's own workflow would, and
// has each database mended. What it cannot mend is left as it is, and said.
func (d *doctor) repair(ctx workflow.Context) {
	for _, dataset := range d.in.Spec.Datasets {
		if dataset.Postgres == nil {
			continue
		}
		c := work.Survey.Within(mendWithin).At(ctx, dataset.Site(), "mend both databases of "+dataset.Name)
		var r postgres.MendResult
		err := workflow.ExecuteActivity(c, work.Postgres.MendPostgres, database(d.in.Spec, dataset)).Get(c, &r)
		for _, what := range r.Done {
			d.mended("dataset %s: %s", dataset.Name, what)
		}
		if err != nil {
			d.unseen("dataset "+dataset.Name+" was not mended", err)
			continue
		}
		d.settle(ctx, dataset)
	}
}

// settle repairs the customers of a database of whom a Move was left between its steps.
func (d *doctor) settle(ctx workflow.Context, dataset migration.Dataset) {
	tenants, ids := tenantsOf(d.in.Spec, dataset)
	c := work.Examination.At(ctx, dataset.Site(), "whose Move of "+dataset.Name+" was left")
	var r postgres.ExamineResult
	if err := workflow.ExecuteActivity(c, work.Postgres.ExamineServers,
		postgres.ExamineRequest{PostgresRef: database(d.in.Spec, dataset), Tenants: tenants}).Get(c, &r); err != nil {
		return // the look after the repair says so
	}
	for _, t := range tenants {
		if h, broken := r.Homes[t]; !broken || h.Undecided() != "" {
			continue
		}
		slice, _ := d.in.Spec.Slice(ids[t])
		// A try of a workflow that is alive after all must not collide with this one.
		k := &home.Keeper{Spec: without(d.ref), Slice: slice, Note: func(workflow.Context, string, string) {}}
		rec, err := k.Disown(ctx, "doctor, for "+d.in.Repair.String())
		if err != nil {
			d.unseen("customer "+ids[t]+" was not repaired", err)
			continue
		}
		d.mended("customer %s: the Move that was left between its steps is settled; it is homed on %s", ids[t], rec.Home())
	}
}

// routes asks whether every customer with a home is routed to it, and with mend makes the routes
// follow.
func (d *doctor) routes(ctx workflow.Context, mend bool) {
	if len(d.in.Spec.Routes) == 0 || len(d.homes) == 0 {
		return
	}
	var all []traffic.WantedRoute
	for _, c := range d.in.Spec.Customers {
		if h, known := d.homes[c.ID]; known {
			all = append(all, traffic.WantedRoute{Customer: c.ID, Side: h.Side, Token: h.Token})
		}
	}
	wrong, err := d.misrouted(ctx, all)
	if err != nil {
		d.unseen("routes", err)
		return
	}
	if mend && len(wrong) > 0 {
		l := work.Question.Within(mendWithin).In(ctx, "make the routes follow the data")
		if err := workflow.ExecuteActivity(l, work.Traffic.ReconcileRoute,
			traffic.ReconcileRouteRequest{Spec: d.ref, Wanted: all}).Get(l, nil); err != nil {
			d.unseen("routes were not set", err)
		}
		was := wrong
		if wrong, err = d.misrouted(ctx, all); err != nil {
			d.unseen("routes", err)
			return
		}
		for _, w := range all {
			if was[w.Customer] != "" && wrong[w.Customer] == "" {
				d.mended("customer %s: its route leads to %s again", w.Customer, w.Side)
			}
		}
	}
	d.report.Routes = wrong
}

func (d *doctor) misrouted(ctx workflow.Context, all []traffic.WantedRoute) (map[string]string, error) {
	var r traffic.VerifyRoutesResult
	l := work.Question.Within(lookWithin).In(ctx, "do the routes lead where the customers are homed")
	err := workflow.ExecuteActivity(l, work.Traffic.VerifyRoutes, traffic.VerifyRoutesRequest{Spec: d.ref, Wanted: all}).Get(l, &r)
	return r.Wrong, err
}
