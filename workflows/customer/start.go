package customer

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/roll"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

// Start starts a Customer that outlives its starter, and says whether it did: otherwise one runs
// already, which is as good. Its home is shown when it has read it.
func Start(ctx workflow.Context, in Input) bool {
	ctx = workflow.WithWorkflowTaskTimeout(ctx, work.TaskPatience)
	attrs := []temporal.SearchAttributeUpdate{status.AttrCustomer.ValueSet(in.ID), status.AttrBatch.ValueSet(in.Batch)}
	if in.Untouched {
		attrs = append(attrs, status.AttrPhase.ValueSet(string(migration.CustomerWaiting)),
			status.AttrWaiting.ValueSet(string(migration.WaitBatch)), status.AttrHome.ValueSet(string(migration.OnPrem)))
	} else {
		attrs = append(attrs, status.AttrPhase.ValueSet(string(migration.CustomerFinding)),
			status.AttrWaiting.ValueSet(string(migration.WaitData)))
	}
	return roll.Start(ctx, in.Spec.Plan, migration.CustomerID(in.Spec.Plan, in.ID), "customer "+in.ID+" of batch "+in.Batch, Customer, in,
		attrs...)
}

// Waits is the status of a customer that was started untouched: it does not report it.
func Waits(in Input, name string, since time.Time) migration.CustomerStatus {
	c := newCustomer(in)
	c.slice.Customer.Name, c.Home = name, migration.OnPrem
	c.Phase, c.Waiting, c.Since = migration.CustomerWaiting, migration.WaitBatch, since
	return c.status()
}

// SetsOut is the status of a customer that waited, once its batch has told it to go: it does not
// report that.
func SetsOut(waits migration.CustomerStatus, since time.Time) migration.CustomerStatus {
	c := newCustomer(Input{ID: waits.ID, Batch: waits.Batch})
	c.slice.Customer.Name, c.Home = waits.Name, waits.Home
	c.Token, c.Moves, c.RollbackMS = waits.Token, waits.Moves, waits.RollbackMS
	c.Phase, c.Waiting, c.Since = migration.CustomerMoving, migration.WaitNothing, since
	return c.status()
}

// Again is how a customer is started that was terminated: as it last reported, where its data does
// not know better. round and told are its batch's.
func Again(in Input, last migration.CustomerStatus, round int, told bool) Input {
	in.Was = &memory{
		Phase: last.Phase, Since: last.Since, Reason: last.Reason, Cause: last.Cause, Ends: last.Until, Deferral: last.Deferral,
		Slots: last.Slots,
		Told:  told, Round: round, Last: &last,
	}
	return in
}
