package postgres

import (
	"context"

	"github.com/drover-migration/drover/internal/heartbeat"
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
