package customer

import (
	"errors"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/work"
)

// A home is asked for again when findEvery has passed since the last time, and not before
// leastPause: the customer may be closed on both sides. A question that nobody answers is tried
// again within its own time; one that is over sooner was refused, as the next one would be.
const (
	findEvery  = 15 * time.Second
	leastPause = time.Second
)

// find reads the customer's home, and repairs what a Move left between its steps, until that is
// known. A worker that is away or a database that does not answer holds nobody: the customer goes
// on by itself.
func (c *customer) find(ctx workflow.Context) {
	begun := workflow.Now(ctx)
	rec, err := c.settledHome(ctx, "a try did not finish")
	switch {
	case err == nil:
		c.found(ctx, rec)
	case errors.As(err, new(*home.UndecidedError)):
		c.Cause = ""
		c.held(ctx, "its home cannot be read: "+work.Reason(err))
	case c.Resume == "" && c.Token == 0 && work.Is(err, postgres.ErrorNotPrepared): // nobody can have moved
		c.found(ctx, migration.HomeRecord{OnPrem: migration.SideRecord{State: migration.Open},
			AWS: migration.SideRecord{State: migration.Sealed}})
	case c.Round == 0 && c.Orders.Abort != nil: // its migration ends before it has touched anything
		w := c.Orders.take(abort)
		c.giveUpSlot()
		c.Set(ctx, migration.CustomerAborted, migration.WaitNothing, "aborted by "+w.String())
	default:
		c.Set(ctx, migration.CustomerFinding, migration.WaitData, "its home cannot be read, and is asked again: "+work.Reason(err))
		pause := max(leastPause, findEvery-workflow.Now(ctx).Sub(begun))
		work.AwaitFor(ctx, pause, "before the home of "+c.in.ID+" is asked again",
			func() bool { return c.Round == 0 && c.Orders.Abort != nil })
	}
}

// found goes on from what the data says.
func (c *customer) found(ctx workflow.Context, rec migration.HomeRecord) {
	began, was := c.Resume == "", c.Home
	if c.in.Was != nil && c.in.Was.Last != nil && began {
		was = c.in.Was.Last.Home
	}
	c.learn(ctx, rec)
	if a := c.Orders.Abort; a != nil && a.AtHome && c.Home == migration.AWS {
		c.Orders.Abort = nil
	}
	m := recall(rec, c.in.Was)
	if began && c.in.Joins && m.Phase == migration.CustomerSkipped { // an amendment has taken that back
		m = memory{Phase: migration.CustomerWaiting, Since: m.Since}
	}
	phase, why := next(c.Home, c.Resume, m), ""
	if c.in.Recall != nil && phase == migration.CustomerFinished {
		phase = migration.CustomerSoaking // what it had ended goes on, until it has gone back
	}
	if began {
		c.Baseline, c.Unjudged, c.Cause, c.Ends, why = m.Baseline, m.Unjudged, m.Cause, m.Ends, m.Reason
		c.Deferral, c.Slots = m.Deferral, m.Slots
	}
	if c.wasReset {
		phase, why = c.afterReset(ctx, phase, why)
	}
	if began && phase == m.Phase && !m.Since.IsZero() && phase == migration.CustomerMovingBack {
		c.BackSince = m.Since
	}
	c.Resume, c.wasReset = "", false
	if c.Token > 0 { // its last Move is no more, and may have ended before it set the route
		switch phase {
		case migration.CustomerBaking, migration.CustomerRolledBack, migration.CustomerHeld, migration.CustomerFinished:
			c.setUnrouted(c.routedHere(ctx, home.RouteLimit(c.slice)))
		}
	}
	switch token := rec.Side(c.Home).Token; {
	case began:
		c.oweAgain(ctx, phase, token, m)
	case was != migration.NoHome && was != c.Home:
		c.owe(ctx, c.Home, token)
	}
	if was != migration.NoHome && was != c.Home {
		c.Moves = append(c.Moves, migration.MoveResult{
			Outcome: migration.MoveDone, Try: migration.Try{Token: rec.Token()}, From: was, To: c.Home, Home: c.Home, Reason: c.Why,
			Requests: c.uncounted(),
		})
	}
	switch phase {
	case migration.CustomerWaiting:
		c.Set(ctx, phase, migration.WaitBatch, "")
	case migration.CustomerMoving:
		c.Go = c.Go && !began // it has been told, and is on its way
		c.Set(ctx, phase, migration.WaitNothing, c.Why)
	case migration.CustomerBaking:
		c.arrived(ctx)
	case migration.CustomerSoaking:
		c.soaks(ctx)
	case migration.CustomerMovingBack:
		c.Set(ctx, phase, migration.WaitNothing, why)
	case migration.CustomerRolledBack:
		c.cameHome(ctx, why)
	case migration.CustomerHeld:
		c.rests(ctx, phase, why)
	default:
		c.Set(ctx, phase, migration.WaitNothing, why)
	}
}

// afterReset goes on from what the data says: what the customer remembers is of an earlier day. At
// home it is held, unless it had not gone yet.
func (c *customer) afterReset(ctx workflow.Context, phase migration.CustomerPhase, why string) (migration.CustomerPhase, string) {
	c.Note(ctx, "reset in Temporal: homed on "+string(c.Home), migration.Command{})
	if c.Home == migration.OnPrem && !c.fresh {
		c.Cause = migration.ByHand
		return migration.CustomerHeld, "reset in Temporal: nothing happens by itself until retry"
	}
	return phase, why
}

// learn takes over what the data says.
func (c *customer) learn(ctx workflow.Context, rec migration.HomeRecord) {
	c.setHome(ctx, rec.Home())
	c.sure = c.Home != migration.NoHome
	if stay := rec.Stay(c.Home); stay != c.Stay {
		c.Stay, c.Notes = stay, 0
	}
	c.Notes = max(c.Notes, rec.Note(c.Home).N)
	c.shifted(migration.Try{Token: rec.AWS.Token, Owner: rec.AWS.Owner}, rec.Weight)
}

// keeper reads and repairs the customer's home.
func (c *customer) keeper() *home.Keeper {
	return &home.Keeper{Spec: c.in.Spec, Slice: c.slice, Home: c.Home, Token: c.Token,
		Note: func(ctx workflow.Context, what, because string) {
			if n := len(c.Timeline); n > 0 && c.Timeline[n-1].What == what && c.Timeline[n-1].Why == because {
				return // tried again, with the same outcome
			}
			c.Note(ctx, what, migration.Command{Reason: because})
		}}
}

// settledHome asks the data where the customer is homed, after the repair of what a try left
// between its steps. A reset leaves the Move of before under way, which the customer has forgotten:
// unless it had never gone, that Move is kept from changing anything first.
func (c *customer) settledHome(ctx workflow.Context, why string) (migration.HomeRecord, error) {
	k := c.keeper()
	defer func() { c.Token = k.Token }()
	if c.wasReset {
		rec, err := k.Read(ctx)
		if err != nil {
			return rec, err
		}
		if c.fresh = c.fresh && rec.Token() == 0; !c.fresh {
			return k.Disown(ctx, "reset in Temporal: a Move of before may still be under way")
		}
	}
	return k.Settled(ctx, why)
}

// goesAlone takes over where the data says that the customer is homed, once a side was given up for
// it: its route follows, and the plan's hooks hear of that as of a Move. Where the data cannot be
// read a retry reads it.
func (c *customer) goesAlone(ctx workflow.Context) {
	k := c.keeper()
	rec, err := k.Read(ctx)
	c.Token = k.Token
	if err != nil || rec.Loss == nil {
		return
	}
	was := c.Home
	if c.learn(ctx, rec); c.Home != was {
		c.Note(ctx, "homed on "+string(c.Home)+", without the other side", migration.Command{By: rec.Loss.By, Reason: rec.Loss.Why})
		c.owe(ctx, c.Home, rec.Side(c.Home).Token)
		c.setUnrouted(c.routedHere(ctx, home.RouteLimit(c.slice)))
	}
}

// repair settles a Move that did not say how it ended. Only the data says what has become of it.
func (c *customer) repair(ctx workflow.Context, from migration.Side, why string) {
	k := c.keeper()
	defer func() { c.Token = k.Token }()
	k.Repair(ctx, from, why)
}

func (c *customer) setHome(ctx workflow.Context, home migration.Side) {
	if c.Home == home {
		return
	}
	c.Home = home
	c.upsertHome(ctx)
}
