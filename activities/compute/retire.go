package compute

import (
	"context"

	"github.com/drover-migration/drover/migration"
)

// RetireWorkloadRequest names the workload whose machines or service go.
type RetireWorkloadRequest struct {
	Plan     string             `json:"plan"`
	Target   migration.Target   `json:"target"`
	Workload migration.Workload `json:"workload"`
}

// RetireWorkload takes away what Drover made for the workload, found by its tags or its name, and nothing else: instances and
// images, or the service and its task definitions. Snapshots stay, since they are the copy of the disks. What is gone already is no
// error, so it can run twice and be cut off anywhere.
func (a *Activities) RetireWorkload(ctx context.Context, req RetireWorkloadRequest) error {
	if req.Workload.Fargate != nil {
		c, err := a.clients.ECS(ctx, req.Target)
		if err != nil {
			return err
		}
		return retireService(ctx, c, req)
	}
	c, err := a.clients.EC2(ctx, req.Target)
	if err != nil {
		return err
	}
	return retireInstances(ctx, c, req)
}
