package compute

import (
	"context"

	"github.com/drover-migration/drover/migration"
)

// Placed names the workload whose machines or service go.
type Placed struct {
	Plan     string
	Target   migration.Target
	Workload migration.Workload
}

// Retire takes away what Drover made for the workload, found by its tags or its name, and nothing
// else: instances and images, or the service and its task definitions. The copies of disks stay for
// RetireCopies: they are the plan's. What is gone already is no error, so it can run twice and be
// cut off anywhere.
func (mk *Maker) Retire(ctx context.Context, req Placed) error {
	return kinds[req.Workload.Kind()].retire(mk, ctx, req)
}
