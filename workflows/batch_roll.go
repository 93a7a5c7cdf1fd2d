package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// gather asks every customer where it stands, before anything else: a batch may be started again beside customers that are under way.
// Customers that do not run are started.
func (b *batch) gather(ctx workflow.Context) {
	here := map[string]bool{}
	for _, id := range b.in.Batch.Customers {
		b.tellOr(ctx, migration.CustomerID(b.in.Spec.Plan, id), signalAsk, ask{Report: true}, func(ctx workflow.Context) {
			b.startCustomer(ctx, id, nil)
			here[id] = true
		})
	}
	_ = workflow.Await(ctx, func() bool {
		return !slices.ContainsFunc(b.in.Batch.Customers, func(id string) bool { return !here[id] && b.Orders[id] == order{} })
	})
}

// begin goes to the gate, or to where a batch was that an operator has terminated.
func (b *batch) begin(ctx workflow.Context) {
	if wasReset(ctx) { // the server has delivered every signal once more
		b.TakeBack, b.retry, b.abort = nil, nil, nil
		b.note(ctx, "reset in Temporal", migration.Command{})
	}
	for _, id := range b.in.Batch.Customers { // they may have heard of a batch that was terminated
		b.Round = max(b.Round, b.Heard[id])
	}
	b.newRound(func(p migration.Phase) bool { return p == migration.PhaseWaiting })
	if was := b.in.Was; was != nil {
		b.Approvals = was.Approvals
		b.note(ctx, "started again: it was terminated while "+string(was.Phase), migration.Command{})
		switch was.Phase {
		case migration.PhaseTakingBack, migration.PhaseTakenBack:
			b.TakeBack = &wish{By: byDrover, Reason: was.Reason}
			b.set(ctx, migration.PhaseTakingBack, migration.WaitNothing, was.Reason)
			return
		case migration.PhaseDone:
			b.set(ctx, migration.PhaseDone, migration.WaitNothing, b.summary())
			return
		}
	}
	b.set(ctx, migration.PhaseGate, b.gateWaits(ctx), "")
}

// hear takes the migration's word on whether customers may go. An older word does not override a newer one.
func (b *batch) hear(ctx workflow.Context, p pauseSignal) {
	if !p.Order.newer(b.PauseOrder) {
		return
	}
	first := p.Order.N <= b.PauseOrder.N // a migration that was started again counts anew
	b.PauseOrder, b.Paused = p.Order, nil
	if p.Paused {
		b.Paused = &p
	}
	if first && b.Phase != "" {
		b.tellMigration(ctx)
	}
}

// rollEvery is how long to wait before the next roll call: short while somebody is under way.
func (b *batch) rollEvery() time.Duration {
	switch {
	case b.unbaked() > 0, b.Phase == migration.PhaseTakingBack:
		return rollCall
	case slices.ContainsFunc(b.in.Batch.Customers, b.watched):
		return rollCallQuiet
	default:
		return 0
	}
}

// watched says whether a customer has gone and has not ended.
func (b *batch) watched(id string) bool {
	return b.Told[id] && !over(b.Customers[id].Phase)
}

func (b *batch) callRoll(ctx workflow.Context) {
	for _, id := range b.in.Batch.Customers {
		switch {
		case b.strays(id):
			b.tellCustomer(ctx, id, signalBack, b.backSignal())
		case b.watched(id):
			b.tellCustomer(ctx, id, signalAsk, ask{})
		}
	}
}

// strays says whether a customer is neither at home nor on its way while its batch is being taken back: an operator's retry has sent it out
// again, or has let one go on that was held on AWS.
func (b *batch) strays(id string) bool {
	p := b.Customers[id].Phase
	return b.Phase == migration.PhaseTakingBack && b.Back != nil && b.answered(id) && b.mustComeBack(id) && p != migration.PhaseHeld && p != migration.PhaseMovingBack
}

// tellCustomer signals a customer; one that does not run any more goes on from where it last reported, and hears it then.
func (b *batch) tellCustomer(ctx workflow.Context, id, signal string, arg any) {
	b.tellOr(ctx, migration.CustomerID(b.in.Spec.Plan, id), signal, arg, func(ctx workflow.Context) {
		last := b.Customers[id]
		if over(last.Phase) {
			return // it has ended, and its last report came first
		}
		st := &customerState{
			Home: last.Home, Token: last.Token, Tries: last.Tries, Moves: last.Moves, RollbackMS: last.RollbackMS, Verdict: last.Verdict,
			Round: b.Round, Go: b.Told[id] && !b.answered(id), Ends: last.Until, BackSince: last.Since,
			Standing: standing{Phase: last.Phase, Waiting: last.WaitingFor, Reason: last.Reason, Since: last.Since},
		}
		st.Standing.note(ctx, "started again: it was terminated while "+string(last.Phase), migration.Command{})
		b.note(ctx, id+" was terminated, and is started again", migration.Command{Reason: "it was " + string(last.Phase)})
		b.startCustomer(ctx, id, st)
		if signal != signalAsk && signal != signalGo { // go travels in the state
			b.tell(ctx, migration.CustomerID(b.in.Spec.Plan, id), signal, arg)
		} else if b.Phase == migration.PhaseTakingBack && b.Back != nil && b.mustComeBack(id) {
			b.tell(ctx, migration.CustomerID(b.in.Spec.Plan, id), signalBack, b.backSignal())
		}
	})
}

func (b *batch) startCustomer(ctx workflow.Context, id string, st *customerState) {
	startCustomer(ctx, CustomerInput{Spec: b.in.Spec, ID: id, Batch: b.in.Batch.Name, State: st})
}

// startCustomer starts a Customer that outlives its starter, visible from the first moment.
func startCustomer(ctx workflow.Context, in CustomerInput) {
	home, phase, waits := migration.OnPrem, migration.PhaseWaiting, migration.WaitBatch
	if in.State != nil {
		home, phase, waits = in.State.Home, in.State.Standing.Phase, in.State.Standing.Waiting
	}
	startChild(ctx, in.Spec.Plan, migration.CustomerID(in.Spec.Plan, in.ID), "customer "+in.ID+" of batch "+in.Batch, Customer, in,
		attrCustomer.ValueSet(in.ID), attrBatch.ValueSet(in.Batch), attrHome.ValueSet(string(home)),
		attrPhase.ValueSet(string(phase)), attrWaiting.ValueSet(string(waits)))
}
