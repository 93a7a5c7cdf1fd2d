package vsphere

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// ErrSnapshotSpent says that a snapshot of Drover's is too old or too large to be kept for a copy:
// a machine's writes fill its datastore for as long as one stands, and a full datastore stops every
// machine on it.
var ErrSnapshotSpent = errors.New("the snapshot is given up")

// The limits of a snapshot while its disks are read.
var (
	// snapshotAge is the longest: VMware advises three days, and a copy of many TiB needs more.
	snapshotAge = 7 * 24 * time.Hour
	// limitEvery lies between two looks.
	limitEvery = time.Minute
)

// watchSnapshot looks at a snapshot until ctx ends, and stops who reads it when it is spent.
func (s *Session) watchSnapshot(ctx context.Context, stop context.CancelCauseFunc, vm migration.VM, snapshot string) {
	each(ctx, limitEvery, func() bool {
		if err := s.spent(ctx, vm, snapshot); errors.Is(err, ErrSnapshotSpent) {
			stop(err)
			return false
		}
		return true // a question without an answer is asked again
	})
}

// spent is ErrSnapshotSpent where a snapshot is past its limits, by vCenter's clock. Any other
// error says that it could not be asked.
func (s *Session) spent(ctx context.Context, vm migration.VM, snapshot string) error {
	now, err := methods.GetCurrentTime(ctx, s)
	if err != nil {
		return fmt.Errorf("ask vCenter for the time: %w", err)
	}
	var m mo.VirtualMachine
	if err := s.machine(vm).Properties(ctx, s.machine(vm).Reference(), []string{"snapshot", "layoutEx", "datastore"}, &m); err != nil {
		return fmt.Errorf("snapshots of VM %q: %w", vm.Name, err)
	}
	since := made(m, snapshot)
	if since.IsZero() {
		return nil // whoever reads it says so
	}
	var stores []mo.Datastore
	if len(m.Datastore) > 0 {
		if err := property.DefaultCollector(s.Client).Retrieve(ctx, m.Datastore, []string{"summary"}, &stores); err != nil {
			return fmt.Errorf("free space of the datastores of VM %q: %w", vm.Name, err)
		}
	}
	if why := beyond(now.Sub(since), grown(m, snapshot), stores); why != "" {
		return fmt.Errorf("%w: %s", ErrSnapshotSpent, why)
	}
	return nil
}

// grown is how many bytes were written beside a snapshot, by datastore: the files that the disks
// have now and had not when it was made.
func grown(m mo.VirtualMachine, snapshot string) map[string]int64 {
	out := map[string]int64{}
	if m.LayoutEx == nil {
		return out
	}
	then := map[int32]bool{}
	known := false
	for _, x := range m.LayoutEx.Snapshot {
		if x.Key.Value == snapshot {
			known = true
			for key := range filesOf(x.Disk) {
				then[key] = true
			}
		}
	}
	if !known {
		return out
	}
	since := map[int32]bool{}
	for key := range filesOf(m.LayoutEx.Disk) {
		since[key] = !then[key]
	}
	for _, f := range m.LayoutEx.File {
		var at object.DatastorePath
		if since[f.Key] && at.FromString(f.Name) {
			out[at.Datastore] += f.Size
		}
	}
	return out
}

// filesOf are the keys of the files of disks.
func filesOf(disks []types.VirtualMachineFileLayoutExDiskLayout) func(yield func(int32) bool) {
	return func(yield func(int32) bool) {
		for _, d := range disks {
			for _, unit := range d.Chain {
				for _, key := range unit.FileKey {
					if !yield(key) {
						return
					}
				}
			}
		}
	}
}

// beyond says which limit a snapshot of this age and these bytes by datastore has passed; "": none.
// It may not be larger than what is left free beside it.
func beyond(age time.Duration, grown map[string]int64, stores []mo.Datastore) string {
	if age > snapshotAge {
		return fmt.Sprintf("it is %s old, and the limit is %s", age.Round(time.Minute), snapshotAge)
	}
	for _, d := range stores {
		if size := grown[d.Summary.Name]; size > d.Summary.FreeSpace {
			return fmt.Sprintf("it has grown to %d MiB on datastore %s, which has %d MiB left", size>>20, d.Summary.Name,
				d.Summary.FreeSpace>>20)
		}
	}
	return ""
}
