package batch

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	callroll "github.com/drover-migration/drover/activities/roll"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/roll"
	"github.com/drover-migration/drover/workflows/work"
)

// gatherPatience is how long a batch waits for its customers to say where they stand: one that
// cannot must not keep the others.
const gatherPatience = 30 * time.Second

// chunk is how many customers a batch tells at a time. Temporal allows a workflow 2,000
// signals and 2,000 children that are pending (limit.numPendingSignals.error,
// limit.numPendingChildExecutions.error), and advises 500.
const chunk = 200

// startChunk is how many customers a batch starts at a time. The server writes into the batch that
// each has started, and until it is through nobody gets an answer from the batch.
const startChunk = 50

// each does something for every member, and waits after each chunk until what it told them is
// delivered.
func (b *batch) each(ctx workflow.Context, do func(*member)) {
	for members := range slices.Chunk(b.Members, chunk) {
		for _, m := range members {
			do(m)
		}
		b.Flush(ctx)
	}
}

// gather asks every customer where it stands, before anything else: a batch may be started again
// beside customers that are under way. Customers that do not run are started. One that says nothing
// for long has no home yet, and is told to go in its turn all the same: it goes, or says why not,
// when its data answers. It returns early where the history has grown too long in the middle.
func (b *batch) gather(ctx workflow.Context) {
	ctx, _ = workflow.NewDisconnectedContext(ctx) // a cancel is looked at when all are there
	untouched := map[string]bool{}
	if b.Gathered < len(b.Members) {
		untouched = b.untouched(ctx)
	}
	for b.Gathered < len(b.Members) {
		members := b.Members[b.Gathered:min(b.Gathered+startChunk, len(b.Members))]
		work.Together(ctx, members, func(ctx workflow.Context, m *member) {
			in := b.customer(m)
			in.Untouched = untouched[m.Status.ID]
			switch started := customer.Start(ctx, in); {
			case !started:
				b.Tell(ctx, b.idOf(m), mail.SignalAsk, b.ask(true))
			case in.Untouched && !m.heard():
				was := m.Status
				m.Status = customer.Waits(in, b.tenants.Names[in.ID], workflow.Now(ctx))
				m.Order = mail.Order{At: 1} // older than any report
				b.noticed(ctx, m, was, true)
			}
		})
		b.Flush(ctx)
		if b.Gathered += len(members); b.mustRenew(ctx) {
			return
		}
	}
	work.AwaitFor(ctx, gatherPatience, "until every customer has said where it stands", func() bool {
		return !slices.ContainsFunc(b.Members, func(m *member) bool { return !m.heard() })
	})
	b.begin(ctx)
}

// untouched are the customers of whom their data knows nothing, as one question to each database
// says for all of them. Where nobody answers soon, each asks for itself.
func (b *batch) untouched(ctx workflow.Context) map[string]bool {
	out := map[string]bool{}
	b.askHomes(ctx, work.Beginning, "whose home is where it always was", false, func(*member) bool { return true },
		func(id string, _ migration.Homed, untouched bool) {
			if untouched {
				out[id] = true
			}
		})
	return out
}

// begin goes on to wait for the batch's turn, or to where a batch was that an operator has
// terminated.
func (b *batch) begin(ctx workflow.Context) {
	was, reset := b.Was, b.Reset
	b.Begun, b.Was, b.Reset = true, nil, false
	for _, m := range b.Members { // they may have heard of a batch that was terminated
		b.Round = max(b.Round, m.Heard)
	}
	b.newRound(migration.CustomerFinding, migration.CustomerWaiting)
	b.unsure()
	switch {
	case reset:
		b.Note(ctx, "reset in Temporal", migration.Command{})
		if n := b.tally(); n.RolledBack > 0 && n.Away == 0 { // nobody goes again by itself
			b.Set(ctx, migration.BatchTakenBack, migration.WaitOperator, "reset in Temporal: its customers are at home")
			return
		}
	case was == nil:
	default:
		b.Note(ctx, "started again: it was terminated while "+string(was.Phase), migration.Command{})
		switch was.Phase {
		case migration.BatchTakingBack, migration.BatchTakenBack:
			if b.TakeBack == nil {
				b.TakeBack = &mail.Wish{By: mail.ByDrover, Reason: was.Reason}
			}
			b.Set(ctx, migration.BatchTakingBack, migration.WaitNothing, b.TakeBack.Reason)
			return
		case migration.BatchDone:
			b.Set(ctx, migration.BatchDone, b.doneWaits(), b.unseeing())
			return
		}
	}
	if b.Turn {
		b.release(ctx)
	} else {
		b.waits(ctx)
	}
}

// waits says what the batch waits for before its turn: what it requires, or the batches before it.
func (b *batch) waits(ctx workflow.Context) {
	if b.Observing.Words != "" {
		b.Set(ctx, migration.BatchWaiting, migration.WaitObserve, b.Observing.Words)
	} else {
		b.Set(ctx, migration.BatchWaiting, migration.WaitTurn, "")
	}
}

// hear takes the migration's word on whether customers may go. An older word does not override a
// newer one.
func (b *batch) hear(ctx workflow.Context, p mail.Pause) {
	if !p.Order.Newer(b.PauseOrder) {
		return
	}
	if _, newer := p.Revision.Renews(b.in.Spec); newer {
		b.Newest = p.Revision
	}
	b.Post.Again() // where the migration runs, it has started the outbox again
	b.outboxRuns(p.Outbox)
	first := p.Order.N <= b.PauseOrder.N // a migration that was started again counts anew
	b.PauseOrder, b.Paused = p.Order, nil
	if p.Paused {
		b.Paused = &p
	}
	b.observed(ctx, p.Observing)
	if first && b.Phase != "" {
		b.tellMigration(ctx)
	}
}

// observed hears what is missing until who writes has been observed.
func (b *batch) observed(ctx workflow.Context, missing mail.Observing) {
	if b.in.Batch.Requires == nil || b.in.Batch.Requires.Observe == nil {
		missing = mail.Observing{}
	}
	if missing == b.Observing {
		return
	}
	b.Observing = missing
	if b.Begun && b.Phase == migration.BatchWaiting {
		b.waits(ctx)
	}
}

// rollPace is the least time for each signal of a roll call: a large batch does not flood the
// server.
const rollPace = 300 * time.Millisecond

// rollEvery is how long to wait before the next roll call. Whoever was terminated is missed within
// half a minute.
func (b *batch) rollEvery() time.Duration {
	t := b.tally()
	ends := b.Phase == migration.BatchAborting && t.open > 0
	if t.unbaked == 0 && t.watched == 0 && b.Phase != migration.BatchTakingBack && !ends {
		return 0
	}
	return max(roll.Often, time.Duration(t.busy)*rollPace)
}

// callRoll asks those who move, each by itself, and of the others those only whom the list of
// workflows does not have: one question for all, however many they are.
func (b *batch) callRoll(ctx workflow.Context) {
	runs, err := b.running(ctx)
	if err != nil {
		workflow.GetLogger(ctx).Warn("the list of workflows is not read", "batch", b.in.Batch.Name, "error", err)
	}
	b.each(ctx, func(m *member) {
		switch {
		case b.Phase == migration.BatchTakingBack && b.Back != nil && m.strays(b.Round):
			b.tellCustomer(ctx, m, mail.SignalBack, b.backWord())
		case m.busy(b.Round), m.heard() && !m.over() && err == nil && !runs[m.Status.ID]:
			b.tellCustomer(ctx, m, mail.SignalAsk, b.ask(!m.answered(b.Round)))
		}
	})
}

// rollMovers calls those that move, more often than the others.
func (b *batch) rollMovers(ctx workflow.Context) {
	movers := func() (out []*member) {
		for _, m := range b.Members {
			if m.moving() && m.watched() && workflow.Now(ctx).Sub(m.newsAt()) < roll.Lately {
				out = append(out, m)
			}
		}
		return out
	}
	b.Movers.Keep(ctx, func() time.Duration {
		n := len(movers())
		if n == 0 {
			return 0
		}
		return max(roll.Moving, time.Duration(n)*rollPace)
	}, func(ctx workflow.Context) {
		for _, m := range movers() {
			b.tellCustomer(ctx, m, mail.SignalAsk, b.ask(!m.answered(b.Round)))
		}
		b.Flush(ctx)
	})
}

// running are the customers that the list of workflows has.
func (b *batch) running(ctx workflow.Context) (map[string]bool, error) {
	c := work.RollCall.In(ctx, "who of the batch's customers runs")
	var r callroll.Result
	req := callroll.Request{Plan: b.in.Spec.Plan, Batch: b.in.Batch.Name}
	if err := workflow.ExecuteActivity(c, work.Roll.CallRoll, req).Get(c, &r); err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(r.Running))
	for _, id := range r.Running {
		out[id] = true
	}
	return out, nil
}

// tellCustomer signals a customer; one that does not run any more goes on from where it last
// reported, and hears it then.
func (b *batch) tellCustomer(ctx workflow.Context, m *member, signal string, arg any) {
	b.TellOr(ctx, b.idOf(m), signal, arg, func(ctx workflow.Context) {
		if m.over() {
			return // it has ended, and its last report came first
		}
		b.Note(ctx, m.Status.ID+" was terminated, and is started again", migration.Command{Reason: "it was " + string(m.Status.Phase)})
		customer.Start(ctx, customer.Again(b.customer(m), m.Status, b.Round, m.Told && !m.answered(b.Round)))
		if signal != mail.SignalAsk && signal != mail.SignalGo { // go travels in the state
			b.Tell(ctx, b.idOf(m), signal, arg)
		} else if b.Phase == migration.BatchTakingBack && b.Back != nil && m.Recalled != nil && m.mustComeBack(b.Round) {
			b.Tell(ctx, b.idOf(m), mail.SignalBack, b.backWord())
		} else if end, word := b.lastWord(); b.Phase == migration.BatchAborting && word != nil {
			b.Tell(ctx, b.idOf(m), end, *word)
		}
	})
}

func (b *batch) idOf(m *member) string { return migration.CustomerID(b.in.Spec.Plan, m.Status.ID) }

// customer is how a Customer of the batch is started.
func (b *batch) customer(m *member) customer.Input {
	return customer.Input{Spec: b.in.Spec, ID: m.Status.ID, Batch: b.in.Batch.Name}
}
