package workflows

import (
	"errors"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// startChild starts a workflow that outlives this one, waits until it has started and says whether it did: otherwise one of this id
// runs already, which is as good.
func startChild(ctx workflow.Context, plan, id, summary string, wf, in any, attrs ...temporal.SearchAttributeUpdate) bool {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON, WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary: summary, TypedSearchAttributes: temporal.NewSearchAttributes(append(attrs, attrPlan.ValueSet(plan))...),
	})
	err := workflow.ExecuteChildWorkflow(ctx, wf, in).GetChildWorkflowExecution().Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Info("not started: it runs already", "id", id, "error", err)
	}
	return err == nil
}

// tell signals another workflow and does not wait. A workflow that is not there any more has no use for the news.
func (s *standing) tell(ctx workflow.Context, id, signal string, arg any) {
	s.tellOr(ctx, id, signal, arg, func(workflow.Context) {})
}

// tellOr is tell, and calls gone when no workflow of that id runs.
func (s *standing) tellOr(ctx workflow.Context, id, signal string, arg any, gone func(workflow.Context)) {
	f := workflow.SignalExternalWorkflow(ctx, id, "", signal, arg)
	s.telling++
	workflow.Go(ctx, func(ctx workflow.Context) {
		err := f.Get(ctx, nil)
		if err != nil {
			workflow.GetLogger(ctx).Debug("signal was not delivered", "to", id, "signal", signal, "error", err)
		}
		if errors.As(err, new(*temporal.UnknownExternalWorkflowExecutionError)) {
			gone(ctx) // a child that it starts, too: the server starts none for a workflow that has closed meanwhile
		}
		s.telling--
	})
}

// renewable says whether the history is long enough to start a new one, and nothing that was said would be lost by it: no signal of these
// names waits, and no update is under way.
func renewable(ctx workflow.Context, signals ...string) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() && workflow.AllHandlersFinished(ctx) && drained(ctx, signals...)
}

// told waits until every signal is on its way, and what follows from one that was not delivered: the server forgets those of a workflow that
// has closed.
func (s *standing) told(ctx workflow.Context) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	_ = workflow.Await(ctx, func() bool { return s.telling == 0 })
}

// over ends a run when all is told. Of one that goes on as new that was waited for before the state was taken that it carries over.
func (s *standing) over(ctx workflow.Context, err error) error {
	if !workflow.IsContinueAsNewError(err) {
		s.told(ctx)
	}
	return err
}

// renews says whether to go on as new: it must, and still must when all is told. From there on nothing is waited for.
func (s *standing) renews(ctx workflow.Context, must func(workflow.Context) bool) bool {
	if must(ctx) {
		s.told(ctx)
	}
	return must(ctx)
}

// roll calls, again and again, those that this workflow depends on, to see whether they still run: an operator may have terminated one. every
// says how long to wait before the next time; while it says 0, nobody is called. A run that goes on as new waits for what is left of that. It
// never returns; start it with workflow.Go.
func (s *standing) roll(ctx workflow.Context, every func() time.Duration, call func(workflow.Context)) {
	for carried := !s.Waits.IsZero(); ; carried = false {
		if workflow.Await(ctx, func() bool { return every() > 0 }) != nil {
			return
		}
		if !carried {
			s.Waits = workflow.Now(ctx)
		}
		wait := every()
		sooner := func() bool { return every() < wait } // somebody has begun to move, or nobody is left
		awaitFor(ctx, max(wait-workflow.Now(ctx).Sub(s.Waits), time.Millisecond), "until the next roll call", sooner)
		if ctx.Err() != nil {
			return
		}
		if !sooner() {
			call(ctx)
		}
	}
}

// wasReset says whether this run began by a reset to its start. It is asked once, there: the answer stays in the history.
func wasReset(ctx workflow.Context) bool {
	var run string
	_ = workflow.SideEffect(ctx, func(ctx workflow.Context) any { return workflow.GetInfo(ctx).WorkflowExecution.RunID }).Get(&run)
	first := workflow.GetInfo(ctx).OriginalRunID
	return first != "" && run != first
}

// sleep is a timer that says in the UI what it is for.
func sleep(ctx workflow.Context, d time.Duration, summary string) error {
	return workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{Summary: summary}).Get(ctx, nil)
}

// awaitFor waits until a condition holds or the time is over. The timer says in the UI what it is for.
func awaitFor(ctx workflow.Context, most time.Duration, summary string, until func() bool) {
	_, _ = workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{Timeout: most, TimerOptions: workflow.TimerOptions{Summary: summary}}, until)
}
