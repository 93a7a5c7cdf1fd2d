package customer

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	wayBackTries = 3           // times the plan's tries: giving up on the way home is worse
	soakLook     = time.Minute // between two looks at a customer that soaks
)

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
		c.Set(ctx, migration.CustomerRolledBack, migration.WaitOperator, "never left: "+c.take(&c.back))
	case c.Go:
		c.Go = false
		rec, err := c.readHome(ctx)
		if err != nil {
			c.held(ctx, "its home cannot be read: "+work.Reason(err))
			return
		}
		c.setHome(ctx, rec.Home())
		if rec.Home() == migration.AWS && rec.Settled() {
			if err := home.Follow(ctx, c.in.Spec, c.slice); err != nil { // that run may have ended between the open and the route
				c.held(ctx, "homed on AWS by an earlier run, and its route is not: "+work.Reason(err))
				return
			}
			c.Note(ctx, "already homed on AWS by an earlier run: not touched", migration.Command{})
			c.Set(ctx, migration.CustomerFinished, migration.WaitNothing, "homed on AWS by an earlier run of this plan")
			return
		}
		c.Set(ctx, migration.CustomerMoving, migration.WaitNothing, "")
	}
}

// cutOver moves the customer to AWS; what comes after is decided by how that ended.
func (c *customer) cutOver(ctx workflow.Context) {
	if c.Baseline == nil && c.slice.Health.Compare != nil {
		w := work.Watch.Lasting(time.Minute).In(ctx, "measure the baseline of "+c.in.ID)
		var b health.Baseline
		if err := workflow.ExecuteActivity(w, work.Health.MeasureBaseline, health.WatchRequest{Plan: c.in.Spec.Plan, Slice: c.slice}).Get(w, &b); err != nil {
			c.held(ctx, "the baseline could not be measured: "+work.Reason(err))
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
		c.Set(ctx, migration.CustomerRolledBack, migration.WaitOperator, "never left: "+c.take(&c.back))
	case c.hold != nil:
		c.obeyHold(ctx)
	default:
		c.held(ctx, why)
	}
}

func (c *customer) startBake(ctx workflow.Context) {
	c.Ends = workflow.Now(ctx).Add(c.slice.Batch.Bake.D())
	c.Set(ctx, migration.CustomerBaking, migration.WaitHealth, "")
}

// bake watches the customer's health right after the cutover, without a gap.
func (c *customer) bake(ctx workflow.Context) {
	left := max(c.Ends.Sub(workflow.Now(ctx)), time.Second)
	if c.watched(ctx, left, true) {
		c.Note(ctx, "baked: healthy on AWS", migration.Command{})
		c.Ends = workflow.Now(ctx).Add(c.slice.Policy.Soak.D())
		c.Set(ctx, migration.CustomerSoaking, migration.WaitHealth, "going back still loses nothing")
	}
}

// soak looks again and again until the soak is over, and heals the route while it is there.
func (c *customer) soak(ctx workflow.Context) {
	left := c.Ends.Sub(workflow.Now(ctx))
	if left <= 0 {
		c.Set(ctx, migration.CustomerFinished, migration.WaitNothing, "")
		return
	}
	work.AwaitFor(ctx, min(left, soakLook), "until the next look in the soak", func() bool { return c.back != nil || c.hold != nil || c.abort != nil })
	if c.interrupted(ctx) {
		return
	}
	waits, why := migration.WaitHealth, "going back still loses nothing"
	if err := home.Follow(ctx, c.in.Spec, c.slice); err != nil {
		waits, why = migration.WaitOperator, "its route is left as it is: "+work.Reason(err)
	}
	c.Set(ctx, migration.CustomerSoaking, waits, why)
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
	wctx, cancel := workflow.WithCancel(work.Watch.Lasting(length).In(ctx, "watch the health of "+c.in.ID+" on AWS"))
	req := health.WatchRequest{Plan: c.in.Spec.Plan, Slice: c.slice, For: migration.Duration(length)}
	if compare {
		req.Baseline = c.Baseline
	}
	f := workflow.ExecuteActivity(wctx, work.Health.WatchHealth, req)
	c.await(ctx, func() bool { return f.IsReady() || c.back != nil || c.hold != nil || c.abort != nil })
	if !f.IsReady() {
		cancel()
		c.interrupted(ctx)
		return false
	}
	var v migration.Verdict
	if err := f.Get(ctx, &v); err != nil {
		v = migration.Verdict{Outcome: migration.Inconclusive, Reason: "health could not be judged: " + work.Reason(err), At: workflow.Now(ctx)}
	}
	c.Verdict = &v
	switch v.Outcome {
	case migration.Pass:
		return true
	case migration.Fail:
		c.ByHealth, c.WithBatch, c.BackSince = true, false, workflow.Now(ctx)
		c.Note(ctx, "unhealthy on AWS: moving back", migration.Command{Reason: v.Reason})
		c.Set(ctx, migration.CustomerMovingBack, migration.WaitNothing, v.Reason)
	default:
		c.held(ctx, v.Reason)
	}
	return false
}

// interrupted carries out what somebody asked for while the customer was watched.
func (c *customer) interrupted(ctx workflow.Context) bool {
	switch {
	case c.back != nil:
		c.ByHealth, c.WithBatch, c.BackSince = false, c.back.By == mail.ByDrover, workflow.Now(ctx)
		c.Set(ctx, migration.CustomerMovingBack, migration.WaitNothing, "asked by "+c.take(&c.back))
	case c.abort != nil: // nobody would look after it there
		c.ByHealth, c.WithBatch, c.BackSince = false, false, workflow.Now(ctx)
		c.Set(ctx, migration.CustomerMovingBack, migration.WaitNothing, "aborted by "+c.abort.By)
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
	c.Set(ctx, migration.CustomerRolledBack, migration.WaitOperator, c.Reason)
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
		c.Set(ctx, migration.CustomerMoving, migration.WaitNothing, "")
	}
}

// restore is the retry of a customer that is held on AWS: it is watched anew, once what a try or a route left unfinished is finished.
func (c *customer) restore(ctx workflow.Context) {
	c.ByHand = false
	c.startBake(ctx)
	rec, err := c.settledHome(ctx, "an earlier try did not finish")
	if err == nil {
		c.setHome(ctx, rec.Home())
		err = home.Follow(ctx, c.in.Spec, c.slice)
	}
	switch {
	case err != nil:
		c.held(ctx, "still not in order: "+work.Reason(err))
	case c.Home == migration.OnPrem:
		c.Go = false
		c.Set(ctx, migration.CustomerRolledBack, migration.WaitOperator, "a try to go back was finished by its repair")
	}
}

func (c *customer) obeyHold(ctx workflow.Context) { c.heldByHand(ctx, "held by "+c.take(&c.hold)) }

// heldByHand is what somebody asked for: its batch does not let it go again, only a retry of the customer itself does.
func (c *customer) heldByHand(ctx workflow.Context, why string) {
	c.ByHand = true
	c.held(ctx, why)
}

func (c *customer) held(ctx workflow.Context, why string) {
	c.Note(ctx, "held on "+string(c.Home), migration.Command{Reason: why})
	c.Set(ctx, migration.CustomerHeld, migration.WaitOperator, why)
}

// ended carries out an abort, at home: what Drover made on AWS is removed after it.
func (c *customer) ended(ctx workflow.Context) bool {
	if c.abort == nil || c.Home != migration.OnPrem {
		return false
	}
	c.Set(ctx, migration.CustomerAborted, migration.WaitNothing, "aborted by "+c.take(&c.abort))
	return true
}
