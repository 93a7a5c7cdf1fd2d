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

// status is what anyone may know, without the timeline.
func (c *customer) status() migration.CustomerStatus {
	return migration.CustomerStatus{
		ID: c.in.ID, Name: c.slice.Customer.Name, Batch: c.in.Batch, Home: c.Home, Weight: c.shifting(),
		Phase: c.Phase, WaitingFor: c.Waiting, Since: c.Since, Until: c.until(),
		Token: c.Token, Tries: c.Tries, Reason: c.Reason, MayDo: c.mayDo(), Verdict: c.Verdict, Moves: c.Moves, RollbackMS: c.RollbackMS,
		Cause: c.Cause, Deferral: c.Deferral, Slots: c.Slots, Trying: c.unanswered(),
	}
}

// until is the end of the bake or the soak under way; zero: of neither.
func (c *customer) until() time.Time {
	if c.Phase == migration.CustomerBaking || c.Phase == migration.CustomerSoaking {
		return c.Ends
	}
	return time.Time{}
}

// changed tells the batch what it does not know yet.
func (c *customer) changed(ctx workflow.Context) {
	if c.known {
		c.known = false
		return
	}
	c.report(ctx)
}

// report tells the batch.
func (c *customer) report(ctx workflow.Context) {
	r := mail.CustomerReport{Order: c.Stamp(ctx), Status: c.status(), Round: c.Round}
	if c.Phase == migration.CustomerSoaking {
		r.Soak = c.Soak
	}
	c.Tell(ctx, migration.BatchID(c.in.Spec.Plan, c.in.Batch), mail.SignalReport, r)
}

func (c *customer) mayDo() []string {
	return status.MayDo(func(name string) error { return c.allowed(name, migration.Command{}) }, migration.UpdateHold,
		migration.UpdateRetry, migration.UpdateRollback, migration.UpdateNote, migration.UpdateDefer, migration.UpdateDecide,
		migration.UpdateOffer, migration.UpdateTake, migration.UpdateSkip)
}

// allowed refuses a command that would do nothing or mean something else than the operator thinks.
func (c *customer) allowed(name string, cmd migration.Command) error {
	if cmd.Token != 0 && cmd.Token != c.Token {
		return fmt.Errorf("%s of try %d of customer %s: the last try is %d; look at its status and ask again", name, cmd.Token, c.in.ID,
			c.Token)
	}
	switch name {
	case migration.UpdateHold:
		if c.Phase != migration.CustomerHeld && !c.ended() {
			return nil
		}
	case migration.UpdateSkip:
		switch atRest := c.Phase == migration.CustomerHeld || c.Phase == migration.CustomerRolledBack; {
		case cmd.By != "" && cmd.Reason == "":
			return errors.New("skip: say why (reason): it is kept with the customer")
		case c.Home == migration.OnPrem && (atRest || c.Phase == migration.CustomerWaiting) && c.Orders.Back == nil:
			return nil
		}
	case migration.UpdateNote:
		if !c.ended() {
			return nil
		}
	case migration.UpdateDefer:
		if c.Phase == migration.CustomerWaiting && !c.deferred() {
			return nil
		}
	case migration.UpdateOffer:
		if c.mayTake() {
			return nil
		}
	case migration.UpdateTake:
		if c.mayTake() && c.Slots != nil {
			return nil
		}
	case migration.UpdateDecide:
		if c.Deferral != nil && (c.deferred() && c.Cause == migration.ByDeferral || c.Deferral.Decided == nil &&
			(c.Phase == migration.CustomerWaiting || !cmd.Accept)) {
			return nil
		}
	case migration.UpdateRetry:
		if c.deferred() && c.Cause == migration.ByDeferral {
			return fmt.Errorf("customer %s is deferred until %s: a lead ends that first (drover decide --refuse)", c.in.ID,
				c.Deferral.NotBefore.Format(migration.TimeLayout))
		}
		if (c.Phase == migration.CustomerHeld || c.Phase == migration.CustomerRolledBack) && c.Orders.Back == nil {
			return nil
		}
	case migration.UpdateRollback:
		away := c.Home != migration.OnPrem || c.Phase == migration.CustomerMoving || c.Phase == migration.CustomerFinding
		if away && c.Phase != migration.CustomerMovingBack && !c.ended() {
			return nil
		}
	}
	return fmt.Errorf("customer %s is %s, homed on %s: %s does not apply", c.in.ID, c.Phase, c.Home, name)
}

func (c *customer) ended() bool {
	return c.Phase == migration.CustomerFinished || c.Phase == migration.CustomerAborted || c.Phase == migration.CustomerSkipped
}

func (c *customer) describe() string {
	s := fmt.Sprintf("Customer **%s** of batch **%s** is homed on **%s**", c.in.ID, c.in.Batch, c.Home)
	if c.Tries > 1 {
		s += fmt.Sprintf(", try %d", c.Tries)
	}
	if until := c.until(); !until.IsZero() {
		s += ", until " + until.UTC().Format("2006-01-02 15:04:05 MST")
	}
	s += ".\n"
	if v := c.Verdict; v != nil {
		s += fmt.Sprintf("\nLast verdict: **%s**. %s\n", v.Outcome, v.Reason)
	}
	for _, k := range c.unanswered() {
		s += fmt.Sprintf("\n%s failed %d times, and is tried again: %s\n", k.What, k.Times, k.Last)
	}
	return s
}
