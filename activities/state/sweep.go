package state

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
)

// working are the folders of a plan that serve its work: checkpoints of disks, manifests of files,
// the routes as they were, and the home records of customers without a database, who are all at
// home when a plan has been aborted. Compiled plans and evidence are records, and stay.
func working(plan string) []string {
	return []string{"disks/" + plan + "/", "files/" + plan + "/", "plans/" + plan + "/routes/", "plans/" + plan + "/homes/"}
}

// SweepRequest names a plan.
type SweepRequest struct {
	Spec   migration.SpecRef `json:"spec"`
	Remove bool              `json:"remove,omitempty"` // all of it
}

// SweepResult are the folders that are not empty, or that were emptied.
type SweepResult struct {
	Things  []migration.Thing `json:"things,omitempty"`
	Removed []string          `json:"removed,omitempty"`
}

// SweepState lists what stands in the state bucket for the work of a plan, and with remove takes it
// away: the plan has ended, and a later one begins anew. Run twice it finds nothing.
func (a *Activities) SweepState(ctx context.Context, req SweepRequest) (out SweepResult, err error) {
	defer heartbeat.Alive(ctx)()
	for _, folder := range working(req.Spec.Plan) {
		list, err := a.objects.List(ctx, req.Spec.State, req.Spec.Target, folder)
		if err != nil {
			return out, err
		}
		if len(list) == 0 {
			continue
		}
		t := migration.Thing{Kind: "object", ID: folder, Of: "plan " + req.Spec.Plan, Where: "bucket " + req.Spec.State.Bucket,
			Count: len(list)}
		for _, o := range list {
			t.Bytes += o.Bytes
			if !req.Remove {
				continue
			}
			if err := a.objects.Remove(ctx, req.Spec.State, req.Spec.Target, o.Key); err != nil {
				return out, err
			}
		}
		if req.Remove {
			out.Removed = append(out.Removed, fmt.Sprintf("%d objects below %s", t.Count, folder))
		} else {
			out.Things = append(out.Things, t)
		}
	}
	return out, nil
}
