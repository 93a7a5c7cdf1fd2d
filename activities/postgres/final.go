package postgres

import (
	"context"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// EndWayBackRequest names the tenants of a batch whose way back ends.
type EndWayBackRequest struct {
	PostgresRef
	Tenants []int64 `json:"tenants"`
}

// EndWayBack ends the way back of tenants for good, when all of them are homed on AWS: the guard on
// premises goes on refusing them. Cut off anywhere, it is run again; twice is once.
func (a *Activities) EndWayBack(ctx context.Context, req EndWayBackRequest) error {
	defer heartbeat.Alive(ctx)()
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return err
	}
	return classify(p.EndWayBack(ctx, req.Tenants))
}

// Unplanned are tenants of a dataset that are in no batch of the plan, in order.
type Unplanned struct {
	Tenants []int64 `json:"tenants,omitempty"` // the first 20
	All     int     `json:"all,omitempty"`
}

// ListUnplanned lists the tenants that are in no batch of the plan and have rows on premises: those
// that were left out, and those that signed up. It changes nothing.
func (a *Activities) ListUnplanned(ctx context.Context, req PostgresRef) (Unplanned, error) {
	defer heartbeat.Alive(ctx)()
	p, err := a.open(ctx, req)
	if err != nil {
		return Unplanned{}, err
	}
	found, err := setup.Unplanned(ctx, p)
	return Unplanned{Tenants: found[:min(len(found), mostNamed)], All: len(found)}, classify(err)
}

// mostNamed is how many tenants are named where a person reads them.
const mostNamed = 20
