package vsphere

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// healthy has nothing that a check could find.
func healthy() mo.VirtualMachine {
	m := mo.VirtualMachine{}
	m.Name = "web-01"
	m.Runtime = types.VirtualMachineRuntimeInfo{
		ConnectionState: types.VirtualMachineConnectionStateConnected, PowerState: types.VirtualMachinePowerStatePoweredOn,
		FaultToleranceState: types.VirtualMachineFaultToleranceStateNotConfigured,
	}
	m.Guest = &types.GuestInfo{ToolsRunningStatus: string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)}
	m.Config = &types.VirtualMachineConfigInfo{GuestId: "ubuntu64Guest", Firmware: "bios", ChangeTrackingEnabled: types.NewBool(true)}
	scsi := &types.ParaVirtualSCSIController{}
	scsi.SharedBus = types.VirtualSCSISharingNoSharing
	m.Config.Hardware.Device = []types.BaseVirtualDevice{scsi, aDisk(&types.VirtualDiskFlatVer2BackingInfo{DiskMode: "persistent"})}
	return m
}

func aDisk(backing types.BaseVirtualDeviceBackingInfo) *types.VirtualDisk {
	d := &types.VirtualDisk{CapacityInBytes: 1 << 30}
	d.DeviceInfo = &types.Description{Label: "Hard disk 1"}
	d.Backing = backing
	return d
}

func flat(change func(*types.VirtualDiskFlatVer2BackingInfo)) func(*mo.VirtualMachine) {
	b := &types.VirtualDiskFlatVer2BackingInfo{DiskMode: "persistent"}
	change(b)
	return only(aDisk(b))
}

func only(d types.BaseVirtualDevice) func(*mo.VirtualMachine) {
	return func(m *mo.VirtualMachine) { m.Config.Hardware.Device = []types.BaseVirtualDevice{d} }
}

func also(d types.BaseVirtualDevice) func(*mo.VirtualMachine) {
	return func(m *mo.VirtualMachine) { m.Config.Hardware.Device = append(m.Config.Hardware.Device, d) }
}

func tree(name, description string) func(*mo.VirtualMachine) {
	return func(m *mo.VirtualMachine) {
		m.Snapshot = &types.VirtualMachineSnapshotInfo{RootSnapshotList: []types.VirtualMachineSnapshotTree{{Name: name,
			Description: description}}}
	}
}

func TestChecks(t *testing.T) {
	require.Empty(t, Check(healthy()))
	sharedSCSI := &types.VirtualLsiLogicSASController{}
	sharedSCSI.SharedBus = types.VirtualSCSISharingPhysicalSharing
	cases := []struct {
		check    string
		severity migration.Severity
		make     func(*mo.VirtualMachine)
	}{
		{"disk-raw-device-mapping", migration.Blocker, only(aDisk(&types.VirtualDiskRawDiskMappingVer1BackingInfo{}))},
		{"disk-raw-device-mapping", migration.Blocker, only(aDisk(&types.VirtualDiskRawDiskVer2BackingInfo{}))},
		{"disk-independent", migration.Blocker,
			flat(func(b *types.VirtualDiskFlatVer2BackingInfo) { b.DiskMode = "independent_persistent" })},
		{"disk-independent", migration.Blocker, flat(func(b *types.VirtualDiskFlatVer2BackingInfo) { b.DiskMode = "nonpersistent" })},
		{"disk-shared", migration.Blocker, flat(func(b *types.VirtualDiskFlatVer2BackingInfo) { b.Sharing = "sharingMultiWriter" })},
		{"disk-encrypted", migration.Blocker, flat(func(b *types.VirtualDiskFlatVer2BackingInfo) { b.KeyId = &types.CryptoKeyId{} })},
		{"disk-no-capacity", migration.Blocker, func(m *mo.VirtualMachine) { disksOf(*m)[0].CapacityInBytes = 0 }},
		{"controller-shared", migration.Blocker, also(sharedSCSI)},
		{"vm-encrypted", migration.Blocker, func(m *mo.VirtualMachine) { m.Config.KeyId = &types.CryptoKeyId{} }},
		{"vm-passthrough", migration.Blocker, also(&types.VirtualPCIPassthrough{})},
		{"vm-passthrough", migration.Blocker, also(&types.VirtualSCSIPassthrough{})},
		{"vm-disconnected", migration.Blocker,
			func(m *mo.VirtualMachine) { m.Runtime.ConnectionState = types.VirtualMachineConnectionStateOrphaned }},
		{"vm-template", migration.Blocker, func(m *mo.VirtualMachine) { m.Config.Template = true }},
		{"vm-no-configuration", migration.Blocker, func(m *mo.VirtualMachine) { m.Config = nil }},
		{"vm-no-disk", migration.Blocker, func(m *mo.VirtualMachine) { m.Config.Hardware.Device = nil }},
		{"change-tracking-off", migration.Warning, func(m *mo.VirtualMachine) { m.Config.ChangeTrackingEnabled = nil }},
		{"consolidation-needed", migration.Warning, func(m *mo.VirtualMachine) { m.Runtime.ConsolidationNeeded = true }},
		{"foreign-snapshot", migration.Warning, tree("before the update", "")},
		{"foreign-snapshot", migration.Warning, tree("drover-copied-our-name", "by hand")},
		{"vtpm", migration.Warning, also(&types.VirtualTPM{})},
		{"secure-boot", migration.Warning, func(m *mo.VirtualMachine) {
			m.Config.BootOptions = &types.VirtualMachineBootOptions{EfiSecureBootEnabled: types.NewBool(true)}
		}},
		{"efi", migration.Warning, func(m *mo.VirtualMachine) { m.Config.Firmware = "efi" }},
		{"tools-not-running", migration.Warning, func(m *mo.VirtualMachine) { m.Guest = nil }},
		{"guest-unknown", migration.Warning, func(m *mo.VirtualMachine) { m.Config.GuestId = "otherGuest64" }},
		{"sr-iov", migration.Warning, also(&types.VirtualSriovEthernetCard{})},
		{"usb", migration.Warning, also(&types.VirtualUSB{})},
		{"nvme", migration.Warning, also(&types.VirtualNVMEController{})},
		{"fault-tolerance", migration.Warning, func(m *mo.VirtualMachine) {
			m.Runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateRunning
		}},
		{"cpu-affinity", migration.Warning, func(m *mo.VirtualMachine) {
			m.Config.CpuAffinity = &types.VirtualMachineAffinityInfo{AffinitySet: []int32{1}}
		}},
		{"datastore-object", migration.Warning, flat(func(b *types.VirtualDiskFlatVer2BackingInfo) { b.BackingObjectId = new("object") })},
	}
	tested := map[string]bool{}
	for _, c := range cases {
		t.Run(c.check, func(t *testing.T) {
			m := healthy()
			c.make(&m)
			found := Check(m)
			require.Len(t, found, 1, "%+v", found)
			require.Equal(t, c.check, found[0].Check)
			require.Equal(t, c.severity, found[0].Severity)
			require.Contains(t, found[0].Subject, "vm web-01")
			require.NotEmpty(t, found[0].Reason)
			require.NotEmpty(t, found[0].Remedy)
		})
		tested[c.check] = true
	}
	for _, c := range checks {
		require.True(t, tested[c.name], "%s has no test", c.name)
	}
	m := healthy()
	tree("drover-plan", mark+" to copy")(&m)
	require.Empty(t, Check(m), "our own snapshot is no finding")
}
