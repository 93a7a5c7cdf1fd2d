package customer

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	wayBackTries = 3                // times the plan's tries: giving up on the way home is worse
	skipPause    = 15 * time.Second // between two attempts to note that the customer is skipped
)

// wait is for the batch.
func (c *customer) wait(ctx workflow.Context) {
	c.sleepToSlotsEnd(ctx, func() bool { return c.Go || c.wanted() })
	if !c.wanted() && ctx.Err() == nil && c.slotPassed(ctx) {
		c.missSlot(ctx)
		return
	}
	if !c.wanted() && c.Go {
		c.known = true // who says go to a customer that waits shows it as one that moves
		c.setOut(ctx)
		return
	}
	c.obey(ctx)
}

// setOut begins the way to AWS. What was judged of it there before stays with the Move that led to
// it.
func (c *customer) setOut(ctx workflow.Context) {
	for i := len(c.Moves) - 1; i >= 0 && c.Verdict != nil; i-- {
		if c.Moves[i].To == migration.AWS {
			c.Moves[i].Verdict = c.Verdict
			break
		}
	}
	c.Go, c.Tries, c.Why, c.Verdict, c.Cause, c.Unrouted, c.Unled, c.Unjudged = false, 0, "", nil, "", "", false, false
	c.Deferral, c.Slots = nil, nil
	c.Set(ctx, migration.CustomerMoving, migration.WaitNothing, "")
}

// cutOver moves the customer to AWS; what comes after is decided by how that ended.
func (c *customer) cutOver(ctx workflow.Context) {
	if err := c.refresh(ctx); err != nil {
		c.Cause = ""
		c.held(ctx, "the amended plan could not be read: "+work.Reason(err))
		return
	}
	if why := c.prepared(ctx); why != "" {
		c.Cause = ""
		c.held(ctx, "its route could not be made ready: "+why)
		return
	}
	if err := c.measure(ctx); err != nil {
		c.Cause = ""
		c.held(ctx, "the baseline could not be measured: "+work.Reason(err))
		return
	}
	switch c.move(ctx, migration.AWS, c.slice.Policy.Tries) {
	case unknown:
	case arrived:
		c.arrived(ctx)
	case stayed:
		if !c.obey(ctx) {
			c.Cause = ""
			c.held(ctx, c.afterTries())
		}
	}
}

func (c *customer) afterTries() string {
	if c.Tries == 0 || c.halted {
		return c.Why
	}
	return fmt.Sprintf("after %d tries: %s", c.Tries, c.Why)
}

// measure takes the customer's baseline, before it leaves home: it cannot be taken afterwards. The
// freeze writes it down beside the fence, before it touches anything. A measurement that somebody
// who wants something else has cut off is made anew.
func (c *customer) measure(ctx workflow.Context) error {
	if c.Baseline != nil || !c.slice.Health.Compares() || c.Home != migration.OnPrem || c.wanted() {
		return nil
	}
	measuring, cancel := workflow.WithCancel(work.Watch.Lasting(time.Minute).In(ctx, "measure the baseline of "+c.in.ID))
	defer cancel()
	f := workflow.ExecuteActivity(measuring, work.Health.MeasureBaseline, health.WatchRequest{Plan: c.in.Spec.Plan, Slice: c.slice})
	if c.await(ctx, func() bool { return f.IsReady() || c.wanted() }); !f.IsReady() {
		return ctx.Err()
	}
	var b health.Baseline
	if err := f.Get(measuring, &b); err != nil {
		return err
	}
	c.Baseline = &b
	return nil
}

// arrived begins the bake of a customer that is homed on AWS. One whose route cannot be set is
// served by nobody there, and goes back: the old route is right again then.
func (c *customer) arrived(ctx workflow.Context) {
	c.bakes(ctx)
	if c.Notes > 0 { // else its data remembers that it moved, which means on AWS that it bakes
		c.jot(ctx)
	}
	if c.Unrouted != "" && c.served(ctx) {
		c.bakes(ctx)
	}
}

// bakes begins a bake, or the watch at a weight on the way to it.
func (c *customer) bakes(ctx workflow.Context) {
	length := c.slice.Batch.Bake
	if c.shifting() > 0 {
		length = c.slice.Policy.Step
	}
	c.Ends = workflow.Now(ctx).Add(length.D())
	c.Set(ctx, migration.CustomerBaking, migration.WaitHealth, c.weighs())
}

// bake watches the customer's health right after the cutover, without a gap.
func (c *customer) bake(ctx workflow.Context) {
	if c.Verdict != nil && c.Verdict.Blind != "" && !c.seen(ctx) {
		return
	}
	left := max(c.Ends.Sub(workflow.Now(ctx)), time.Second)
	if c.shifting() > 0 {
		if c.baked(ctx, left) {
			c.raise(ctx)
		}
		return
	}
	if c.baked(ctx, left) {
		c.Note(ctx, "baked: healthy on AWS", migration.Command{})
		c.Ends = workflow.Now(ctx).Add(c.slice.Policy.Soak.D())
		c.soaks(ctx)
	}
}

// soaks begins a soak, or goes on with one. Its batch notes in its data that it has begun, and when
// it is over, together with those of others. Where its data says something else of this stay, such
// as a hold that is over, it is put right at once: whoever is started again believes it.
func (c *customer) soaks(ctx workflow.Context) {
	waits, reason := Soaks("")
	said := c.Notes > 0
	m := c.memory()
	m.Phase, m.Since, m.Reason = migration.CustomerSoaking, workflow.Now(ctx), reason
	c.Soak = &mail.SoakNotes{Begun: c.noted(m)}
	c.Soak.Over = c.noted(memory{Phase: migration.CustomerFinished, Since: c.Ends})
	c.Set(ctx, migration.CustomerSoaking, waits, reason)
	if said {
		c.noteAt(ctx, c.Soak.Begun)
	}
}

// Soaks is what a customer that soaks waits for and says. trouble is what somebody has to look at.
func Soaks(trouble string) (waits migration.Waiting, reason string) {
	if trouble != "" {
		return migration.WaitOperator, trouble
	}
	return migration.WaitHealth, ""
}

// Reason is a customer's reason as it was kept or reported. Customers that soaked well once said
// that going back loses nothing, which only the audits of their data know.
func Reason(kept string) string {
	if kept == "going back still loses nothing" {
		return ""
	}
	return kept
}

// soak sleeps until somebody wants something else, or the batch, which looks at all that soak, has
// seen something.
func (c *customer) soak(ctx workflow.Context) {
	c.sleep(ctx, func() bool { return c.Seen != nil || c.wanted() })
	if ctx.Err() != nil || c.obey(ctx) || c.Seen == nil {
		return
	}
	seen := *c.Seen
	c.Seen = nil
	switch {
	case !seen.Until.Equal(c.Ends): // of another soak
	case seen.Elsewhere:
		c.Note(ctx, "its data does not say aws any more", migration.Command{By: mail.ByDrover})
		c.Resume = c.Phase
		c.Set(ctx, migration.CustomerFinding, migration.WaitData, "its data says that it is homed elsewhere")
	case seen.Unwell != nil:
		c.judged(ctx, *seen.Unwell)
	case seen.Over:
		c.finish(ctx, seen.Noted)
	default:
		waits, reason := Soaks(seen.Trouble)
		c.Set(ctx, migration.CustomerSoaking, waits, reason)
	}
}

// finish ends the soak. A customer has finished only when its own data says so: until then it
// soaks, can go back, and is told again.
func (c *customer) finish(ctx workflow.Context, noted bool) {
	if c.lastCalls(ctx); c.wanted() { // an answer may hold it
		return
	}
	if !noted {
		note := c.noted(memory{Phase: migration.CustomerFinished, Since: workflow.Now(ctx)})
		if err := c.write(ctx, note, migration.CustomerFinished); err != nil {
			c.Set(ctx, migration.CustomerSoaking, migration.WaitData,
				"the soak is over, and its database does not take note of it: "+work.Reason(err))
			return
		}
	}
	c.settle(ctx)
	c.Set(ctx, migration.CustomerFinished, migration.WaitNothing, "")
}

// baked probes until the bake is over. It says whether all is well; otherwise the phase has
// changed, or nobody could judge.
func (c *customer) baked(ctx workflow.Context, length time.Duration) bool {
	req := health.WatchRequest{Compare: c.Baseline != nil, Baseline: c.Baseline, Slice: c.slice}
	if c.Unjudged {
		req.Slice.Health.Compare = nil
	}
	v, ended := c.watch(ctx, req, length)
	return ended && c.judged(ctx, v)
}

// watch probes for so long. ended is false where somebody wanted something else, which has been
// obeyed.
func (c *customer) watch(ctx workflow.Context, req health.WatchRequest, length time.Duration) (v migration.Verdict, ended bool) {
	req.Plan, req.For, req.Share = c.in.Spec.Plan, migration.Duration(length), c.shifting()
	watching, cancel := workflow.WithCancel(work.Watch.Lasting(length).In(ctx, "watch the health of "+c.in.ID+" on AWS"))
	f := workflow.ExecuteActivity(watching, work.Health.WatchHealth, req)
	c.await(ctx, func() bool { return f.IsReady() || c.wanted() })
	if !f.IsReady() {
		cancel()
		workflow.Go(ctx, func(ctx workflow.Context) { c.keepVerdict(ctx, f) })
		c.obey(ctx)
		return v, false
	}
	v.At = workflow.Now(ctx)
	if err := f.Get(ctx, &v); err != nil {
		v.Outcome, v.Reason = migration.Inconclusive, "health could not be judged: "+work.Reason(err)
		v.Blind = work.Reason(err)
	}
	return v, true
}

const (
	blindPause = 10 * time.Second // between two looks of a worker that reaches nothing
	blindLook  = 5 * time.Second  // how long one lasts
)

// blinded keeps the customer in its bake: that the worker which watches it reaches nothing says
// nothing about the customer. Its batch sends nobody out meanwhile.
func (c *customer) blinded(ctx workflow.Context) {
	c.Set(ctx, migration.CustomerBaking, migration.WaitHealth,
		"its health cannot be judged, and its bake begins anew when it can: "+c.Verdict.Blind)
}

// seen looks again, after a pause, at a customer that could not be judged. It says whether its bake
// begins anew.
func (c *customer) seen(ctx workflow.Context) bool {
	work.AwaitFor(ctx, blindPause, "before "+c.in.ID+" is looked at again", c.wanted)
	if ctx.Err() != nil || c.obey(ctx) {
		return false
	}
	req := health.WatchRequest{Slice: c.slice}
	req.Slice.Health.Compare = nil
	v, ended := c.watch(ctx, req, blindLook)
	if !ended {
		return false
	}
	if c.Verdict = &v; v.Blind != "" {
		c.blinded(ctx)
		return false
	}
	if v.Outcome == migration.Fail {
		return c.judged(ctx, v)
	}
	c.Note(ctx, "can be judged again: its bake begins anew", migration.Command{By: mail.ByDrover})
	c.bakes(ctx)
	c.jot(ctx)
	return true
}

// keepVerdict keeps what a watch that was cut off had found by then.
func (c *customer) keepVerdict(ctx workflow.Context, watch workflow.Future) {
	was := c.Verdict
	var cut *temporal.CanceledError
	var v migration.Verdict
	if errors.As(watch.Get(ctx, nil), &cut) && cut.HasDetails() && cut.Details(&v) == nil && c.Verdict == was {
		c.Verdict = &v
		c.report(ctx)
	}
}

// judged acts on a verdict. Only a pass says that all is well. Where nobody could judge, the bake
// goes on.
func (c *customer) judged(ctx workflow.Context, v migration.Verdict) bool {
	if v.Outcome == migration.Pass && c.Phase == migration.CustomerBaking && c.slice.Health.Compares() &&
		c.Baseline == nil && !c.Unjudged {
		v.Outcome = migration.Inconclusive
		v.Reason = "there is no baseline from before the move to compare with; retry goes on without the comparison, rollback takes the " +
			"customer home"
	}
	c.Verdict = &v
	if c.Phase == migration.CustomerBaking { // what a look in a soak finds its batch counts
		counted(ctx, v)
	}
	switch {
	case v.Outcome == migration.Pass:
		return true
	case v.Outcome == migration.Fail:
		c.Note(ctx, "unhealthy on AWS: moving back", migration.Command{Reason: v.Reason})
		c.goHome(ctx, migration.ByVerdict, v.Reason)
	case v.Blind != "" && c.Phase == migration.CustomerBaking:
		c.Note(ctx, "cannot be judged", migration.Command{By: mail.ByDrover, Reason: v.Blind})
		c.blinded(ctx)
	default:
		c.Cause = ""
		c.held(ctx, v.Reason)
	}
	return false
}

// goHome begins the way back.
func (c *customer) goHome(ctx workflow.Context, cause migration.Cause, why string) {
	c.Cause, c.BackSince, c.Tries, c.Why = cause, workflow.Now(ctx), 0, ""
	c.Set(ctx, migration.CustomerMovingBack, migration.WaitNothing, why)
	c.jot(ctx) // whoever is terminated now, the customer comes home
}

// goBack is the same Move the other way.
func (c *customer) goBack(ctx workflow.Context) {
	switch c.move(ctx, migration.OnPrem, wayBackTries*c.slice.Policy.Tries) {
	case unknown:
	case arrived:
		c.cameHome(ctx, c.Reason)
	case stayed:
		if !c.obey(ctx) {
			c.held(ctx, "cannot go back: "+c.afterTries())
		}
	}
}

// cameHome is the end of the way back.
func (c *customer) cameHome(ctx workflow.Context, why string) {
	c.Orders.Back, c.Go = nil, false
	if !c.BackSince.IsZero() {
		c.RollbackMS, c.BackSince = append(c.RollbackMS, workflow.Now(ctx).Sub(c.BackSince).Milliseconds()), time.Time{}
	}
	c.rests(ctx, migration.CustomerRolledBack, why)
}

// rest is for a human, or for the batch to start anew.
func (c *customer) rest(ctx workflow.Context) {
	until := func() bool { return c.wanted() || c.Go && c.Home == migration.OnPrem }
	deferral, deferred := c.restsFor(ctx)
	if deferred {
		over := c.Deferral
		work.AwaitFor(ctx, deferral, "until the deferral of "+c.in.ID+" ends",
			func() bool { return until() || c.Deferral != over || c.mustRenew(ctx) })
		deferral, deferred = c.restsFor(ctx)
	} else if c.Unrouted != "" {
		work.AwaitFor(ctx, c.routeAgain, "before the route of "+c.in.ID+" is set again", until)
	} else {
		c.sleep(ctx, until)
	}
	switch {
	case ctx.Err() != nil || c.obey(ctx):
	case deferred && deferral == 0:
		c.deferralEnds(ctx)
	case c.Unrouted != "" && !deferred && !until():
		c.reroute(ctx)
	case !until():
	case c.Go && c.Cause.Stays():
		c.Go = false
		c.report(ctx) // that it has heard, and stays
	case c.Go:
		c.setOut(ctx)
	}
}

// obey carries out the first order that means something now, and says whether there was one.
func (c *customer) obey(ctx workflow.Context) bool {
	k := c.Orders.first(c.Phase, c.Home)
	if k == none {
		return false
	}
	if k == abort && c.Home == migration.AWS { // nobody would look after it there: it ends at home
		c.goHome(ctx, migration.ByOrder, "aborted by "+c.Orders.Abort.By)
		return true
	}
	w := c.Orders.take(k)
	switch k {
	case abort:
		c.giveUpSlot()
		c.lastCalls(ctx)
		c.Set(ctx, migration.CustomerAborted, migration.WaitNothing, "aborted by "+w.String())
	case skip:
		c.skip(ctx, w)
	case hold:
		c.Go, c.Cause = false, w.Cause
		if w.Elsewhere {
			c.goesAlone(ctx)
		}
		c.held(ctx, "held by "+w.String())
	case retry:
		c.again(ctx)
	case back:
		c.turn(ctx, w)
	}
	return true
}

// skip ends the customer at home. It is skipped only when its own data says so: whoever starts it
// again would send it out else. Until then it stays where it is, and the order stands.
func (c *customer) skip(ctx workflow.Context, w order) {
	c.giveUpSlot()
	c.lastCalls(ctx)
	c.Go, c.Cause = false, migration.ByHand
	why := "skipped by " + w.String()
	m := c.memory()
	m.Phase, m.Since, m.Reason = migration.CustomerSkipped, workflow.Now(ctx), why
	writing, _ := workflow.NewDisconnectedContext(ctx)
	err := c.write(writing, c.noted(m), m.Phase)
	if err == nil {
		c.settle(ctx)
		c.Set(ctx, m.Phase, migration.WaitNothing, why)
		return
	}
	if c.Orders.Skip == nil {
		c.Orders.Skip = &w
	}
	c.Set(ctx, c.Phase, migration.WaitData, why+"; its data does not take note of it, and is asked again: "+work.Reason(err))
	work.AwaitFor(ctx, skipPause, "before "+c.in.ID+" is noted as skipped again", func() bool { return c.Orders.Abort != nil })
}

// turn takes the customer back, or keeps it at home.
func (c *customer) turn(ctx workflow.Context, w order) {
	switch {
	case c.Home == migration.AWS:
		c.goHome(ctx, w.Cause, "asked by "+w.String())
	case c.Phase == migration.CustomerHeld || c.Phase == migration.CustomerRolledBack:
		c.Go = false
		if w.Cause == migration.ByHand {
			c.Cause = migration.ByHand
		}
		c.report(ctx) // it is at home
	default: // the batch takes back everyone whom it has told to go
		c.Go, c.Cause = false, w.Cause
		c.rests(ctx, migration.CustomerRolledBack, "never left: "+w.String())
	}
}

// again is a retry: at home the customer sets out, elsewhere what a try or a route left unfinished
// is finished, and it is watched anew.
func (c *customer) again(ctx workflow.Context) {
	c.Note(ctx, "goes on", migration.Command{})
	c.Cause = ""
	if c.Home == migration.OnPrem {
		c.setOut(ctx)
		return
	}
	c.Unjudged = c.Baseline == nil
	c.Resume = c.Phase
	c.Set(ctx, migration.CustomerFinding, migration.WaitData, "")
}

func (c *customer) held(ctx workflow.Context, why string) {
	c.Note(ctx, "held on "+string(c.Home), migration.Command{Reason: why})
	c.rests(ctx, migration.CustomerHeld, why)
}

// rests is a phase that only a human, or the batch, ends.
func (c *customer) rests(ctx workflow.Context, phase migration.CustomerPhase, why string) {
	c.Orders.Hold, c.Why = nil, why
	if c.Unrouted != "" {
		why += "; its route could not be set, and is tried again: " + c.Unrouted
	}
	c.Set(ctx, phase, migration.WaitOperator, why)
	c.jot(ctx)
}

// jot remembers where the customer stands, if its database takes note of it. What is written next
// says it again.
func (c *customer) jot(ctx workflow.Context) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	c.unnoted(ctx, c.remember(ctx))
}

// noteAt writes one note, if its database takes note of it.
func (c *customer) noteAt(ctx workflow.Context, n migration.Note) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	c.unnoted(ctx, c.write(ctx, n, c.Phase))
}

func (c *customer) unnoted(ctx workflow.Context, err error) {
	if err != nil {
		workflow.GetLogger(ctx).Warn("not noted in the customer's data", "customer", c.in.ID, "error", err)
	}
}
