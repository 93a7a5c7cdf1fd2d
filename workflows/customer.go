package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
)

// CustomerInput starts a Customer, and carries it over continue-as-new.
type CustomerInput struct {
	Spec  migration.SpecRef `json:"spec"`
	ID    string            `json:"id"`
	Batch string            `json:"batch"`
	State *customerState    `json:"state,omitempty"`
}

// customerState is what a customer's story needs to go on.
type customerState struct {
	Standing   standing               `json:"standing"`
	Home       migration.Side         `json:"home"`
	Token      int64                  `json:"token"` // highest that any try of this customer used
	Tries      int                    `json:"tries"`
	Round      int                    `json:"round"` // of its batch, as it last heard: to go, or to come back
	Go         bool                   `json:"told"`  // its batch has said go
	Moves      []migration.MoveResult `json:"moves,omitempty"`
	RollbackMS []int64                `json:"rollbackMs,omitempty"`
	Verdict    *migration.Verdict     `json:"verdict,omitempty"`
	Baseline   *health.Baseline       `json:"baseline,omitempty"`
	Ends       time.Time              `json:"ends,omitzero"`       // of the bake or the soak under way
	BackSince  time.Time              `json:"backSince,omitzero"`  // when going back was decided
	ByHealth   bool                   `json:"byHealth,omitempty"`  // by its own verdict
	WithBatch  bool                   `json:"withBatch,omitempty"` // because another customer's verdict takes its batch back
	ByHand     bool                   `json:"byHand,omitempty"`    // held by an operator: only a retry by name lets it go
	Trouble    string                 `json:"trouble,omitempty"`   // what an audit found last; it holds the customer once
}

// Customer owns one customer from submit to the end of its soak. It serialises the Moves, watches what they led to, and is the only
// one that starts them: batch, operator and health all ask it.
func Customer(ctx workflow.Context, in CustomerInput) error {
	c := newCustomer(in)
	if err := c.setup(ctx); err != nil {
		return err
	}
	return c.over(ctx, c.run(ctx))
}

type customer struct {
	in    CustomerInput
	slice migration.CustomerSlice
	customerState
	*standing

	back  *wish // take it back
	hold  *wish // leave it where it is
	abort *wish // end where it is
	retry *wish // an operator said: again
	asked map[string]bool
}

func newCustomer(in CustomerInput) *customer {
	c := &customer{in: in, asked: map[string]bool{}}
	if in.State != nil {
		c.customerState = *in.State
	}
	c.standing = &c.Standing
	return c
}

func (c *customer) setup(ctx workflow.Context) error {
	c.standing.describe = c.describe
	c.standing.mayDo = c.mayDo
	c.standing.changed = c.report
	err := workflow.SetQueryHandlerWithOptions(ctx, migration.QueryStatus, func() (migration.CustomerStatus, error) {
		s := c.status()
		s.Timeline = c.Timeline
		return s, nil
	}, workflow.QueryHandlerOptions{Description: "Where the customer is homed, what it waits for, its Moves, verdict and timeline."})
	if err != nil {
		return err
	}
	listen(ctx, signalGo, "The batch says: cut over.", func(ctx workflow.Context, g goSignal) {
		if g.Round <= c.Round { // a repeat, or overtaken by the word to come back
			c.report(ctx)
			return
		}
		c.Go, c.Round = true, g.Round
	})
	listen(ctx, signalBack, "The batch takes the customer back.", func(_ workflow.Context, b backSignal) {
		if b.Round >= c.Round { // else it has been told to go again since
			c.Round = b.Round
			c.takeBack(b.wish)
		}
	})
	listen(ctx, signalAbort, "The migration ends here.", func(_ workflow.Context, w wish) { c.abort = &w })
	listen(ctx, signalDismiss, "The migration ends before it has touched anything.", func(_ workflow.Context, w wish) {
		if c.Round == 0 {
			c.abort = &w
		}
	})
	listen(ctx, signalAsk, "The batch calls the roll.", func(ctx workflow.Context, a ask) {
		if a.Report && c.Phase != "" {
			c.report(ctx)
		}
	})
	listen(ctx, signalTrouble, "An audit found that its fences are not as they must be.", func(ctx workflow.Context, t trouble) {
		if t.Words == c.Trouble {
			return
		}
		c.Trouble = t.Words
		c.note(ctx, "an audit of both sides", migration.Command{By: byDrover, Reason: t.Words})
		if c.Phase == migration.PhaseHeld || c.Phase == migration.PhaseRolledBack {
			c.set(ctx, c.Phase, migration.WaitOperator, t.Words)
			return
		}
		c.hold = &wish{By: byDrover, Reason: t.Words}
	})
	listen(ctx, signalYielded, "A file pass has stepped aside.", func(_ workflow.Context, y yieldReply) { c.asked[y.Dataset] = true })
	for _, cmd := range []struct {
		name, description string
		apply             func(workflow.Context, migration.Command)
	}{
		{migration.UpdateHold, "Leave the customer where it is, open, and do nothing by yourself until retry or rollback.", func(_ workflow.Context, k migration.Command) { c.hold = &wish{k.By, k.Reason} }},
		{migration.UpdateRetry, "Go on with a customer that is held or was rolled back.", func(_ workflow.Context, k migration.Command) { c.retry = &wish{k.By, k.Reason} }},
		{migration.UpdateRollback, "Move the customer back home, with everything written since.", func(_ workflow.Context, k migration.Command) { c.takeBack(wish{k.By, k.Reason}) }},
	} {
		if err := c.command(ctx, cmd.name, cmd.description, func(k migration.Command) error { return c.allowed(cmd.name, k) }, cmd.apply); err != nil {
			return err
		}
	}
	return nil
}

// takeBack is the last word: a retry from before it that nobody has acted on would send the customer out again.
func (c *customer) takeBack(w wish) { c.back, c.retry = &w, nil }

// run goes from one phase to the next; every phase leaves the customer open on one side.
func (c *customer) run(ctx workflow.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	for {
		switch c.Phase {
		case migration.PhaseWaiting:
			c.wait(ctx)
		case migration.PhaseMoving:
			c.cutOver(ctx)
		case migration.PhaseBaking:
			c.bake(ctx)
		case migration.PhaseSoaking:
			c.soak(ctx)
		case migration.PhaseMovingBack:
			c.goBack(ctx)
		case migration.PhaseHeld, migration.PhaseRolledBack:
			c.rest(ctx)
		case migration.PhaseFinished, migration.PhaseAborted:
			return nil
		default:
			return fmt.Errorf("customer %s: phase %q has no story", c.in.ID, c.Phase)
		}
		if ctx.Err() != nil { // a customer is not given up by a click: what was under way has compensated, and a human decides
			ctx, _ = workflow.NewDisconnectedContext(ctx)
			switch c.Phase {
			case migration.PhaseFinished, migration.PhaseAborted:
			case migration.PhaseRolledBack:
				c.note(ctx, "canceled in Temporal: it rests already", migration.Command{})
			case migration.PhaseHeld:
				c.ByHand = true
				c.note(ctx, "canceled in Temporal", migration.Command{})
			default:
				c.heldByHand(ctx, "canceled in Temporal: nothing happens by itself until retry or rollback")
			}
		}
		if c.renews(ctx, c.mustRenew) {
			st := c.customerState
			return workflow.NewContinueAsNewError(ctx, Customer, CustomerInput{Spec: c.in.Spec, ID: c.in.ID, Batch: c.in.Batch, State: &st})
		}
	}
}

func (c *customer) mustRenew(ctx workflow.Context) bool {
	return c.back == nil && c.hold == nil && c.abort == nil && c.retry == nil && renewable(ctx, signalGo, signalBack, signalAbort, signalDismiss, signalYielded, signalAsk, signalTrouble)
}

// begin reads what the plan says of this customer and where the data says it is homed.
func (c *customer) begin(ctx workflow.Context) error {
	l := look(ctx, "read the plan's slice of "+c.in.ID)
	if err := workflow.ExecuteActivity(l, specs.LoadCustomer, state.LoadCustomerRequest{Spec: c.in.Spec, Customer: c.in.ID}).Get(l, &c.slice); err != nil {
		return err
	}
	switch {
	case wasReset(ctx):
		c.takeStock(ctx)
	case c.in.State != nil:
		c.show(ctx)
		c.report(ctx)
	default:
		c.setHome(ctx, migration.OnPrem)
		c.set(ctx, migration.PhaseWaiting, migration.WaitBatch, "")
	}
	return nil
}

// takeStock is the start of a customer that an operator reset: what it remembers is of an earlier day, the server has delivered all its
// signals once more, and only the data says where it is homed. On AWS it is watched anew; at home it is held, unless it had not gone yet.
func (c *customer) takeStock(ctx workflow.Context) {
	rec, err := c.settledHome(ctx, "the customer was reset in the middle of a Move")
	fresh := c.in.State == nil && !c.Go
	c.Go, c.back, c.hold, c.abort, c.retry = false, nil, nil, nil, nil
	if err != nil {
		c.setHome(ctx, cmp.Or(c.Home, migration.OnPrem)) // as it remembers
		c.held(ctx, "reset in Temporal, and its home cannot be read: "+reason(err))
		return
	}
	c.setHome(ctx, rec.Home())
	c.note(ctx, "reset in Temporal: homed on "+string(rec.Home()), migration.Command{})
	switch {
	case rec.Home() == migration.AWS:
		c.startBake(ctx)
	case fresh:
		c.set(ctx, migration.PhaseWaiting, migration.WaitBatch, "")
	default:
		c.heldByHand(ctx, "reset in Temporal: nothing happens by itself until retry")
	}
	c.release(ctx) // the Move that asked the passes over its files to step aside is no more
}

// wait is for the batch. A customer that an earlier run of this plan brought to AWS is not touched again.
func (c *customer) wait(ctx workflow.Context) {
	c.await(ctx, func() bool { return c.Go || c.back != nil || c.hold != nil || c.abort != nil })
	switch {
	case c.ended(ctx):
	case c.hold != nil:
		c.Go = false
		c.obeyHold(ctx)
	case c.back != nil: // its batch takes back everyone it has told to go
		c.Go = false
		c.set(ctx, migration.PhaseRolledBack, migration.WaitOperator, "never left: "+c.take(&c.back))
	case c.Go:
		c.Go = false
		rec, err := c.readHome(ctx)
		if err != nil {
			c.held(ctx, "its home cannot be read: "+reason(err))
			return
		}
		c.setHome(ctx, rec.Home())
		if rec.Home() == migration.AWS && rec.Settled() {
			if err := followHome(ctx, c.in.Spec, c.slice); err != nil { // that run may have ended between the open and the route
				c.held(ctx, "homed on AWS by an earlier run, and its route is not: "+reason(err))
				return
			}
			c.note(ctx, "already homed on AWS by an earlier run: not touched", migration.Command{})
			c.set(ctx, migration.PhaseFinished, migration.WaitNothing, "homed on AWS by an earlier run of this plan")
			return
		}
		c.set(ctx, migration.PhaseMoving, migration.WaitNothing, "")
	}
}

// cutOver moves the customer to AWS; what comes after is decided by how that ended.
func (c *customer) cutOver(ctx workflow.Context) {
	if c.Baseline == nil && c.slice.Health.Compare != nil {
		w := watch(ctx, time.Minute, "measure the baseline of "+c.in.ID)
		var b health.Baseline
		if err := workflow.ExecuteActivity(w, doctor.MeasureBaseline, health.WatchRequest{Plan: c.in.Spec.Plan, Slice: c.slice}).Get(w, &b); err != nil {
			c.held(ctx, "the baseline could not be measured: "+reason(err))
			return
		}
		c.Baseline = &b
	}
	why, arrived := c.move(ctx, migration.AWS, c.slice.Policy.Tries)
	switch {
	case arrived:
		c.startBake(ctx)
	case c.ended(ctx):
	case c.back != nil:
		c.set(ctx, migration.PhaseRolledBack, migration.WaitOperator, "never left: "+c.take(&c.back))
	case c.hold != nil:
		c.obeyHold(ctx)
	default:
		c.held(ctx, why)
	}
}

func (c *customer) startBake(ctx workflow.Context) {
	c.Ends = workflow.Now(ctx).Add(c.slice.Batch.Bake.D())
	c.set(ctx, migration.PhaseBaking, migration.WaitHealth, "")
}

// bake watches the customer's health right after the cutover, without a gap.
func (c *customer) bake(ctx workflow.Context) {
	left := max(c.Ends.Sub(workflow.Now(ctx)), time.Second)
	if c.watched(ctx, left, true) {
		c.note(ctx, "baked: healthy on AWS", migration.Command{})
		c.Ends = workflow.Now(ctx).Add(c.slice.Policy.Soak.D())
		c.set(ctx, migration.PhaseSoaking, migration.WaitHealth, "going back still loses nothing")
	}
}

// soak looks again and again until the soak is over, and heals the route while it is there.
func (c *customer) soak(ctx workflow.Context) {
	left := c.Ends.Sub(workflow.Now(ctx))
	if left <= 0 {
		c.set(ctx, migration.PhaseFinished, migration.WaitNothing, "")
		return
	}
	awaitFor(ctx, min(left, soakLook), "until the next look in the soak", func() bool { return c.back != nil || c.hold != nil || c.abort != nil })
	if c.interrupted(ctx) {
		return
	}
	waits, why := migration.WaitHealth, "going back still loses nothing"
	if err := followHome(ctx, c.in.Spec, c.slice); err != nil {
		waits, why = migration.WaitOperator, "its route is left as it is: "+reason(err)
	}
	c.set(ctx, migration.PhaseSoaking, waits, why)
	c.watched(ctx, glance(c.slice.Health.Probes), false)
}

// glance is long enough for every probe to fail as often as a verdict of fail takes.
func glance(probes []migration.Probe) time.Duration {
	d := time.Second
	for _, p := range probes {
		d = max(d, time.Duration(p.FailAfter+1)*(p.Every.D()+p.Timeout.D()))
	}
	return d
}

// watched probes for a while. It says whether all is well; otherwise the phase has changed.
func (c *customer) watched(ctx workflow.Context, length time.Duration, compare bool) bool {
	wctx, cancel := workflow.WithCancel(watch(ctx, length, "watch the health of "+c.in.ID+" on AWS"))
	req := health.WatchRequest{Plan: c.in.Spec.Plan, Slice: c.slice, For: migration.Duration(length)}
	if compare {
		req.Baseline = c.Baseline
	}
	f := workflow.ExecuteActivity(wctx, doctor.WatchHealth, req)
	c.await(ctx, func() bool { return f.IsReady() || c.back != nil || c.hold != nil || c.abort != nil })
	if !f.IsReady() {
		cancel()
		c.interrupted(ctx)
		return false
	}
	var v migration.Verdict
	if err := f.Get(ctx, &v); err != nil {
		v = migration.Verdict{Outcome: migration.Inconclusive, Reason: "health could not be judged: " + reason(err), At: workflow.Now(ctx)}
	}
	c.Verdict = &v
	switch v.Outcome {
	case migration.Pass:
		return true
	case migration.Fail:
		c.ByHealth, c.WithBatch, c.BackSince = true, false, workflow.Now(ctx)
		c.note(ctx, "unhealthy on AWS: moving back", migration.Command{Reason: v.Reason})
		c.set(ctx, migration.PhaseMovingBack, migration.WaitNothing, v.Reason)
	default:
		c.held(ctx, v.Reason)
	}
	return false
}

// interrupted carries out what somebody asked for while the customer was watched.
func (c *customer) interrupted(ctx workflow.Context) bool {
	switch {
	case c.back != nil:
		c.ByHealth, c.WithBatch, c.BackSince = false, c.back.By == byDrover, workflow.Now(ctx)
		c.set(ctx, migration.PhaseMovingBack, migration.WaitNothing, "asked by "+c.take(&c.back))
	case c.abort != nil: // nobody would look after it there
		c.ByHealth, c.WithBatch, c.BackSince = false, false, workflow.Now(ctx)
		c.set(ctx, migration.PhaseMovingBack, migration.WaitNothing, "aborted by "+c.abort.By)
	case c.hold != nil:
		c.obeyHold(ctx)
	default:
		return false
	}
	return true
}

// goBack is the same Move the other way.
func (c *customer) goBack(ctx workflow.Context) {
	why, arrived := c.move(ctx, migration.OnPrem, wayBackTries*c.slice.Policy.Tries)
	if !arrived {
		c.held(ctx, "cannot go back: "+why)
		return
	}
	c.back, c.Go = nil, false
	c.RollbackMS = append(c.RollbackMS, workflow.Now(ctx).Sub(c.BackSince).Milliseconds())
	c.set(ctx, migration.PhaseRolledBack, migration.WaitOperator, c.Reason)
}

// rest is for a human, or for the batch to start anew.
func (c *customer) rest(ctx workflow.Context) {
	c.hold = nil // it is
	c.await(ctx, func() bool {
		return c.retry != nil || c.back != nil || c.abort != nil && c.Home == migration.OnPrem || c.Go && c.Home == migration.OnPrem
	})
	switch {
	case ctx.Err() != nil:
	case c.ended(ctx):
	case c.back != nil && c.Home == migration.AWS:
		c.interrupted(ctx)
	case c.back != nil:
		c.take(&c.back) // it is at home
		c.Go = false
		c.report(ctx)
	case c.retry == nil && c.ByHand:
		c.Go = false
		c.report(ctx) // that it has heard, and stays
	case c.Home == migration.AWS:
		c.take(&c.retry)
		c.restore(ctx)
	default:
		c.retry, c.Go, c.ByHand = nil, false, false
		c.Verdict, c.ByHealth, c.WithBatch = nil, false, false
		c.set(ctx, migration.PhaseMoving, migration.WaitNothing, "")
	}
}

// restore is the retry of a customer that is held on AWS: it is watched anew, once what a try or a route left unfinished is finished.
func (c *customer) restore(ctx workflow.Context) {
	c.ByHand = false
	c.startBake(ctx)
	rec, err := c.settledHome(ctx, "an earlier try did not finish")
	if err == nil {
		c.setHome(ctx, rec.Home())
		err = followHome(ctx, c.in.Spec, c.slice)
	}
	switch {
	case err != nil:
		c.held(ctx, "still not in order: "+reason(err))
	case c.Home == migration.OnPrem:
		c.Go = false
		c.set(ctx, migration.PhaseRolledBack, migration.WaitOperator, "a try to go back was finished by its repair")
	}
}

// move tries until the customer is homed at to, the tries are spent, or somebody wants something else. It settles what a try left between
// its steps before the next one, and after the last: the customer is open when it waits.
func (c *customer) move(ctx workflow.Context, to migration.Side, tries int) (why string, arrived bool) {
	c.yield(ctx)
	defer func() { c.release(ctx) }()
	unwanted := func() bool { return to == migration.AWS && (c.abort != nil || c.back != nil || c.hold != nil) }
	for c.Tries = 0; ; {
		rec, err := c.settledHome(ctx, "an earlier try did not finish")
		if c.Tries > 0 && unanswered(err) { // only the data knows what the try has done
			c.set(ctx, c.Phase, migration.WaitData, "what the last try did is asked until it is known: "+reason(err))
			continue
		}
		if err != nil {
			return reason(err), false
		}
		moved := c.Home != rec.Home()
		c.setHome(ctx, rec.Home())
		if rec.Home() == to && rec.Settled() {
			if err := followHome(ctx, c.in.Spec, c.slice); err != nil {
				return reason(err), false
			}
			if moved { // by a try that did not live to say so
				c.Moves = append(c.Moves, migration.MoveResult{Outcome: migration.MoveDone, Try: migration.Try{Token: rec.Token()}, From: to.Other(), To: to, Home: to, Reason: why})
			}
			return "", true
		}
		if c.Tries > 0 && c.Tries < tries && !unwanted() {
			c.Standing.Reason = why
			c.show(ctx)
			awaitFor(ctx, min(tryPause<<min(c.Tries-1, 10), tryPauseMost), "before the next try", unwanted)
		}
		if c.Tries == 0 && unwanted() {
			return "", false
		}
		if c.Tries > 0 && (c.Tries >= tries || unwanted()) {
			why = fmt.Sprintf("after %d tries: %s", c.Tries, why)
			if !rec.Settled() {
				why += "; the last could not be repaired, and the customer may be closed on both sides: retry repairs it"
			}
			return why, false
		}
		if ctx.Err() != nil {
			return "canceled", false
		}
		c.Tries++
		result := c.try(ctx, to)
		c.Token = max(c.Token, result.Try.Token)
		if result.Outcome == migration.MoveDone {
			c.setHome(ctx, to)
			c.Moves = append(c.Moves, result)
			c.note(ctx, fmt.Sprintf("homed on %s, frozen for %s, predicted %s", to, result.Freeze.D().Round(time.Millisecond), result.Predicted.D().Round(time.Millisecond)), migration.Command{})
			return "", true
		}
		why = result.Reason
		c.note(ctx, fmt.Sprintf("try %d to %s %s while %s", c.Tries, to, result.Outcome, result.Step), migration.Command{Reason: why})
	}
}

// unanswered says whether a question found nobody for as long as it was asked: what its last attempt failed with is not the answer.
func unanswered(err error) bool {
	var asked *temporal.ActivityError
	return errors.As(err, new(*temporal.TimeoutError)) || errors.As(err, &asked) && asked.RetryState() == enums.RETRY_STATE_TIMEOUT
}

// try runs one Move, and repairs after one that did not say how it ended.
func (c *customer) try(ctx workflow.Context, to migration.Side) migration.MoveResult {
	token := c.Token + 1
	c.Token = token + 1 // a Move resolves its doubts under the token after its own
	in := MoveInput{Spec: c.in.Spec, Slice: c.slice, From: to.Other(), To: to, Token: token}
	cctx := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: migration.MoveID(c.in.Spec.Plan, c.in.ID, token), WaitForCancellation: true, ParentClosePolicy: enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		StaticSummary: fmt.Sprintf("%s to %s, try %d", c.in.ID, to, c.Tries),
		TypedSearchAttributes: temporal.NewSearchAttributes(attrPlan.ValueSet(c.in.Spec.Plan), attrCustomer.ValueSet(c.in.ID), attrBatch.ValueSet(c.in.Batch),
			attrPhase.ValueSet(string(migration.PhaseChecking)), attrWaiting.ValueSet(string(migration.WaitNothing)), attrHome.ValueSet(string(c.Home))),
	})
	var result migration.MoveResult
	if err := workflow.ExecuteChildWorkflow(cctx, Move, in).Get(cctx, &result); err != nil {
		return c.repair(ctx, in.From, reason(err))
	}
	return result
}

// repair settles a Move that was terminated, reset or lost: under the next token it claims the origin. An origin that is not sealed
// opens; a sealed one is answered with poison and reopen. Any number of repairs may run at once.
func (c *customer) repair(ctx workflow.Context, from migration.Side, why string) migration.MoveResult {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	c.note(ctx, "repairing a Move that did not say how it ended", migration.Command{Reason: why})
	for {
		rec, err := c.readHome(ctx)
		if err != nil {
			return migration.MoveResult{Outcome: migration.MoveGaveUp, Home: c.Home, Reason: reason(err)}
		}
		c.Token++
		m := newMove(ctx, MoveInput{Spec: c.in.Spec, Slice: c.slice, From: from, To: from.Other(), Token: c.Token})
		m.try.Owner = newOwner(ctx)
		result, err := m.claim(ctx, migration.Try{Token: rec.Side(from).Token, Owner: rec.Side(from).Owner})
		switch {
		case err == nil:
			result.Reason = "repaired after: " + why
			return result
		case !errors.Is(err, errSuperseded):
			return migration.MoveResult{Outcome: migration.MoveGaveUp, Try: m.try, From: from, To: from.Other(), Home: c.Home, Reason: reason(err)}
		}
	}
}

// newOwner is a UUID of its own for a try that is not a workflow run.
func newOwner(ctx workflow.Context) string {
	var id string
	_ = workflow.SideEffect(ctx, func(workflow.Context) any { return uuid.NewString() }).Get(&id)
	return id
}

// claim is the repair's step on the origin and, where it was sealed, the resolution. dead is the try that sealed it: only under that one
// do the databases after the first open.
func (m *move) claim(ctx workflow.Context, dead migration.Try) (migration.MoveResult, error) {
	sealed := false
	for _, d := range m.Slice.Databases {
		r, err := m.insist(ctx, "claim "+d.Name, pg.ClaimTenant, d, m.try)
		if err != nil {
			return m.result, err
		}
		sealed = sealed || r.Word == migration.WordSealed
	}
	m.result.Outcome, m.result.Step = migration.MoveReversed, migration.PhaseResolving
	if !sealed {
		return m.result, followHome(ctx, m.Spec, m.Slice)
	}
	opened, err := m.settle(ctx, m.try, dead)
	if err != nil {
		return m.result, err
	}
	if opened {
		m.result.Outcome, m.result.Home = migration.MoveDone, m.To
	}
	return m.result, followHome(ctx, m.Spec, m.Slice)
}

// readHome asks the data where the customer is homed. Of several databases the one that is in the middle of a try speaks for all: the
// others have not begun it, or are through with it.
func (c *customer) readHome(ctx workflow.Context) (migration.HomeRecord, error) {
	records := make([]workflow.Future, len(c.slice.Databases))
	for i, d := range c.slice.Databases {
		req := postgres.TenantRequest{
			PostgresRef: postgres.PostgresRef{Plan: c.in.Spec.Plan, Dataset: d, Target: c.slice.Target(d.Target())},
			Customer:    c.in.ID, Tenant: c.slice.Customer.Tenant,
		}
		records[i] = workflow.ExecuteActivity(within(ctx, d.Site(), "read the home record of "+c.in.ID+" in "+d.Name), pg.ReadHome, req)
	}
	var home migration.HomeRecord
	for i, f := range records {
		var rec migration.HomeRecord
		if err := f.Get(ctx, &rec); err != nil {
			return rec, fmt.Errorf("database %s: %w", c.slice.Databases[i].Name, err)
		}
		c.Token = max(c.Token, rec.Token())
		if why := rec.Undecided(); why != "" { // whatever was done now could be done on the wrong side
			return rec, fmt.Errorf("database %s: %s", c.slice.Databases[i].Name, why)
		}
		switch {
		case i == 0 || home.Settled() && !rec.Settled():
			home = rec
		case home.Settled() && rec.Home() != home.Home():
			return home, fmt.Errorf("customer %s is homed on %s in %s and on %s in %s: no try leaves it so; find out who wrote the fence table", c.in.ID,
				home.Home(), c.slice.Databases[0].Name, rec.Home(), c.slice.Databases[i].Name)
		}
	}
	return home, nil
}

// settledHome is readHome, after the repair of a try that was terminated, reset or superseded between its steps. No cancel keeps it from that.
func (c *customer) settledHome(ctx workflow.Context, why string) (migration.HomeRecord, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	rec, err := c.readHome(ctx)
	if err != nil || rec.Settled() {
		return rec, err
	}
	if r := c.repair(ctx, rec.Home(), why); r.Outcome == migration.MoveGaveUp {
		c.note(ctx, "the repair did not succeed", migration.Command{Reason: r.Reason})
	}
	return c.readHome(ctx)
}

// yield asks the file passes over this customer's data to step aside, and waits until they have.
func (c *customer) yield(ctx workflow.Context) {
	for _, d := range c.slice.Files {
		c.asked[d.Name] = false
		c.tell(ctx, migration.ReplicationID(c.in.Spec.Plan, d.Name), signalYield, yieldRequest{Customer: c.in.ID, ReplyTo: migration.CustomerID(c.in.Spec.Plan, c.in.ID)})
	}
	// A pass that does not answer is no danger (its late writes are conditional), only slow: the Move's own last pass decides.
	awaitFor(ctx, yieldPatience, "until the passes over the files step aside", func() bool {
		for _, d := range c.slice.Files {
			if !c.asked[d.Name] {
				return false
			}
		}
		return true
	})
}

func (c *customer) release(ctx workflow.Context) {
	for _, d := range c.slice.Files {
		c.tell(ctx, migration.ReplicationID(c.in.Spec.Plan, d.Name), signalRelease, release{Customer: c.in.ID, Home: c.Home, Token: c.Token})
	}
}

func (c *customer) setHome(ctx workflow.Context, home migration.Side) {
	if c.Home == home {
		return
	}
	c.Home = home
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrHome.ValueSet(string(home))); err != nil {
		workflow.GetLogger(ctx).Warn("search attributes were not updated", "error", err)
	}
}

func (c *customer) obeyHold(ctx workflow.Context) { c.heldByHand(ctx, "held by "+c.take(&c.hold)) }

// heldByHand is what somebody asked for: its batch does not let it go again, only a retry of the customer itself does.
func (c *customer) heldByHand(ctx workflow.Context, why string) {
	c.ByHand = true
	c.held(ctx, why)
}

func (c *customer) held(ctx workflow.Context, why string) {
	c.note(ctx, "held on "+string(c.Home), migration.Command{Reason: why})
	c.set(ctx, migration.PhaseHeld, migration.WaitOperator, why)
}

// ended carries out an abort, at home: what Drover made on AWS is removed after it.
func (c *customer) ended(ctx workflow.Context) bool {
	if c.abort == nil || c.Home != migration.OnPrem {
		return false
	}
	c.set(ctx, migration.PhaseAborted, migration.WaitNothing, "aborted by "+c.take(&c.abort))
	return true
}

// take hands over a wish and forgets it.
func (c *customer) take(w **wish) string {
	v := *w
	*w = nil
	if v == nil {
		return ""
	}
	if v.Reason == "" {
		return v.By
	}
	return v.By + ": " + v.Reason
}

func (c *customer) await(ctx workflow.Context, until func() bool) { _ = workflow.Await(ctx, until) }
