package vsphere

import (
	"fmt"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// check is one thing that can stand in the way. found says where, once for each place; "" is the
// machine as a whole.
type check struct {
	name     string
	severity migration.Severity
	reason   string
	remedy   string
	found    func(mo.VirtualMachine) []string
}

// checks are all of them. What a disk cannot give away blocks; what will be different on AWS warns.
var checks = []check{
	{"disk-raw-device-mapping", migration.Blocker, "a raw device mapping cannot be read through a snapshot",
		"copy its data to a virtual disk, or leave the disk out of the machine", diskThat(isRDM)},
	{"disk-independent", migration.Blocker, "an independent disk is left out of snapshots", "set its mode to dependent while the " +
		"machine is powered off", diskThat(isIndependent)},
	{"disk-shared", migration.Blocker, "a disk that several machines write cannot be copied at one moment", "move the cluster's data to " +
		"a service first", diskThat(isShared)},
	{"disk-no-capacity", migration.Blocker, "its capacity is unknown", "reconnect the datastore and rescan",
		diskThat(func(d *types.VirtualDisk) bool { return bytesOf(d) <= 0 })},
	{"vm-encrypted", migration.Blocker, "an encrypted machine's disks are read encrypted", "decrypt it, or copy it from inside",
		whole(func(m mo.VirtualMachine) bool { return m.Config != nil && m.Config.KeyId != nil })},
	{"disk-encrypted", migration.Blocker, "an encrypted disk is read encrypted", "decrypt it, or copy it from inside",
		diskThat(isEncrypted)},
	{"controller-shared", migration.Blocker, "a controller that several machines share forbids snapshots", "set its bus sharing to " +
		"none, or move the cluster's data to a service first", deviceThat(isSharedBus)},
	{"vm-passthrough", migration.Blocker, "PCI passthrough forbids snapshots, and the device does not exist on AWS", "remove the device",
		deviceThat(isPassthrough)},
	{"vm-disconnected", migration.Blocker, "vCenter cannot reach it", "reconnect its host", whole(func(m mo.VirtualMachine) bool {
		return m.Runtime.ConnectionState != "" && m.Runtime.ConnectionState != types.VirtualMachineConnectionStateConnected
	})},
	{"vm-template", migration.Blocker, "a template does not run", "convert it to a virtual machine, or leave it out",
		whole(func(m mo.VirtualMachine) bool { return m.Config != nil && m.Config.Template })},
	{"vm-no-configuration", migration.Blocker, "vCenter does not know its configuration", "look at the machine in vCenter: it may be " +
		"orphaned or inaccessible", whole(func(m mo.VirtualMachine) bool { return m.Config == nil })},
	{"vm-no-disk", migration.Blocker, "it has no disk to copy", "leave it out",
		whole(func(m mo.VirtualMachine) bool { return m.Config != nil && len(disksOf(m)) == 0 })},
	{"change-tracking-off", migration.Warning, "every pass reads the whole disk",
		"enable changed block tracking while there is no snapshot", whole(func(m mo.VirtualMachine) bool {
			return m.Config != nil && (m.Config.ChangeTrackingEnabled == nil || !*m.Config.ChangeTrackingEnabled)
		})},
	{"consolidation-needed", migration.Warning, "its disks have left-over deltas, and reads are slow", "consolidate its disks",
		whole(func(m mo.VirtualMachine) bool {
			return m.Runtime.ConsolidationNeeded
		})},
	{"foreign-snapshot", migration.Warning, "somebody else's snapshot is on it: Drover leaves it alone and copies the present state",
		"remove it if nobody needs it", whole(hasForeignSnapshot)},
	{"vtpm", migration.Warning, "a virtual TPM's content is not copied", "suspend BitLocker or whatever seals keys to it",
		deviceThat(isType[*types.VirtualTPM])},
	{"secure-boot", migration.Warning, "secure boot's variables are not copied", "enrol keys on AWS, or turn it off",
		whole(func(m mo.VirtualMachine) bool {
			return m.Config != nil && m.Config.BootOptions != nil && m.Config.BootOptions.EfiSecureBootEnabled != nil &&
				*m.Config.BootOptions.EfiSecureBootEnabled
		})},
	{"efi", migration.Warning, "it boots by UEFI and needs an instance type that does",
		"leave instanceType at auto, or choose a Nitro type", whole(func(m mo.VirtualMachine) bool {
			return m.Config != nil && m.Config.Firmware == string(types.GuestOsDescriptorFirmwareTypeEfi)
		})},
	{"tools-not-running", migration.Warning, "its guest cannot be asked to shut down or to quiesce", "start VMware Tools in the guest",
		whole(func(m mo.VirtualMachine) bool {
			on := m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
			return on && (m.Guest == nil || m.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning))
		})},
	{"guest-unknown", migration.Warning, "its operating system is unknown", "set the guest operating system in vCenter, and check that " +
		"AWS supports it", whole(func(m mo.VirtualMachine) bool {
		return m.Config != nil && (m.Config.GuestId == "" || strings.HasPrefix(m.Config.GuestId, "other"))
	})},
	{"sr-iov", migration.Warning, "its network card does not exist on AWS", "none: it gets an ENA card",
		deviceThat(isType[*types.VirtualSriovEthernetCard])},
	{"usb", migration.Warning, "its USB device stays behind", "find another way for what needs it", deviceThat(isType[*types.VirtualUSB])},
	{"nvme", migration.Warning, "its disks may have other names on AWS", "mount file systems by UUID or label",
		deviceThat(isType[*types.VirtualNVMEController])},
	{"fault-tolerance", migration.Warning, "fault tolerance does not go with it", "run several instances",
		whole(func(m mo.VirtualMachine) bool {
			f := m.Runtime.FaultToleranceState
			return f != "" && f != types.VirtualMachineFaultToleranceStateNotConfigured
		})},
	{"cpu-affinity", migration.Warning, "its CPU affinity means nothing on AWS", "none: choose an instance type by its load",
		whole(func(m mo.VirtualMachine) bool {
			return m.Config != nil && m.Config.CpuAffinity != nil && len(m.Config.CpuAffinity.AffinitySet) > 0
		})},
	{"datastore-object", migration.Warning, "it is on vSAN or vVols, where its files cannot be read directly and a change query may " +
		"report the whole disk", "none: it is read through a snapshot", diskThat(isObject)},
}

// Check says what stands in the way of a machine.
func Check(m mo.VirtualMachine) (out []migration.Finding) {
	for _, c := range checks {
		for _, where := range c.found(m) {
			subject := "vm " + m.Name
			if where != "" {
				subject += " " + where
			}
			out = append(out, migration.Finding{Severity: c.severity, Check: c.name, Subject: subject, Reason: c.reason, Remedy: c.remedy})
		}
	}
	return out
}

func whole(is func(mo.VirtualMachine) bool) func(mo.VirtualMachine) []string {
	return func(m mo.VirtualMachine) []string {
		if is(m) {
			return []string{""}
		}
		return nil
	}
}

func diskThat(is func(*types.VirtualDisk) bool) func(mo.VirtualMachine) []string {
	return func(m mo.VirtualMachine) (out []string) {
		for _, d := range disksOf(m) {
			if is(d) {
				out = append(out, label(d))
			}
		}
		return out
	}
}

func deviceThat(is func(types.BaseVirtualDevice) bool) func(mo.VirtualMachine) []string {
	return func(m mo.VirtualMachine) (out []string) {
		if m.Config == nil {
			return nil
		}
		for _, d := range m.Config.Hardware.Device {
			if is(d) {
				out = append(out, label(d))
			}
		}
		return out
	}
}

func label(d types.BaseVirtualDevice) string {
	v := d.GetVirtualDevice()
	if v.DeviceInfo != nil && v.DeviceInfo.GetDescription().Label != "" {
		return v.DeviceInfo.GetDescription().Label
	}
	return fmt.Sprintf("device %d", v.Key)
}

func isType[T types.BaseVirtualDevice](d types.BaseVirtualDevice) bool {
	_, ok := d.(T)
	return ok
}

func isPassthrough(d types.BaseVirtualDevice) bool {
	switch d.(type) {
	case *types.VirtualPCIPassthrough, *types.VirtualSCSIPassthrough:
		return true
	}
	return false
}

func isRDM(d *types.VirtualDisk) bool {
	switch d.Backing.(type) {
	case *types.VirtualDiskRawDiskMappingVer1BackingInfo, *types.VirtualDiskRawDiskVer2BackingInfo,
		*types.VirtualDiskPartitionedRawDiskVer2BackingInfo:
		return true
	}
	return false
}

// backing is what the kinds of a disk's backing have in common, where they have it.
func backing(d *types.VirtualDisk) (mode, sharing string, key *types.CryptoKeyId) {
	switch b := d.Backing.(type) {
	case *types.VirtualDiskFlatVer2BackingInfo:
		return b.DiskMode, b.Sharing, b.KeyId
	case *types.VirtualDiskSeSparseBackingInfo:
		return b.DiskMode, "", b.KeyId
	case *types.VirtualDiskSparseVer2BackingInfo:
		return b.DiskMode, "", b.KeyId
	case *types.VirtualDiskRawDiskMappingVer1BackingInfo:
		return b.DiskMode, b.Sharing, nil
	case *types.VirtualDiskRawDiskVer2BackingInfo:
		return "", b.Sharing, nil
	case *types.VirtualDiskLocalPMemBackingInfo:
		return b.DiskMode, "", nil
	}
	return "", "", nil
}

func isIndependent(d *types.VirtualDisk) bool {
	mode, _, _ := backing(d)
	return strings.HasPrefix(mode, "independent") || mode == string(types.VirtualDiskModeNonpersistent) ||
		mode == string(types.VirtualDiskModeUndoable)
}

func isShared(d *types.VirtualDisk) bool {
	_, sharing, _ := backing(d)
	return sharing != "" && sharing != string(types.VirtualDiskSharingSharingNone)
}

func isEncrypted(d *types.VirtualDisk) bool {
	_, _, key := backing(d)
	return key != nil
}

func isSharedBus(d types.BaseVirtualDevice) bool {
	switch c := d.(type) {
	case types.BaseVirtualSCSIController:
		bus := c.GetVirtualSCSIController().SharedBus
		return bus != "" && bus != types.VirtualSCSISharingNoSharing
	case *types.VirtualNVMEController:
		return c.SharedBus != "" && c.SharedBus != string(types.VirtualNVMEControllerSharingNoSharing)
	}
	return false
}

func isObject(d *types.VirtualDisk) bool {
	b, ok := d.Backing.(types.BaseVirtualDeviceFileBackingInfo)
	if !ok {
		return false
	}
	id := b.GetVirtualDeviceFileBackingInfo().BackingObjectId
	return id != nil && *id != ""
}

func hasForeignSnapshot(m mo.VirtualMachine) bool {
	for t := range snapshots(m) {
		if !ours(t) {
			return true
		}
	}
	return false
}
