package customer

import (
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/roll"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

// Start starts a Customer that outlives its starter, visible from the first moment. One that runs already is as good.
func Start(ctx workflow.Context, in Input) {
	home, phase, waits := migration.OnPrem, migration.CustomerWaiting, migration.WaitBatch
	if in.State != nil {
		home, phase, waits = in.State.Home, in.State.Phase, in.State.Waiting
	}
	ctx = workflow.WithWorkflowTaskTimeout(ctx, work.TaskPatience)
	roll.Start(ctx, in.Spec.Plan, migration.CustomerID(in.Spec.Plan, in.ID), "customer "+in.ID+" of batch "+in.Batch, Customer, in,
		status.AttrCustomer.ValueSet(in.ID), status.AttrBatch.ValueSet(in.Batch), status.AttrHome.ValueSet(string(home)),
		status.AttrPhase.ValueSet(string(phase)), status.AttrWaiting.ValueSet(string(waits)))
}

// Again is the state in which a customer goes on that was terminated: as it last reported.
func Again(ctx workflow.Context, last migration.CustomerStatus) *State {
	st := &State{
		Home: last.Home, Token: last.Token, Tries: last.Tries, Moves: last.Moves, RollbackMS: last.RollbackMS, Verdict: last.Verdict,
		Ends: last.Until, BackSince: last.Since,
	}
	st.Phase, st.Waiting, st.Reason, st.Since = last.Phase, last.WaitingFor, last.Reason, last.Since
	st.Note(ctx, "started again: it was terminated while "+string(last.Phase), migration.Command{})
	return st
}
