package replication

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// followPause lies between two attempts to take an amendment in.
const followPause = 30 * time.Second

// follow goes on by the newest revision of the plan, once the database knows those who have come
// into it. What it was refused is said, and tried again; replication of everybody else goes on by
// the revision before.
func (r *replication) follow(ctx workflow.Context) {
	next, newer := r.Newest.Renews(r.in.Spec)
	if !newer || workflow.Now(ctx).Before(r.again) {
		return
	}
	err := r.takeIn(ctx, next)
	if r.Outside = ""; err != nil && ctx.Err() == nil {
		r.Outside = fmt.Sprintf("who has come with revision %d is not replicated yet, which is tried again: %s", next.Revision,
			work.Reason(err))
		r.again = workflow.Now(ctx).Add(followPause)
		r.Set(ctx, r.Phase, migration.WaitOperator, r.Outside)
	}
}

// takeIn prepares the dataset for the tenants of a revision.
func (r *replication) takeIn(ctx workflow.Context, next migration.SpecRef) error {
	plan, dataset, err := r.read(ctx, next)
	if err != nil {
		return err
	}
	same := slices.Equal(plan.Tenants[dataset.Name], r.plan.Tenants[dataset.Name])
	if n := len(plan.Tenants[dataset.Name]) - len(r.plan.Tenants[dataset.Name]); dataset.Postgres != nil && r.Prepared &&
		(!same || r.Changed) {
		r.Set(
			ctx,
			r.Phase,
			migration.WaitData,
			fmt.Sprintf("takes %d customers in that have come with revision %d, and tables that are new", n,
				next.Revision),
		)
		ref := postgres.PostgresRef{Plan: next.Plan, Dataset: dataset, Target: plan.Target(dataset.Target())}
		b := work.BulkCopy.At(ctx, dataset.Site(), fmt.Sprintf("take %d customers into the replication of %s", n, dataset.Name))
		if err := workflow.ExecuteActivity(b, work.Postgres.PreparePostgres,
			postgres.PreparePostgresRequest{PostgresRef: ref, Tenants: plan.Tenants[dataset.Name]}).Get(b, nil); err != nil {
			return err
		}
	}
	r.in.Spec, r.plan, r.dataset, r.owners = next, plan, dataset, nil
	return nil
}

// read reads what a revision says of the dataset.
func (r *replication) read(ctx workflow.Context, spec migration.SpecRef) (plan state.Plan, d migration.Dataset, err error) {
	l := work.Question.In(ctx, "read the plan")
	if err := workflow.ExecuteActivity(l, work.State.LoadPlan, spec).Get(l, &plan); err != nil {
		return plan, d, err
	}
	i := slices.IndexFunc(plan.Datasets, func(d migration.Dataset) bool { return d.Name == r.in.Dataset })
	if i < 0 {
		return plan, d, temporal.NewNonRetryableApplicationError(fmt.Sprintf("the plan has no dataset %q", r.in.Dataset), "NoSuchDataset",
			nil)
	}
	return plan, plan.Datasets[i], nil
}
