package home

import (
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Follow reconciles the customer's route to its home record and then verifies it, apart.
func Follow(ctx workflow.Context, spec migration.SpecRef, slice migration.CustomerSlice) error {
	if len(slice.Routes) == 0 {
		return nil
	}
	req := traffic.ReconcileRouteRequest{Spec: spec, Customer: slice.Customer.ID}
	site := slice.Databases[0].Site()
	c := work.RouteStep.At(ctx, site, "route "+slice.Customer.ID+" to its home")
	if err := workflow.ExecuteActivity(c, work.Traffic.ReconcileRoute, req).Get(c, nil); err != nil {
		return err
	}
	c = work.RouteStep.At(ctx, site, "verify the route of "+slice.Customer.ID)
	return workflow.ExecuteActivity(c, work.Traffic.VerifyRoute, req).Get(c, nil)
}
