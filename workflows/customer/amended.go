package customer

import (
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

// belong hears to which batch the customer belongs, and by which revision of the plan. One that has
// set out goes on by the revision by which it did.
func (c *customer) belong(ctx workflow.Context, b mail.Belongs) {
	next, newer := b.Renews(c.in.Spec)
	if !newer {
		return
	}
	if b.Batch != "" && b.Batch != c.in.Batch {
		c.Note(ctx, "belongs to batch "+b.Batch+" now", migration.Command{By: mail.ByDrover})
		c.in.Batch, c.Round, c.Go = b.Batch, 0, false
		if err := workflow.UpsertTypedSearchAttributes(ctx, status.AttrBatch.ValueSet(b.Batch)); err != nil {
			workflow.GetLogger(ctx).Warn("search attributes were not updated", "error", err)
		}
		defer c.report(ctx)
	}
	switch c.Phase {
	case migration.CustomerWaiting, migration.CustomerHeld, migration.CustomerRolledBack:
		c.in.Spec, c.Stale = next, true
	default: // it is told again
	}
}

// refresh reads what the plan says of the customer by the revision that holds.
func (c *customer) refresh(ctx workflow.Context) error {
	if !c.Stale || c.Home != migration.OnPrem {
		return nil
	}
	err := work.Question.Ask(ctx, "read the plan's slice of "+c.in.ID, work.State.LoadCustomer,
		state.LoadCustomerRequest{Spec: c.in.Spec, Customer: c.in.ID}, &c.slice)
	c.Stale = err != nil
	return err
}
