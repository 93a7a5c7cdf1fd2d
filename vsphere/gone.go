package vsphere

import (
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/types"
)

// MachineGone says whether vCenter answered that it has no such machine: it was removed, or the
// inventory is old.
func MachineGone(err error) bool { return goneKind(err) == "VirtualMachine" }

// SnapshotGone says whether vCenter answered that it has no such snapshot: it was removed, with its
// machine or alone.
func SnapshotGone(err error) bool { return goneKind(err) == "VirtualMachineSnapshot" }

// Forbidden says whether vCenter answered that the user lacks a privilege.
func Forbidden(err error) bool {
	return fault.Is(err, &types.NoPermission{}) && !fault.Is(err, &types.NotAuthenticated{})
}

// goneKind is the kind of object that vCenter does not have; empty for other errors. Views,
// collectors and leases go with a session, and say nothing about a machine.
func goneKind(err error) string {
	var gone *types.ManagedObjectNotFound
	if _, ok := fault.As(err, &gone); !ok {
		return ""
	}
	return gone.Obj.Type
}
