package vsphere

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

func TestASnapshotIsGivenUpForItsAgeAndForWhatItLeavesFree(t *testing.T) {
	ref := func(id string) types.ManagedObjectReference {
		return types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: id}
	}
	disk := func(keys ...int32) []types.VirtualMachineFileLayoutExDiskLayout {
		d := types.VirtualMachineFileLayoutExDiskLayout{Key: 2000}
		for _, k := range keys {
			d.Chain = append(d.Chain, types.VirtualMachineFileLayoutExDiskUnit{FileKey: []int32{k}})
		}
		return []types.VirtualMachineFileLayoutExDiskLayout{d}
	}
	file := func(key int32, name string, size int64) types.VirtualMachineFileLayoutExFileInfo {
		return types.VirtualMachineFileLayoutExFileInfo{Key: key, Name: name, Size: size}
	}
	m := mo.VirtualMachine{LayoutEx: &types.VirtualMachineFileLayoutEx{
		File: []types.VirtualMachineFileLayoutExFileInfo{file(1, "[fast] a/a.vmdk", 900<<30), file(2, "[fast] a/a-000001.vmdk", 7<<30),
			file(3, "[fast] a/a-000002.vmdk", 5<<30)},
		Snapshot: []types.VirtualMachineFileLayoutExSnapshotLayout{{Key: ref("theirs"), Disk: disk(1)},
			{Key: ref("ours"), Disk: disk(1, 2)}},
		Disk: disk(1, 2, 3),
	}}
	store := func(free int64) []mo.Datastore {
		return []mo.Datastore{{Summary: types.DatastoreSummary{Name: "fast", FreeSpace: free}}}
	}
	require.Equal(t, map[string]int64{"fast": 5 << 30}, grown(m, "ours"), "neither the disk nor what another snapshot has grown by")
	require.Empty(t, grown(m, "gone"))
	for _, c := range []struct {
		name, says string
		age        time.Duration
		free       int64
	}{
		{"young, and there is room", "", time.Hour, 6 << 30},
		{"a week old", "it is 168h1m0s old, and the limit is 168h0m0s", 7*24*time.Hour + time.Minute, 1 << 40},
		{"larger than what is left", "it has grown to 5120 MiB on datastore fast, which has 4096 MiB left", time.Hour, 4 << 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.says, beyond(c.age, grown(m, "ours"), store(c.free)))
		})
	}
}
