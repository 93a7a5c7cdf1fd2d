package workload

import (
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/disks"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// VMInput names a VM whose disks are copied.
type VMInput struct {
	Spec   migration.SpecRef `json:"spec"`
	Site   migration.Site    `json:"site"`
	Target migration.Target  `json:"target"`
	VM     migration.VM      `json:"vm"`
}

// ReplicateVM copies the disks of a running VM as they stand at one moment. The copy makes the
// snapshot of it on vSphere when it has a slot, and not before: a snapshot grows while it waits,
// and nobody looks at that then. The snapshot is removed whatever happens.
func ReplicateVM(ctx workflow.Context, in VMInput) ([]migration.DiskImage, error) {
	name := vsphere.SnapshotName(in.Spec.Plan)
	var res disks.ReplicateDisksResult
	b := work.DiskCopy.At(ctx, in.Site.Name, "copy the disks of "+in.VM.Name)
	err := workflow.ExecuteActivity(b, work.Disks.ReplicateDisks, disks.ReplicateDisksRequest{
		Plan: in.Spec.Plan, Site: in.Site, Target: in.Target, State: in.Spec.State, StateTarget: in.Spec.Target, VM: in.VM,
		Snapshot: name, Pass: "first",
	}).Get(b, &res)
	cleanup, _ := workflow.NewDisconnectedContext(ctx)
	s := work.Survey.At(cleanup, in.Site.Name, "remove the snapshot of "+in.VM.Name)
	if rerr := workflow.ExecuteActivity(s, work.VSphere.RemoveVMSnapshot,
		vsphere.RemoveVMSnapshotRequest{Site: in.Site, VM: in.VM, Name: name}).Get(s, nil); err == nil {
		err = rerr
	}
	return res.Disks, err
}
