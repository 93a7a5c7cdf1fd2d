// Package customer is the story of one customer, from submit to the end of its soak: it waits for its batch, cuts over, bakes, soaks, goes
// back, or rests until a human decides.
package customer

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

// Input starts a Customer, and carries it over continue-as-new.
type Input struct {
	Spec  migration.SpecRef `json:"spec"`
	ID    string            `json:"id"`
	Batch string            `json:"batch"`
	State *State            `json:"state,omitempty"`
}

// State is what a customer's story needs to go on.
type State struct {
	status.Status[migration.CustomerPhase] `json:"standing"`
	mail.Box                               `json:"mail"`

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
func Customer(ctx workflow.Context, in Input) error {
	c := newCustomer(in)
	if err := c.setup(ctx); err != nil {
		return err
	}
	return c.End(ctx, c.run(ctx))
}

type customer struct {
	in    Input
	slice migration.CustomerSlice
	State

	back  *mail.Wish // take it back
	hold  *mail.Wish // leave it where it is
	abort *mail.Wish // end where it is
	retry *mail.Wish // an operator said: again
	asked map[string]bool
}

func newCustomer(in Input) *customer {
	c := &customer{in: in, asked: map[string]bool{}}
	if in.State != nil {
		c.State = *in.State
	}
	return c
}

func (c *customer) setup(ctx workflow.Context) error {
	c.Hooks = status.Hooks{Describe: c.describe, MayDo: c.mayDo, Changed: c.report}
	err := workflow.SetQueryHandlerWithOptions(ctx, migration.QueryStatus, func() (migration.CustomerStatus, error) {
		s := c.status()
		s.Timeline = c.Timeline
		return s, nil
	}, workflow.QueryHandlerOptions{Description: "Where the customer is homed, what it waits for, its Moves, verdict and timeline."})
	if err != nil {
		return err
	}
	mail.Listen(ctx, mail.SignalGo, "The batch says: cut over.", func(ctx workflow.Context, g mail.Go) {
		if g.Round <= c.Round { // a repeat, or overtaken by the word to come back
			c.report(ctx)
			return
		}
		c.Go, c.Round = true, g.Round
	})
	mail.Listen(ctx, mail.SignalBack, "The batch takes the customer back.", func(_ workflow.Context, b mail.Back) {
		if b.Round >= c.Round { // else it has been told to go again since
			c.Round = b.Round
			c.takeBack(b.Wish)
		}
	})
	mail.Listen(ctx, mail.SignalAbort, "The migration ends here.", func(_ workflow.Context, w mail.Wish) { c.abort = &w })
	mail.Listen(ctx, mail.SignalDismiss, "The migration ends before it has touched anything.", func(_ workflow.Context, w mail.Wish) {
		if c.Round == 0 {
			c.abort = &w
		}
	})
	mail.Listen(ctx, mail.SignalAsk, "The batch calls the roll.", func(ctx workflow.Context, a mail.Ask) {
		if a.Report && c.Phase != "" {
			c.report(ctx)
		}
	})
	mail.Listen(ctx, mail.SignalTrouble, "An audit found that its fences are not as they must be.", c.hearTrouble)
	mail.Listen(ctx, mail.SignalYielded, "A file pass has stepped aside.", func(_ workflow.Context, y mail.Yielded) { c.asked[y.Dataset] = true })
	command := func(name, description string, apply func(mail.Wish)) status.Command {
		return status.Command{
			Name: name, Description: description, Allowed: func(k migration.Command) error { return c.allowed(name, k) },
			Apply: func(_ workflow.Context, k migration.Command) { apply(mail.Wish{By: k.By, Reason: k.Reason}) },
		}
	}
	return c.Handle(ctx,
		command(migration.UpdateHold, "Leave the customer where it is, open, and do nothing by yourself until retry or rollback.", func(w mail.Wish) { c.hold = &w }),
		command(migration.UpdateRetry, "Go on with a customer that is held or was rolled back.", func(w mail.Wish) { c.retry = &w }),
		command(migration.UpdateRollback, "Move the customer back home, with everything written since.", c.takeBack),
	)
}

// hearTrouble holds the customer for what an audit found, once for each finding.
func (c *customer) hearTrouble(ctx workflow.Context, t mail.Trouble) {
	if t.Words == c.Trouble {
		return
	}
	c.Trouble = t.Words
	c.Note(ctx, "an audit of both sides", migration.Command{By: mail.ByDrover, Reason: t.Words})
	if c.Phase == migration.CustomerHeld || c.Phase == migration.CustomerRolledBack {
		c.Set(ctx, c.Phase, migration.WaitOperator, t.Words)
		return
	}
	c.hold = &mail.Wish{By: mail.ByDrover, Reason: t.Words}
}

// takeBack is the last word: a retry from before it that nobody has acted on would send the customer out again.
func (c *customer) takeBack(w mail.Wish) { c.back, c.retry = &w, nil }

// run goes from one phase to the next; every phase leaves the customer open on one side.
func (c *customer) run(ctx workflow.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	for {
		switch c.Phase {
		case migration.CustomerWaiting:
			c.wait(ctx)
		case migration.CustomerMoving:
			c.cutOver(ctx)
		case migration.CustomerBaking:
			c.bake(ctx)
		case migration.CustomerSoaking:
			c.soak(ctx)
		case migration.CustomerMovingBack:
			c.goBack(ctx)
		case migration.CustomerHeld, migration.CustomerRolledBack:
			c.rest(ctx)
		case migration.CustomerFinished, migration.CustomerAborted:
			return nil
		default:
			return fmt.Errorf("customer %s: phase %q has no story", c.in.ID, c.Phase)
		}
		if ctx.Err() != nil { // a customer is not given up by a click: what was under way has compensated, and a human decides
			ctx, _ = workflow.NewDisconnectedContext(ctx)
			switch c.Phase {
			case migration.CustomerFinished, migration.CustomerAborted:
			case migration.CustomerRolledBack:
				c.Note(ctx, "canceled in Temporal: it rests already", migration.Command{})
			case migration.CustomerHeld:
				c.ByHand = true
				c.Note(ctx, "canceled in Temporal", migration.Command{})
			default:
				c.heldByHand(ctx, "canceled in Temporal: nothing happens by itself until retry or rollback")
			}
		}
		if c.Renews(ctx, c.mustRenew) {
			st := c.State
			return workflow.NewContinueAsNewError(ctx, Customer, Input{Spec: c.in.Spec, ID: c.in.ID, Batch: c.in.Batch, State: &st})
		}
	}
}

func (c *customer) mustRenew(ctx workflow.Context) bool {
	return c.back == nil && c.hold == nil && c.abort == nil && c.retry == nil && mail.Renewable(ctx, mail.SignalGo, mail.SignalBack, mail.SignalAbort, mail.SignalDismiss, mail.SignalYielded, mail.SignalAsk, mail.SignalTrouble)
}

// begin reads what the plan says of this customer and where the data says it is homed.
func (c *customer) begin(ctx workflow.Context) error {
	l := work.Question.In(ctx, "read the plan's slice of "+c.in.ID)
	if err := workflow.ExecuteActivity(l, work.State.LoadCustomer, state.LoadCustomerRequest{Spec: c.in.Spec, Customer: c.in.ID}).Get(l, &c.slice); err != nil {
		return err
	}
	switch {
	case mail.WasReset(ctx):
		c.takeStock(ctx)
	case c.in.State != nil:
		c.Show(ctx)
		c.report(ctx)
	default:
		c.setHome(ctx, migration.OnPrem)
		c.Set(ctx, migration.CustomerWaiting, migration.WaitBatch, "")
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
		c.held(ctx, "reset in Temporal, and its home cannot be read: "+work.Reason(err))
		return
	}
	c.setHome(ctx, rec.Home())
	c.Note(ctx, "reset in Temporal: homed on "+string(rec.Home()), migration.Command{})
	switch {
	case rec.Home() == migration.AWS:
		c.startBake(ctx)
	case fresh:
		c.Set(ctx, migration.CustomerWaiting, migration.WaitBatch, "")
	default:
		c.heldByHand(ctx, "reset in Temporal: nothing happens by itself until retry")
	}
	c.release(ctx) // the Move that asked the passes over its files to step aside is no more
}

func (c *customer) setHome(ctx workflow.Context, home migration.Side) {
	if c.Home == home {
		return
	}
	c.Home = home
	if err := workflow.UpsertTypedSearchAttributes(ctx, status.AttrHome.ValueSet(string(home))); err != nil {
		workflow.GetLogger(ctx).Warn("search attributes were not updated", "error", err)
	}
}

// take hands over a wish and forgets it.
func (c *customer) take(w **mail.Wish) string {
	v := *w
	*w = nil
	if v == nil {
		return ""
	}
	return v.String()
}

func (c *customer) await(ctx workflow.Context, until func() bool) { _ = workflow.Await(ctx, until) }
