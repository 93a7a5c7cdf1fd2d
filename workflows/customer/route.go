package customer

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/home"
	"github.com/drover-migration/drover/workflows/work"
)

// notYet is why a route does not follow where somebody wanted something else first.
const notYet = "somebody wanted something else before it was set"

// setUnrouted remembers why the route does not follow the customer's home; "": it does.
func (c *customer) setUnrouted(why string) {
	c.Unrouted, c.Unled = why, c.Unled && why != ""
}

// routed makes the route follow what the data says now, and says why it does not; "": it does. It
// gives up after a while, and at once where somebody wants something else.
func (c *customer) routed(ctx workflow.Context) string {
	return c.unlessWanted(ctx, func(ctx workflow.Context) error { return c.keeper().Follow(ctx, home.RouteLimit(c.slice)) })
}

// routedHere is routed where the customer has just heard from its data, or from its Move, where it
// is homed. It asks no database.
func (c *customer) routedHere(ctx workflow.Context, within time.Duration) string {
	return c.unlessWanted(ctx, func(ctx workflow.Context) error {
		_, err := home.Route(ctx, c.in.Spec, c.slice, traffic.WantedRoute{Customer: c.in.ID, Side: c.Home, Token: c.Token,
			Weight: c.weight()}, within)
		return err
	})
}

func (c *customer) unlessWanted(ctx workflow.Context, route func(workflow.Context) error) string {
	c.routing++
	defer func() { c.routing-- }()
	routing, cancel := workflow.WithCancel(ctx)
	defer cancel()
	f, set := workflow.NewFuture(ctx)
	workflow.Go(routing, func(ctx workflow.Context) { set.Set(nil, route(ctx)) })
	c.await(ctx, func() bool { return f.IsReady() || c.wanted() })
	if !f.IsReady() {
		return notYet
	}
	if err := f.Get(ctx, nil); err != nil {
		return work.Reason(err)
	}
	return ""
}

// served goes on where the Move could not set the route to AWS. Nobody serves the customer there
// meanwhile: when work.RouteLimit is over it goes home, where its old route is right. What anybody
// wants of it comes first. served says whether its bake can begin.
func (c *customer) served(ctx workflow.Context) bool {
	until := workflow.Now(ctx).Add(home.RouteLimit(c.slice) - home.RouteInMove(c.slice))
	for c.Unrouted != "" {
		c.Set(ctx, migration.CustomerBaking, migration.WaitAWS, "its route to AWS could not be set, and is tried again: "+c.Unrouted)
		if ctx.Err() != nil || c.obey(ctx) {
			return false
		}
		left := until.Sub(workflow.Now(ctx))
		if left <= 0 {
			// Until it has come home its route stands to be set: held on AWS it is tried again.
			c.goHome(ctx, migration.ByRoute, "its route to AWS could not be set: "+c.Unrouted)
			return false
		}
		if why := c.routedHere(ctx, left); !c.wanted() {
			c.setUnrouted(why)
		}
		if c.Unrouted != "" {
			work.AwaitFor(ctx, routePause, "before the route of "+c.in.ID+" is set again", c.wanted)
		}
	}
	return true
}

// routePause is between two attempts to set a route that nobody follows yet. An attempt that is
// over sooner than work.RouteLimit was refused, as the next one would be.
const routePause = 2 * time.Second

// reroute tries again to set the route of a customer that rests, unless somebody wants something
// else first.
func (c *customer) reroute(ctx workflow.Context) {
	begun := workflow.Now(ctx)
	if c.setUnrouted(c.routed(ctx)); c.Unrouted == "" {
		c.Set(ctx, c.Phase, migration.WaitOperator, c.Why)
	}
	c.routeAgain = max(routePause, work.RouteLimit-workflow.Now(ctx).Sub(begun))
}
