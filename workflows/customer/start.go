package customer

import (
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
	return roll.Start(ctx, in.Spec.Plan, migration.CustomerID(in.Spec.Plan, in.ID), "customer "+in.ID+" of batch "+in.Batch, Customer, in,
		status.AttrCustomer.ValueSet(in.ID), status.AttrBatch.ValueSet(in.Batch),
		status.AttrPhase.ValueSet(string(migration.CustomerFinding)), status.AttrWaiting.ValueSet(string(migration.WaitData)))
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
