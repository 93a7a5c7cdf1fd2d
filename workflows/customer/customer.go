// Package customer is the story of one customer, from submit to the end of its soak: it waits for
// its batch, cuts over, bakes, soaks, goes back, or rests until a human decides.
package customer

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
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
	Was   *memory           `json:"was,omitempty"` // as it last reported, where its batch starts it again
	// Untouched says that its data knows nothing of it, as its batch has read for all of its
	// customers just before it started them: it waits at home.
	Untouched bool `json:"untouched,omitempty"`
	Joins     bool `json:"joins,omitempty"` // an amendment has put it into the batch: that it was skipped is over
	// Recall brings the customer home and ends it there, also where it had finished on AWS: its
	// plan is aborted.
	Recall *mail.Wish `json:"recall,omitempty"`
	State  *State     `json:"state,omitempty"`
}

// State is what a customer's story needs to go on.
type State struct {
	status.Status[migration.CustomerPhase] `json:"standing"`
	mail.Box                               `json:"mail"`

	Home   migration.Side  `json:"home"` // NoHome: not read yet
	Cause  migration.Cause `json:"cause,omitempty"`
	Orders orders          `json:"orders"`
	Round  int             `json:"round"` // of its batch, as it last heard: to go, or to come back
	Go     bool            `json:"told"`  // its batch has said go

	Token  int64                   `json:"token"` // highest that any try of this customer used
	Tries  int                     `json:"tries"` // of the Move under way, or of the last
	Why    string                  `json:"why,omitempty"`
	Resume migration.CustomerPhase `json:"resume,omitempty"` // where it goes on when its home is found
	Stay   int64                   `json:"stay"`             // of its notes
	Notes  int64                   `json:"notes"`

	Moves      []migration.MoveResult `json:"moves,omitempty"`
	RollbackMS []int64                `json:"rollbackMs,omitempty"`
	Verdict    *migration.Verdict     `json:"verdict,omitempty"`
	Baseline   *health.Baseline       `json:"baseline,omitempty"`
	Unjudged   bool                   `json:"unjudged,omitempty"` // a person lets it go on without a baseline
	Ends       time.Time              `json:"ends,omitzero"`      // of the bake or the soak under way
	BackSince  time.Time              `json:"backSince,omitzero"` // when going back was decided
	Deferral   *migration.Deferral    `json:"deferral,omitempty"`
	Slots      *migration.Slots       `json:"slots,omitempty"`
	Remarks    []migration.Remark     `json:"remarks,omitempty"`  // what people wrote down, newest last
	Unrouted   string                 `json:"unrouted,omitempty"` // why its route does not follow its home
	Unled      bool                   `json:"unled,omitempty"`    // its route has not been set since its last Move
	Seen       *mail.Seen             `json:"seen,omitempty"`     // what its batch has seen of it in its soak, and nothing has followed from yet
	Trouble    string                 `json:"trouble,omitempty"`  // what an audit found last; it holds the customer once
	Soak       *mail.SoakNotes        `json:"soak,omitempty"`     // of the soak under way
	Stale      bool                   `json:"stale,omitempty"`    // its slice of the plan is of an earlier revision than it goes by
	Calls      []*call                `json:"calls,omitempty"`    // that the plan's hooks are owed
	Shift      *shift                 `json:"shift,omitempty"`    // of a customer without a database that is homed on AWS
}

// Customer owns one customer from submit to the end of its soak. It serialises the Moves, watches
// what they led to, and is the only one that starts them: batch, operator and health all ask it.
func Customer(ctx workflow.Context, in Input) error {
	c := newCustomer(in)
	c.Deaf = mail.WasReset(ctx)
	if err := c.setup(ctx); err != nil {
		return err
	}
	return c.End(ctx, c.run(ctx))
}

type customer struct {
	in    Input
	slice migration.CustomerSlice
	State

	wasReset bool
	fresh    bool // where it was reset: it had never been told to go
	known    bool // its batch has said itself what changes next
	sure     bool // of its home: its data, or a Move that arrived, has said it, and no try has ended otherwise since

	halted bool // the answer of a hook has ended the last try: there is no further one by itself

	ending bool // it waits only for what it has asked others

	routing    int           // attempts to set its route that are under way
	routeAgain time.Duration // until the route of a customer that rests is set again, where it does not follow
}

func newCustomer(in Input) *customer {
	c := &customer{in: in}
	switch {
	case in.State != nil:
		c.State = *in.State
		c.Reason = Reason(c.Reason)
	case in.Was != nil && in.Was.Last != nil:
		last := in.Was.Last
		c.Round, c.Go = in.Was.Round, in.Was.Told
		c.Token, c.Tries, c.Moves, c.RollbackMS, c.Verdict = last.Token, last.Tries, last.Moves, last.RollbackMS, last.Verdict
	}
	if in.Recall != nil && in.State == nil {
		c.order(abort, *in.Recall, migration.ByOrder)
	}
	return c
}

func (c *customer) setup(ctx workflow.Context) error {
	c.Hooks = status.Hooks{Describe: c.describe, MayDo: c.mayDo, Changed: c.changed, Attributes: c.attributes}
	err := workflow.SetQueryHandlerWithOptions(ctx, migration.QueryStatus, func() (migration.CustomerStatus, error) {
		s := c.status()
		s.Timeline, s.Notes = c.Timeline, c.Remarks
		return s, nil
	}, workflow.QueryHandlerOptions{Description: "Where the customer is homed, what it waits for, its Moves, verdict and timeline."})
	if err != nil {
		return err
	}
	mail.Listen(ctx, mail.SignalGo, "The batch says: cut over.", func(ctx workflow.Context, g mail.Go) {
		c.belong(ctx, g.Belongs)
		if g.Batch != "" && g.Batch != c.in.Batch { // which the customer has left, and which does not know that yet
			return
		}
		if g.Round <= c.Round { // a repeat, or overtaken by the word to come back
			c.report(ctx)
			return
		}
		c.Go, c.Round = true, g.Round
	})
	mail.Listen(ctx, mail.SignalBack, "The batch takes the customer back.", func(_ workflow.Context, b mail.Back) {
		if b.Round >= c.Round { // else it has been told to go again since
			c.Round = b.Round
			cause := migration.ByOrder
			if b.By == mail.ByDrover {
				cause = migration.ByBatch
			}
			c.order(back, b.Wish, cause)
		}
	})
	mail.Listen(ctx, mail.SignalAbort, "The migration ends here.",
		func(_ workflow.Context, w mail.Wish) { c.order(abort, w, migration.ByOrder) })
	mail.Listen(ctx, mail.SignalDismiss, "The migration ends before it has touched anything.", func(_ workflow.Context, w mail.Wish) {
		if c.Round == 0 && c.Home != migration.AWS { // there since an earlier run of the plan
			c.Orders = c.Orders.add(abort, order{Wish: w, Cause: migration.ByOrder, AtHome: true})
		}
	})
	mail.Listen(ctx, mail.SignalAsk, "The batch calls the roll.", func(ctx workflow.Context, a mail.Ask) {
		c.belong(ctx, a.Belongs)
		if a.Report && c.Phase != "" {
			c.report(ctx)
		}
	})
	mail.Listen(ctx, mail.SignalSeen, "Its batch has looked at those that soak.", func(_ workflow.Context, s mail.Seen) {
		if c.Phase == migration.CustomerSoaking {
			c.Seen = &s
		}
	})
	mail.Listen(ctx, mail.SignalTrouble, "An audit found that its fences are not as they must be.", c.hearTrouble)
	command := func(k kind, name, description string) status.Command {
		return status.Command{
			Name: name, Description: description, Allowed: func(cmd migration.Command) error { return c.allowed(name, cmd) },
			Apply: func(_ workflow.Context, cmd migration.Command) {
				c.order(k, mail.Wish{By: cmd.By, Reason: cmd.Reason}, migration.ByHand)
			},
		}
	}
	return c.Handle(ctx, append(append(c.wishes(), c.slotCommands(ctx)...),
		command(hold, migration.UpdateHold, "Leave the customer where it is, open, and do nothing by yourself until retry or rollback."),
		command(retry, migration.UpdateRetry, "Go on with a customer that is held or was rolled back."),
		command(back, migration.UpdateRollback, "Move the customer back home, with everything written since."),
		command(skip, migration.UpdateSkip, "Leave the customer on premises for good: its batch is over without it."),
	)...)
}

// order takes an order; the phase under way looks at it.
func (c *customer) order(k kind, w mail.Wish, cause migration.Cause) {
	c.Orders = c.Orders.add(k, order{Wish: w, Cause: cause})
}

// wanted says whether somebody wants something else than the phase under way.
func (c *customer) wanted() bool { return c.Orders.first(c.Phase, c.Home) != none }

// hearTrouble holds the customer for what an audit found, once for each finding.
func (c *customer) hearTrouble(ctx workflow.Context, t mail.Trouble) {
	if t.Words == c.Trouble {
		return
	}
	c.Trouble, c.sure = t.Words, false
	c.Note(ctx, "an audit of both sides", migration.Command{By: mail.ByDrover, Reason: t.Words})
	rests := c.Phase == migration.CustomerHeld || c.Phase == migration.CustomerRolledBack
	if rests && !t.Alone { // else it may be at home elsewhere than it says
		c.Set(ctx, c.Phase, migration.WaitOperator, t.Words)
		return
	}
	c.Orders = c.Orders.add(hold, order{Wish: mail.Wish{By: mail.ByDrover, Reason: t.Words}, Cause: migration.ByAudit, Elsewhere: t.Alone})
}

// run goes from one phase to the next; every phase leaves the customer open on one side.
func (c *customer) run(ctx workflow.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	background, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(background, c.keepCalls)
	workflow.Go(background, c.keepCounts)
	for {
		//exhaustive:enforce
		switch c.Phase {
		case migration.CustomerFinding:
			c.find(ctx)
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
		case migration.CustomerFinished, migration.CustomerAborted, migration.CustomerSkipped:
			return nil
		default: // a State that another version has carried over
			return fmt.Errorf("customer %s: this version of the worker does not know phase %q: deploy the one that did", c.in.ID, c.Phase)
		}
		if ctx.Err() != nil {
			ctx, _ = workflow.NewDisconnectedContext(ctx)
			c.canceled(ctx)
		}
		if c.Renews(ctx, c.mustRenew) {
			st := c.State
			return workflow.NewContinueAsNewError(ctx, Customer, Input{Spec: c.in.Spec, ID: c.in.ID, Batch: c.in.Batch, State: &st})
		}
	}
}

// canceled is after a cancel in Temporal: what was under way has compensated, and a human decides
// what becomes of the customer.
func (c *customer) canceled(ctx workflow.Context) {
	switch c.Phase {
	case migration.CustomerFinished, migration.CustomerAborted, migration.CustomerSkipped:
	case migration.CustomerFinding:
		c.Note(ctx, "canceled in Temporal: its home is read first", migration.Command{})
	case migration.CustomerRolledBack:
		c.Note(ctx, "canceled in Temporal: it rests already", migration.Command{})
	case migration.CustomerHeld:
		c.Cause = migration.ByHand
		c.Note(ctx, "canceled in Temporal", migration.Command{})
	default:
		c.Cause = migration.ByHand
		c.held(ctx, "canceled in Temporal: nothing happens by itself until retry or rollback")
	}
}

func (c *customer) mustRenew(ctx workflow.Context) bool {
	return mail.Renewable(ctx, signals...)
}

// signals are all that a customer listens to.
var signals = []string{mail.SignalGo, mail.SignalBack, mail.SignalAbort, mail.SignalDismiss, mail.SignalAsk,
	mail.SignalTrouble, mail.SignalSeen}

// begin reads what the plan says of this customer. One that does not go on from an earlier run has
// no home until its data has said which.
func (c *customer) begin(ctx workflow.Context) error {
	if c.wasReset = c.Deaf; c.wasReset {
		mail.Redelivered(ctx, signals...)
		c.fresh = c.in.State == nil && !c.Go && c.in.Was.neverWent()
		c.Deaf, c.Go, c.Orders = false, false, orders{}
	}
	if err := work.Question.Ask(ctx, "read the plan's slice of "+c.in.ID, work.State.LoadCustomer,
		state.LoadCustomerRequest{Spec: c.in.Spec, Customer: c.in.ID}, &c.slice); err != nil {
		return err
	}
	if c.in.State != nil && !c.wasReset {
		c.Show(ctx)
		c.report(ctx)
		return nil
	}
	if c.in.Untouched && !c.wasReset { // its batch knows, and it was started as one that waits
		c.Home, c.sure = migration.OnPrem, true
		c.SetDetails(ctx, migration.CustomerWaiting, migration.WaitBatch, "")
		return nil
	}
	if c.Resume = ""; c.in.Was != nil {
		c.Note(ctx, "started again: it was terminated while "+string(c.in.Was.Phase), migration.Command{})
	}
	c.SetDetails(ctx, migration.CustomerFinding, migration.WaitData, "") // nobody is told before it is known
	return nil
}

// attributes are the search attributes of the customer besides those of its phase.
func (c *customer) attributes() []temporal.SearchAttributeUpdate {
	if c.Home == migration.NoHome {
		return []temporal.SearchAttributeUpdate{status.AttrHome.ValueUnset()}
	}
	return []temporal.SearchAttributeUpdate{status.AttrHome.ValueSet(string(c.Home))}
}

func (c *customer) upsertHome(ctx workflow.Context) {
	if err := workflow.UpsertTypedSearchAttributes(ctx, c.attributes()...); err != nil {
		workflow.GetLogger(ctx).Warn("search attributes were not updated", "error", err)
	}
}

// sleep waits for a condition that may take weeks to come, or until the history has grown too long.
func (c *customer) sleep(ctx workflow.Context, until func() bool) {
	_ = workflow.Await(ctx, func() bool { return until() || c.mustRenew(ctx) })
}

func (c *customer) await(ctx workflow.Context, until func() bool) { _ = workflow.Await(ctx, until) }
