package customer

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/status"
)

const mostRemarks = 50 // kept for people; the history has them all

// wishes are the commands of those who look after the customer.
func (c *customer) wishes() []status.Command {
	command := func(name, description string, whole func(migration.Command) error,
		apply func(workflow.Context, migration.Command)) status.Command {
		return status.Command{Name: name, Description: description, Apply: apply, Allowed: func(cmd migration.Command) error {
			if err := whole(cmd); err != nil {
				return err
			}
			return c.allowed(name, cmd)
		}}
	}
	return []status.Command{
		command(migration.UpdateNote, "Write a note or a ticket down.", wholeNote, c.note),
		command(migration.UpdateDefer, "Ask that the customer does not move before a time; a lead decides.", wholeDeferral, c.wishDeferral),
		command(migration.UpdateDecide, "Accept or refuse a deferral, or end one that was accepted.",
			func(migration.Command) error { return nil }, c.decide),
	}
}

func wholeNote(cmd migration.Command) error {
	if cmd.Reason == "" && cmd.Ticket == "" {
		return errors.New("a note needs a text or a ticket")
	}
	return nil
}

func wholeDeferral(cmd migration.Command) error {
	switch {
	case cmd.NotBefore.IsZero():
		return errors.New("a deferral needs a time before which the customer is not to move")
	case cmd.Reason == "":
		return errors.New("a deferral needs a reason: a lead decides by it")
	default:
		return nil
	}
}

func (c *customer) note(ctx workflow.Context, cmd migration.Command) {
	c.Remarks = append(c.Remarks, migration.Remark{At: workflow.Now(ctx), By: cmd.By, Text: cmd.Reason, Ticket: cmd.Ticket})
	c.Remarks = c.Remarks[max(0, len(c.Remarks)-mostRemarks):]
}

func (c *customer) wishDeferral(ctx workflow.Context, cmd migration.Command) {
	c.Deferral = &migration.Deferral{NotBefore: cmd.NotBefore.UTC(),
		Asked: migration.Event{At: workflow.Now(ctx), What: "asked", By: cmd.By, Why: cmd.Reason}}
	c.report(ctx)
}

// decide is a lead's word. A deferral that is accepted holds the customer, and its batch goes on
// without it; one that is refused after that ends now.
func (c *customer) decide(ctx workflow.Context, cmd migration.Command) {
	held := c.deferred()
	d := *c.Deferral
	d.Decided = &migration.Event{At: workflow.Now(ctx), What: "refused", By: cmd.By, Why: cmd.Reason}
	if d.Accepted = cmd.Accept || held; cmd.Accept {
		d.Decided.What = "accepted"
	}
	switch {
	case held && !cmd.Accept:
		d.NotBefore = workflow.Now(ctx)
		c.giveUpSlot()
	case cmd.Accept:
		c.order(hold, mail.Wish{By: cmd.By, Reason: fmt.Sprintf("deferred until %s, as %s asked: %s",
			d.NotBefore.Format(migration.TimeLayout), d.Asked.By, d.Asked.Why)}, migration.ByDeferral)
	}
	c.Deferral = &d
	c.report(ctx)
}

// deferred says whether the customer is kept from moving by a deferral.
func (c *customer) deferred() bool { return c.Deferral != nil && c.Deferral.Accepted }

// restsFor is how long a customer that is held for a deferral still is; false: it is held for
// something else.
func (c *customer) restsFor(ctx workflow.Context) (time.Duration, bool) {
	if c.Cause != migration.ByDeferral || !c.deferred() || c.Home != migration.OnPrem {
		return 0, false
	}
	return max(0, c.Deferral.NotBefore.Sub(workflow.Now(ctx))), true
}

// deferralEnds gives the customer back to its batch, which tells it to go as it tells every other.
func (c *customer) deferralEnds(ctx workflow.Context) {
	c.Note(ctx, "its deferral has ended", migration.Command{})
	c.Deferral, c.Cause, c.Why, c.Go = nil, "", "", false
	c.Round = max(0, c.Round-1) // it may be told once more in the same round
	c.Set(ctx, migration.CustomerWaiting, migration.WaitBatch, "")
	c.jot(ctx)
}
