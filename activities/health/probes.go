package health

import (
	"context"

	engine "github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
)

// Probes is the activity of health that runs next to a site's machines. It needs no right in AWS.
type Probes struct {
	doctor *engine.Doctor
}

// NewProbes builds the activity.
func NewProbes(doctor *engine.Doctor) *Probes { return &Probes{doctor: doctor} }

// DestinationRequest asks whether a side could take a customer now.
type DestinationRequest struct {
	Plan     string                  `json:"plan"`
	Slice    migration.CustomerSlice `json:"slice"`
	Side     migration.Side          `json:"side"`
	Machines []engine.Machines       `json:"machines,omitempty"` // as FindMachines found them
}

// DestinationResult has a blocker for each thing that is not well there.
type DestinationResult struct {
	Findings []migration.Finding `json:"findings,omitempty"`
}

// CheckDestination asks every machine of the customer's workloads on one side.
func (p *Probes) CheckDestination(ctx context.Context, req DestinationRequest) (DestinationResult, error) {
	_, stop := heartbeat.Saying[int](ctx)
	defer stop()
	found, err := p.doctor.CheckDestination(ctx, req.Slice, req.Side, req.Machines)
	return DestinationResult{Findings: found}, err
}
