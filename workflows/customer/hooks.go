package customer

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/hook"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	hookPause     = 5 * time.Second // before a hook that failed is called again; doubles
	hookPauseMost = 15 * time.Minute
	hookLast      = time.Minute // for which a customer that ends waits for the answers of its hooks
)

// call is what the plan's hook of an event is owed for a Move that has arrived. It is made until it
// is answered: what it tells of has happened, and is not undone.
type call struct {
	Event migration.HookEvent `json:"event"`
	Token int64               `json:"token"`
	To    migration.Side      `json:"to"`
	Since time.Time           `json:"since"`
	Times int                 `json:"times,omitempty"` // it failed
	Last  string              `json:"last,omitempty"`  // why
	At    time.Time           `json:"at,omitzero"`     // when
	Next  time.Time           `json:"next,omitzero"`   // not before
}

func (k *call) String() string { return fmt.Sprintf("hook %s of try %d", k.Event, k.Token) }

// owe notes which hooks are to hear of a Move that has arrived. What an earlier Move owes is void.
func (c *customer) owe(ctx workflow.Context, to migration.Side, token int64) {
	c.waive(ctx, "the customer has moved again")
	for _, e := range []migration.HookEvent{migration.HookAfterOpen, migration.HookAfterRoute, migration.HookOnRollback} {
		if migration.HookAt(c.slice.Hooks, e) != nil && (to == migration.OnPrem || e != migration.HookOnRollback) {
			c.Calls = append(c.Calls, &call{Event: e, Token: token, To: to, Since: workflow.Now(ctx)})
		}
	}
}

// waive gives the calls up that nobody has answered.
func (c *customer) waive(ctx workflow.Context, why string) {
	for _, k := range c.Calls {
		c.Note(ctx, k.String()+" was not answered", migration.Command{By: mail.ByDrover, Reason: why})
	}
	c.Calls = nil
}

// oweAgain is what the hooks are owed for the stay of a customer that begins: what it remembers, or
// all that its last Move owes, where nothing was written down since. A hook that has heard of it
// knows the key.
func (c *customer) oweAgain(ctx workflow.Context, phase migration.CustomerPhase, token int64, m memory) {
	rested := m.Phase == migration.CustomerRolledBack || m.Phase == migration.CustomerHeld
	switch {
	case token == 0: // no Move has led here
	case phase == migration.CustomerBaking, phase == migration.CustomerRolledBack && !rested:
		c.owe(ctx, c.Home, token)
	default:
		c.Calls = m.Calls
	}
}

// keepCalls makes the calls that are owed, in their order; one that fails keeps no other. It never
// returns.
func (c *customer) keepCalls(ctx workflow.Context) {
	for workflow.Await(ctx, func() bool { return c.nextCall() != nil }) == nil {
		k := c.nextCall()
		if wait := k.Next.Sub(workflow.Now(ctx)); wait > 0 {
			work.AwaitFor(ctx, wait, "before "+k.String()+" is called again", func() bool { return c.nextCall() != k })
			continue
		}
		c.makeCall(ctx, k)
	}
}

// nextCall is the one that is due first; nil: none is.
func (c *customer) nextCall() (next *call) {
	for _, k := range c.Calls {
		if (k.Event == migration.HookAfterOpen || c.routedWhole()) && (next == nil || k.Next.Before(next.Next)) {
			next = k
		}
	}
	return next
}

// routedWhole says whether all requests of the customer go to its home.
func (c *customer) routedWhole() bool { return c.Unrouted == "" && c.routing == 0 && c.shifting() == 0 }

// makeCall makes a call once.
func (c *customer) makeCall(ctx workflow.Context, k *call) {
	h := migration.HookAt(c.slice.Hooks, k.Event)
	var holds string
	var err error
	if h != nil { // else an amendment has taken it out of the plan
		holds, err = hook.Once(ctx, c.in.Spec, *h, migration.HookCall{Event: k.Event, Batch: c.in.Batch, Customer: c.in.ID, Token: k.Token,
			From: k.To.Other(), To: k.To}, k.Since)
	}
	i := slices.Index(c.Calls, k)
	switch {
	case i < 0: // void meanwhile
	case err != nil:
		pause := min(hookPause<<min(k.Times, 10), hookPauseMost)
		k.Times, k.Last, k.At = k.Times+1, work.Reason(err), workflow.Now(ctx)
		k.Next = k.At.Add(pause)
		c.report(ctx)
	default:
		c.Calls = slices.Delete(c.Calls, i, i+1)
		if k.Times > 0 {
			c.Note(ctx, fmt.Sprintf("%s was answered, after %d failures", k, k.Times), migration.Command{By: mail.ByDrover})
			c.report(ctx)
		}
		if holds != "" {
			c.holdFor(ctx, k, &hook.Held{By: k.Event, Reason: holds})
		}
	}
}

// holdFor keeps the customer where it is, since the answer of a hook says so. One that is on its
// way, or rests already, goes on: a hook takes nobody off its way.
func (c *customer) holdFor(ctx workflow.Context, k *call, why *hook.Held) {
	switch c.Phase {
	case migration.CustomerBaking, migration.CustomerSoaking, migration.CustomerRolledBack:
		c.order(hold, mail.Wish{By: mail.ByDrover, Reason: why.Error()}, "")
	default:
		c.Note(ctx, fmt.Sprintf("the answer of %s changes nothing while the customer is %s", k, c.Phase),
			migration.Command{By: mail.ByDrover, Reason: why.Error()})
	}
}

// lastCalls waits for the answers that are left, for a while: nobody calls for a customer that has
// ended.
func (c *customer) lastCalls(ctx workflow.Context) {
	c.lastCounts(ctx)
	if len(c.Calls) == 0 {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	work.AwaitFor(ctx, hookLast, "for the hooks of "+c.in.ID, func() bool { return len(c.Calls) == 0 })
	c.waive(ctx, "the customer ends here")
}

// unanswered are the calls that failed, as people see them.
func (c *customer) unanswered() (out []migration.Trying) {
	for _, k := range c.Calls {
		if k.Times > 0 {
			out = append(out, migration.Trying{What: k.String(), Hook: k.Event, Times: k.Times, Last: k.Last, At: k.At, Since: k.Since,
				Next: k.Next})
		}
	}
	return out
}
