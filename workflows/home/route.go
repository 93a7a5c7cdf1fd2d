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
// routes needed, once a look at them has found them right.
func Route(ctx workflow.Context, spec migration.SpecRef, slice migration.CustomerSlice, to traffic.WantedRoute,
	within time.Duration) (set time.Time, err error) {
	if len(slice.Routes) == 0 {
		return set, nil
	}
	req := traffic.ReconcileRouteRequest{Spec: spec, Customer: to.Customer, Wanted: []traffic.WantedRoute{to}}
	step := work.RouteStep
	if slice.ByName() {
		step = work.NameStep
	}
	c := step.Within(within).In(ctx, "route "+to.Customer+" to "+string(to.Side))
	var state traffic.RouteState
	err = workflow.ExecuteActivity(c, work.Traffic.ReconcileRoute, req).Get(c, &state)
	return state.Set, err
}

// RouteLimit is how long the route of a customer may stay behind its data.
func RouteLimit(slice migration.CustomerSlice) time.Duration { return work.RouteLimit + spreads(slice) }

// RouteInMove is how much of RouteLimit is the Move's.
func RouteInMove(slice migration.CustomerSlice) time.Duration {
	return work.RouteInMove + spreads(slice)
}

func spreads(slice migration.CustomerSlice) time.Duration {
	if slice.ByName() {
		return work.NameSpreads
	}
	return 0
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
