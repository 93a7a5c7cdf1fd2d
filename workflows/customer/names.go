package customer

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// prepared waits until the route is ready for a Move: the TTL of a customer's names is lowered, and
// resolvers have forgotten the old one. It waits no longer than nobody wants anything else. It says
// why the route cannot be made ready; "": it is, or somebody wants something else.
func (c *customer) prepared(ctx workflow.Context) string {
	for c.slice.ByName() && !c.wanted() {
		var r traffic.Prepared
		why := c.unlessWanted(ctx, func(ctx workflow.Context) error {
			l := work.Preparation.In(ctx, "make the names of "+c.in.ID+" ready")
			req := traffic.PrepareRoutesRequest{Spec: c.in.Spec, Customers: []string{c.in.ID}}
			return workflow.ExecuteActivity(l, work.Traffic.PrepareRoutes, req).Get(l, &r)
		})
		left := r.Ready.Sub(workflow.Now(ctx))
		switch {
		case c.wanted() || why == "" && left <= 0:
			return ""
		case why != "":
			return why
		}
		c.Set(ctx, migration.CustomerMoving, migration.WaitAWS, work.OldTTL(r.Ready))
		work.AwaitFor(ctx, left, "until resolvers have forgotten the old TTL", c.wanted)
	}
	return ""
}

// settleWithin is how long a route is settled that nobody waits for.
const settleWithin = 2 * time.Minute

// settle puts back what prepared has changed, of a customer that stays where it is. Where that
// fails its route leads there all the same.
func (c *customer) settle(ctx workflow.Context) {
	if !c.slice.ByName() {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	l := work.Question.Within(settleWithin).In(ctx, "give the names of "+c.in.ID+" their TTL back")
	req := traffic.SettleRoutesRequest{Spec: c.in.Spec, Customers: []string{c.in.ID}}
	if err := workflow.ExecuteActivity(l, work.Traffic.SettleRoutes, req).Get(l, nil); err != nil {
		c.Note(ctx, "the TTL of its records stays low", migration.Command{Reason: work.Reason(err)})
	}
}
