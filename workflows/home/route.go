package home

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Route sends the customer where the caller knows from its data that it is homed, and then verifies
// that, apart. It reads no database. Both together are given up after within. It answers when the
// route was set, also where it could not be verified; zero: it was not.
func Route(ctx workflow.Context, spec migration.SpecRef, slice migration.CustomerSlice, to traffic.WantedRoute,
	within time.Duration) (set time.Time, err error) {
	if len(slice.Routes) == 0 {
		return set, nil
	}
	until := workflow.Now(ctx).Add(within)
	req := traffic.ReconcileRouteRequest{Spec: spec, Customer: to.Customer, Wanted: []traffic.WantedRoute{to}}
	c := work.RouteStep.Within(within).In(ctx, "route "+to.Customer+" to "+string(to.Side))
	if err := workflow.ExecuteActivity(c, work.Traffic.ReconcileRoute, req).Get(c, nil); err != nil {
		return set, err
	}
	set = workflow.Now(ctx)
	left := max(until.Sub(set), time.Second)
	c = work.RouteStep.Within(left).In(ctx, "verify the route of "+to.Customer)
	return set, workflow.ExecuteActivity(c, work.Traffic.VerifyRoute, req).Get(c, nil)
}

// Follow asks the data where the customer is homed and routes it there. A home that the data does
// not name leaves the route as it is.
func (k *Keeper) Follow(ctx workflow.Context, within time.Duration) error {
	if len(k.Slice.Routes) == 0 {
		return nil
	}
	rec, err := k.Read(ctx)
	if err != nil {
		return err
	}
	to := traffic.WantedRoute{Customer: k.Slice.Customer.ID, Side: rec.Home(), Token: rec.Token()}
	_, err = Route(ctx, k.Spec, k.Slice, to, within)
	return err
}
