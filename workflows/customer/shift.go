package customer

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/work"
)

// all is the share of a customer's requests, in percent, that is all of them.
const all = 100

// shift is how much of a customer without a database is on AWS, and under which try.
type shift struct {
	Try    migration.Try `json:"try"`    // that its home record names
	Weight int           `json:"weight"` // percentage of its requests
}

// shifted takes over what the home record says of a customer without a database.
func (c *customer) shifted(by migration.Try, weight int) {
	if c.Shift = nil; c.slice.Stateless() && c.Home == migration.AWS {
		c.Shift = &shift{Try: by, Weight: weight}
	}
}

// weight is the share of the customer's requests that goes to AWS; 0: all, or it is at home.
func (c *customer) weight() int {
	if c.Shift == nil {
		return 0
	}
	return c.Shift.Weight
}

// shifting is the share of the customer's requests that goes to AWS while it is not all of them; 0:
// it is not being shifted.
func (c *customer) shifting() int {
	if w := c.weight(); w < all {
		return w
	}
	return 0
}

// weighs says how much of the customer is on AWS; "": nothing needs to be said.
func (c *customer) weighs() string {
	if w := c.shifting(); w > 0 {
		return fmt.Sprintf("%d %% of its requests go to AWS", w)
	}
	return ""
}

// raise gives AWS the next share of the customer's requests: first its home record says so, then
// its route follows. A record that cannot be written, or that a newer try owns, is read again, and
// the customer goes on from what it says.
func (c *customer) raise(ctx workflow.Context) {
	to := c.slice.Policy.NextWeight(c.Shift.Weight)
	t := home.Try{Try: c.Shift.Try, Spec: c.in.Spec, Slice: c.slice, From: migration.OnPrem}
	rec, err := t.Weigh(ctx, to)
	if err != nil {
		c.Resume, c.sure = c.Phase, false
		c.Set(ctx, migration.CustomerFinding, migration.WaitData, "its weight could not be raised: "+work.Reason(err))
		return
	}
	c.Shift.Weight = rec.Weight
	c.Note(ctx, fmt.Sprintf("healthy: %d %% of its requests go to AWS", rec.Weight), migration.Command{})
	c.setUnrouted(c.routedHere(ctx, home.RouteLimit(c.slice)))
	c.arrived(ctx)
}
