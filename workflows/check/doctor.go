package check

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Doctor reads what the data of a plan says, with or without workflows that are alive: which
// servers stand on both sides, and who is not open on exactly one. It changes nothing but what it
// is asked to agree to.
func Doctor(ctx workflow.Context, in migration.DoctorInput) (migration.DoctorReport, error) {
	if in.Spec == nil {
		return migration.DoctorReport{}, temporal.NewNonRetryableApplicationError("doctor: no plan was given", "BadRequest", nil)
	}
	if in.Agree != nil {
		if err := agree(ctx, in.Spec, *in.Agree); err != nil {
			return migration.DoctorReport{}, err
		}
	}
	var out migration.DoctorReport
	for _, d := range in.Spec.Datasets {
		if d.Postgres != nil {
			out.Datasets = append(out.Datasets, examine(ctx, in.Spec, d))
		}
	}
	return out, nil
}

func agree(ctx workflow.Context, spec *migration.Spec, a migration.AgreeToServer) error {
	d, ok := spec.Dataset(a.Dataset)
	if !ok || d.Postgres == nil {
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf("doctor: the plan has no database %q", a.Dataset), "NoSuchDataset", nil)
	}
	c := work.DataQuestion.At(ctx, d.Site(), fmt.Sprintf("%s agrees to the server of %s %s", a.By, d.Name, a.Side))
	req := postgres.AgreeRequest{PostgresRef: database(spec, d), Side: a.Side, Seen: a.Seen, By: a.By, Reason: a.Reason}
	return workflow.ExecuteActivity(c, work.Postgres.AgreeServer, req).Get(c, nil)
}

// examine looks at one database. That it cannot be looked at is part of the answer: the others have
// theirs.
func examine(ctx workflow.Context, spec *migration.Spec, d migration.Dataset) migration.DatasetHealth {
	out := migration.DatasetHealth{Dataset: d.Name}
	ids := map[int64]string{}
	var tenants []int64
	for _, c := range spec.Customers {
		if slices.Contains(c.Datasets, d.Name) {
			tenants = append(tenants, c.Tenant)
			ids[c.Tenant] = c.ID
		}
	}
	c := work.DataQuestion.At(ctx, d.Site(), "examine both sides of "+d.Name)
	var r postgres.ExamineResult
	if err := workflow.ExecuteActivity(c, work.Postgres.ExamineServers,
		postgres.ExamineRequest{PostgresRef: database(spec, d), Tenants: tenants}).Get(c, &r); err != nil {
		out.Error = work.Reason(err)
		return out
	}
	out.Servers, out.Whole = r.Servers, r.Whole
	for _, t := range tenants {
		if h, broken := r.Homes[t]; broken {
			out.Customers = append(out.Customers, migration.CustomerHealth{ID: ids[t], Record: h, Why: unsettled(h)})
		}
	}
	return out
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
