package home

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Route sends the customer where the caller knows from its data that it is homed. It reads no
// database, and is given up after within. It answers when the last write was acknowledged that the
// rules needed, once a look at them has found them right.
func Route(ctx workflow.Context, spec migration.SpecRef, slice migration.CustomerSlice, to traffic.WantedRoute,
	within time.Duration) (set time.Time, err error) {
	if len(slice.Routes) == 0 {
		return set, nil
	}
	req := traffic.ReconcileRouteRequest{Spec: spec, Customer: to.Customer, Wanted: []traffic.WantedRoute{to}}
	c := work.RouteStep.Within(within).In(ctx, "route "+to.Customer+" to "+string(to.Side))
	var state traffic.RouteState
	err = workflow.ExecuteActivity(c, work.Traffic.ReconcileRoute, req).Get(c, &state)
	return state.Set, err
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
	to := traffic.WantedRoute{Customer: k.Slice.Customer.ID, Side: rec.Home(), Token: rec.Token(), Weight: rec.Weight}
	_, err = Route(ctx, k.Spec, k.Slice, to, within)
	return err
}
