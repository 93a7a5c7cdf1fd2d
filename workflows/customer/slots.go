package customer

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	mostSlots   = 10
	longestSlot = 7 * 24 * time.Hour
)

// slotCommands offer times to the customer, and take one of them. A slot that is taken is a
// deferral that a lead has accepted beforehand: the customer is held until it opens, and its batch
// goes on without it.
func (c *customer) slotCommands(ctx workflow.Context) []status.Command {
	return []status.Command{
		{
			Name: migration.UpdateOffer, Description: "Offer times to the customer, of which it takes one.",
			Allowed: func(cmd migration.Command) error {
				if err := c.allowed(migration.UpdateOffer, cmd); err != nil {
					return err
				}
				return c.wholeOffer(cmd, workflow.Now(ctx))
			},
			Apply: c.offer,
		},
		{
			Name: migration.UpdateTake, Description: "Take one of the times that were offered.",
			Allowed: func(cmd migration.Command) error {
				if err := c.allowed(migration.UpdateTake, cmd); err != nil {
					return err
				}
				return c.wholeChoice(cmd, workflow.Now(ctx))
			},
			Apply: c.take,
		},
	}
}

// mayTake says whether the customer waits at home, and a slot would still tell it when to go.
func (c *customer) mayTake() bool {
	return c.Home == migration.OnPrem && (c.Phase == migration.CustomerWaiting ||
		c.Phase == migration.CustomerHeld && c.Cause == migration.ByDeferral)
}

// wholeOffer refuses times in which the customer could not begin to move.
func (c *customer) wholeOffer(cmd migration.Command, now time.Time) error {
	if n := len(cmd.Slots); n == 0 || n > mostSlots {
		return fmt.Errorf("%d slots: offer 1 to %d", n, mostSlots)
	}
	for _, w := range cmd.Slots {
		from := w.Opens.UTC().Format(migration.TimeLayout)
		switch {
		case w.For <= 0 || w.For.D() > longestSlot:
			return fmt.Errorf("the slot from %s is %s long: more than nothing, and at most %s", from, w.For,
				migration.Duration(longestSlot).Brief())
		case !w.Opens.After(now):
			return fmt.Errorf("the slot from %s has begun: offer times that are to come", from)
		case c.slice.Batch.Window != nil && !w.Within(*c.slice.Batch.Window):
			return fmt.Errorf("the slot from %s does not lie in the window of batch %s, %s to %s, out of which nobody begins to move", from,
				c.in.Batch, c.slice.Batch.Window.Opens.UTC().Format(migration.TimeLayout),
				c.slice.Batch.Window.Closes().UTC().Format(migration.TimeLayout))
		case c.slice.Customer.Closed(w.Opens, w.Closes()):
			return fmt.Errorf("all of the slot from %s lies in a blackout of the customer", from)
		}
	}
	return nil
}

func (c *customer) wholeChoice(cmd migration.Command, now time.Time) error {
	switch {
	case len(cmd.Slots) != 1:
		return errors.New("take one slot")
	case !c.Slots.Offers(cmd.Slots[0]):
		return fmt.Errorf("the slot from %s was not offered, or is not any more: look at those that are", cmd.Slots[0].Opens.UTC().
			Format(migration.TimeLayout))
	case !cmd.Slots[0].Opens.After(now):
		return errors.New("this slot has begun: take another, or ask for one")
	default:
		return nil
	}
}

// offer takes the place of what was offered before. A slot that was taken stays until another is.
func (c *customer) offer(ctx workflow.Context, cmd migration.Command) {
	s := migration.Slots{By: migration.Event{At: workflow.Now(ctx), What: "offered", By: cmd.By, Why: cmd.Reason}}
	for _, w := range cmd.Slots {
		w.Opens = w.Opens.UTC()
		s.Offered = append(s.Offered, w)
	}
	if was := c.Slots; was != nil {
		s.Taken, s.Choice = was.Taken, was.Choice
	}
	c.Slots = &s
	c.report(ctx)
}

// take holds the customer until its slot opens.
func (c *customer) take(ctx workflow.Context, cmd migration.Command) {
	s := *c.Slots
	taken := cmd.Slots[0]
	taken.Opens = taken.Opens.UTC()
	s.Taken, s.Choice = &taken, &migration.Event{At: workflow.Now(ctx), What: "taken", By: cmd.By, Why: cmd.Reason}
	c.Slots = &s
	why := "the slot " + inWords(taken)
	c.Deferral = &migration.Deferral{NotBefore: taken.Opens, Accepted: true,
		Asked:   migration.Event{At: s.Choice.At, What: "asked", By: cmd.By, Why: why},
		Decided: &migration.Event{At: s.By.At, What: "accepted", By: s.By.By, Why: "the slot was offered"}}
	c.order(hold, mail.Wish{By: cmd.By, Reason: why}, migration.ByDeferral)
	c.report(ctx)
}

// giveUpSlot lets the customer go with its batch again.
func (c *customer) giveUpSlot() {
	if c.Slots != nil {
		s := *c.Slots
		s.Taken, s.Choice = nil, nil
		c.Slots = &s
	}
}

// slotPassed says whether the customer has taken a slot that is over.
func (c *customer) slotPassed(ctx workflow.Context) bool {
	w := c.Slots.Chosen()
	return w != nil && !workflow.Now(ctx).Before(w.Closes())
}

// sleepToSlotsEnd is sleep, not longer than the slot that was taken.
func (c *customer) sleepToSlotsEnd(ctx workflow.Context, until func() bool) {
	w := c.Slots.Chosen()
	if w == nil {
		c.sleep(ctx, until)
		return
	}
	left := max(w.Closes().Sub(workflow.Now(ctx)), 0)
	work.AwaitFor(ctx, left, "until the slot of "+c.in.ID+" closes", func() bool { return until() || c.mustRenew(ctx) })
}

// missSlot holds a customer whose batch did not let it go in its slot: it took this time and no
// other.
func (c *customer) missSlot(ctx workflow.Context) {
	why := fmt.Sprintf("its batch did not let it go in the slot that it had taken, %s; offer it others, or retry", inWords(*c.Slots.Taken))
	c.giveUpSlot()
	c.Go, c.Deferral, c.Cause = false, nil, migration.ByDeferral
	c.held(ctx, why)
}

func inWords(w migration.Window) string {
	return w.Opens.UTC().Format(migration.TimeLayout) + " to " + w.Closes().UTC().Format(migration.TimeLayout)
}
