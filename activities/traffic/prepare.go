package traffic

import (
	"context"
	"time"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// PrepareRoutesRequest names customers of a spec that are about to move.
type PrepareRoutesRequest struct {
	Spec      migration.SpecRef `json:"spec"`
	Customers []string          `json:"customers"`
	Opens     time.Time         `json:"opens,omitzero"` // nobody moves before; zero: they may move as soon as they can
}

// Prepared says how far their routes are.
type Prepared = routes.Prepared

// PrepareRoutes makes the routes of customers ready for a Move: the TTL of names is lowered, as
// much before it as the old one lasts. Other routes are ready. Run twice, or cut off anywhere, it
// ends the same.
func (a *Activities) PrepareRoutes(ctx context.Context, req PrepareRoutesRequest) (Prepared, error) {
	defer heartbeat.Alive(ctx)()
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return Prepared{}, err
	}
	return a.router.Prepare(ctx, spec, req.Customers, req.Opens)
}

// SettleRoutesRequest names customers of a spec that stay where they are.
type SettleRoutesRequest struct {
	Spec      migration.SpecRef `json:"spec"`
	Customers []string          `json:"customers"`
}

// SettleRoutes puts back what PrepareRoutes has changed, wherever the routes lead. Run twice it
// changes nothing more.
func (a *Activities) SettleRoutes(ctx context.Context, req SettleRoutesRequest) error {
	defer heartbeat.Alive(ctx)()
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return err
	}
	return a.router.Settle(ctx, spec, req.Customers)
}
