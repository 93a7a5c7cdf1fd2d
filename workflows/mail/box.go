// Package mail is how workflows talk to one another: the names and payloads of the signals, their
// order, and what keeps one from being lost when a workflow ends or goes on as new. Commands go
// down the tree and reports go up it by these names: no workflow imports the one that started it.
package mail

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Order says which of two reports of one sender is the newer: signals sent together may arrive in
// any order.
type Order struct {
	At int64 `json:"at"` // by the sender's clock, nanoseconds since 1970: a sender that was started again, or reset, counts anew
	N  int   `json:"n"`  // of the sender's reports, ever
}

// Newer says whether o comes after p.
func (o Order) Newer(p Order) bool { return o.At > p.At || o.At == p.At && o.N > p.N }

// Age is how long ago the report was made, by this workflow's clock.
func (o Order) Age(ctx workflow.Context) time.Duration {
	return workflow.Now(ctx).Sub(time.Unix(0, o.At))
}

// Box sends signals. It is part of a workflow's state: continue-as-new carries it over.
type Box struct {
	Sent Order `json:"sent"` // of the last report

	telling int // signals under way, and what follows where nobody was there
}

// Stamp numbers a report.
func (b *Box) Stamp(ctx workflow.Context) Order {
	b.Sent = Order{At: max(b.Sent.At, workflow.Now(ctx).UnixNano()), N: b.Sent.N + 1}
	return b.Sent
}

// Tell signals another workflow and does not wait. A workflow that is not there any more has no use
// for the news.
func (b *Box) Tell(ctx workflow.Context, id, signal string, arg any) {
	b.TellOr(ctx, id, signal, arg, func(workflow.Context) {})
}

// TellOr is Tell, and calls gone when no workflow of that id runs.
func (b *Box) TellOr(ctx workflow.Context, id, signal string, arg any, gone func(workflow.Context)) {
	f := workflow.SignalExternalWorkflow(ctx, id, "", signal, arg)
	b.telling++
	workflow.Go(ctx, func(ctx workflow.Context) {
		err := f.Get(ctx, nil)
		if err != nil {
			workflow.GetLogger(ctx).Debug("signal was not delivered", "to", id, "signal", signal, "error", err)
		}
		if errors.As(err, new(*temporal.UnknownExternalWorkflowExecutionError)) {
			gone(ctx) // a child that it starts, too: the server starts none for a workflow that has closed meanwhile
		}
		b.telling--
	})
}

// Flush waits until every signal is on its way, and what follows from one that was not delivered:
// the server forgets those of a workflow that has closed.
func (b *Box) Flush(ctx workflow.Context) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	_ = workflow.Await(ctx, func() bool { return b.telling == 0 })
}

// End ends a run when all is told. A run that goes on as new has waited for that before it took the
// state that it carries over.
func (b *Box) End(ctx workflow.Context, err error) error {
	if !workflow.IsContinueAsNewError(err) {
		b.Flush(ctx)
	}
	return err
}

// Renews says whether to go on as new: it must, and still must when all is told. From there on
// nothing is waited for.
func (b *Box) Renews(ctx workflow.Context, must func(workflow.Context) bool) bool {
	if must(ctx) {
		b.Flush(ctx)
	}
	return must(ctx)
}

// Renewable says whether the history is long enough to start a new one, and nothing that was said
// would be lost by it: no signal of these names waits, and no update is under way.
func Renewable(ctx workflow.Context, signals ...string) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() && workflow.AllHandlersFinished(ctx) && drained(ctx, signals...)
}

// Listen hands every signal of one name to take, for as long as the workflow runs. A signal stays
// in its channel until take's turn has come: one handed to a coroutine that waits in Receive has
// left the channel before that coroutine runs, and drained would not see it.
func Listen[T any](ctx workflow.Context, name, description string, take func(workflow.Context, T)) {
	ch := workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: description})
	workflow.Go(ctx, func(ctx workflow.Context) {
		always, _ := workflow.NewDisconnectedContext(ctx) // a workflow that was canceled listens on
		for {
			if workflow.Await(always, func() bool { return ch.Len() > 0 }) != nil {
				return
			}
			var v T
			if ch.ReceiveAsync(&v) {
				take(ctx, v)
			}
		}
	})
}

// drained says whether no signal of these names waits: continue-as-new would lose it.
func drained(ctx workflow.Context, names ...string) bool {
	for _, n := range names {
		if workflow.GetSignalChannel(ctx, n).Len() > 0 {
			return false
		}
	}
	return true
}

// WasReset says whether this run began by a reset to its start: the server delivers every signal of
// the earlier run once more. It is asked once, there: the answer stays in the history.
func WasReset(ctx workflow.Context) bool {
	var run string
	_ = workflow.SideEffect(ctx, func(ctx workflow.Context) any { return workflow.GetInfo(ctx).WorkflowExecution.RunID }).Get(&run)
	first := workflow.GetInfo(ctx).OriginalRunID
	return first != "" && run != first
}

// Redelivered waits until what a reset has the server deliver once more is taken: every signal and
// Update of the earlier run comes before the first task of the new one. What comes later is new.
func Redelivered(ctx workflow.Context, signals ...string) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	others := false // have run since
	_ = workflow.Await(ctx, func() bool {
		defer func() { others = true }()
		return others && drained(ctx, signals...) && workflow.AllHandlersFinished(ctx)
	})
}
