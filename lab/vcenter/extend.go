package vcenter

import (
	"fmt"
	"strconv"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// dispatch puts wrappers where the simulator stops short. They go into the *session's* registry:
// the simulator prefers it over what a handler returns, and it type-asserts the objects of its own
// map. It is called before every method.
func (v *VCenter) dispatch(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil {
		switch m.Name {
		case "RetrieveProperties", "RetrievePropertiesEx": // which the simulator answers to anybody
			return nil, &types.NotAuthenticated{NoPermission: types.NoPermission{Object: &m.This, PrivilegeId: "System.View"}}
		}
		return nil, nil
	}
	switch m.Name {
	case "HttpNfcLeaseProgress":
		v.leases.report(m.This)
	case "HttpNfcLeaseComplete", "HttpNfcLeaseAbort":
		v.leases.end(m.This)
	}
	var wrapped mo.Reference
	switch o := ctx.Map.Get(m.This).(type) {
	case *simulator.VirtualMachine:
		wrapped = &machine{VirtualMachine: o, v: v}
	case *simulator.VirtualMachineSnapshot:
		wrapped = &snapshot{VirtualMachineSnapshot: o, v: v}
	case nil:
		if m.This.Type == "VirtualMachineSnapshot" { // removed: its wrapper must not live on
			ctx.Session.Remove(ctx, m.This)
		}
	}
	if wrapped != nil && ctx.Session.Registry.Get(m.This) == nil {
		ctx.Session.Registry.Put(wrapped)
	}
	return nil, nil
}

// machine is a virtual machine whose disks have bytes.
type machine struct {
	*simulator.VirtualMachine
	v *VCenter
}

// layerKey is where a snapshot's configuration says which layer of the disks is its own.
const layerKey = "lab.layer"

// freeze is called before the simulator copies the machine's configuration into the snapshot, under
// the machine's lock.
func (m *machine) freeze() {
	tracking := m.Config.ChangeTrackingEnabled != nil && *m.Config.ChangeTrackingEnabled
	var seq int64
	for _, d := range m.v.disksOf(m.Self) {
		seq = d.freeze()
		for _, dev := range m.Config.Hardware.Device {
			if vd, ok := dev.(*types.VirtualDisk); ok && vd.Key == d.key && tracking {
				vd.Backing.(*types.VirtualDiskFlatVer2BackingInfo).ChangeId = d.changeID(seq)
			}
		}
	}
	var rest []types.BaseOptionValue
	for _, o := range m.Config.ExtraConfig {
		if o.GetOptionValue().Key != layerKey {
			rest = append(rest, o)
		}
	}
	m.Config.ExtraConfig = append(rest, &types.OptionValue{Key: layerKey, Value: strconv.FormatInt(seq, 10)})
}

func layerOf(c types.VirtualMachineConfigInfo) (seq int64) {
	for _, o := range c.ExtraConfig {
		if v := o.GetOptionValue(); v.Key == layerKey {
			seq, _ = strconv.ParseInt(fmt.Sprint(v.Value), 10, 64)
		}
	}
	return seq
}

// CreateSnapshotTask freezes the disks.
func (m *machine) CreateSnapshotTask(ctx *simulator.Context, r *types.CreateSnapshot_Task) soap.HasFault {
	m.freeze()
	return m.VirtualMachine.CreateSnapshotTask(ctx, r)
}

// CreateSnapshotExTask freezes the disks.
func (m *machine) CreateSnapshotExTask(ctx *simulator.Context, r *types.CreateSnapshotEx_Task) soap.HasFault {
	m.freeze()
	return m.VirtualMachine.CreateSnapshotExTask(ctx, r)
}

// RemoveAllSnapshotsTask thaws the disks.
func (m *machine) RemoveAllSnapshotsTask(ctx *simulator.Context, r *types.RemoveAllSnapshots_Task) soap.HasFault {
	for _, d := range m.v.disksOf(m.Self) {
		for seq := d.last(); seq > 0; seq = d.last() {
			if err := d.thaw(seq); err != nil {
				return &methods.RemoveAllSnapshots_TaskBody{Fault_: simulator.Fault(err.Error(), &types.FileFault{})}
			}
		}
	}
	return m.VirtualMachine.RemoveAllSnapshotsTask(ctx, r)
}

// last is the number of the youngest snapshot, 0 if there is none.
func (d *disk) last() int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.layers) == 0 {
		return 0
	}
	return d.layers[len(d.layers)-1].seq
}

// ShutdownGuest asks the guest, which may have no tools to hear it, or not listen.
func (m *machine) ShutdownGuest(ctx *simulator.Context, r *types.ShutdownGuest) soap.HasFault {
	tools := m.Guest != nil && m.Guest.ToolsRunningStatus == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	on := m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
	switch {
	case on && !tools:
		return &methods.ShutdownGuestBody{Fault_: simulator.Fault("", &types.ToolsUnavailable{})}
	case on && m.v.deaf(m.Self):
		return &methods.ShutdownGuestBody{Res: new(types.ShutdownGuestResponse)}
	}
	return m.VirtualMachine.ShutdownGuest(ctx, r)
}

// QueryChangedDiskAreas answers a page.
func (m *machine) QueryChangedDiskAreas(_ *simulator.Context, r *types.QueryChangedDiskAreas) soap.HasFault {
	body := &methods.QueryChangedDiskAreasBody{}
	for _, d := range m.v.disksOf(m.Self) {
		if d.key != r.DeviceKey {
			continue
		}
		info, ok, err := d.changed(r.StartOffset, r.ChangeId)
		switch {
		case err != nil:
			body.Fault_ = simulator.Fault(err.Error(), &types.FileFault{})
		case !ok:
			body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "changeId"})
		default:
			body.Res = &types.QueryChangedDiskAreasResponse{Returnval: info}
		}
		return body
	}
	body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "deviceKey"})
	return body
}

// ExportVm hands out a machine that is powered off.
func (m *machine) ExportVm(ctx *simulator.Context, _ *types.ExportVm) soap.HasFault { //nolint:revive // vSphere's spelling
	body := &methods.ExportVmBody{}
	if m.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		body.Fault_ = simulator.Fault("", &types.InvalidPowerState{RequestedState: types.VirtualMachinePowerStatePoweredOff,
			ExistingState: m.Runtime.PowerState})
		return body
	}
	lease, err := m.v.export(ctx, m.Self, *m.Config, 0)
	if err != nil {
		body.Fault_ = simulator.Fault(err.Error(), &types.FileFault{})
		return body
	}
	body.Res = &types.ExportVmResponse{Returnval: lease}
	return body
}

// snapshot is one whose disks have bytes.
type snapshot struct {
	*simulator.VirtualMachineSnapshot
	v *VCenter
}

// ExportSnapshot hands out what the snapshot froze.
func (s *snapshot) ExportSnapshot(ctx *simulator.Context, _ *types.ExportSnapshot) soap.HasFault {
	body := &methods.ExportSnapshotBody{}
	lease, err := s.v.export(ctx, s.Vm, s.Config, layerOf(s.Config))
	if err != nil {
		body.Fault_ = simulator.Fault(err.Error(), &types.FileFault{})
		return body
	}
	body.Res = &types.ExportSnapshotResponse{Returnval: lease}
	return body
}

// RemoveSnapshotTask thaws the disks.
func (s *snapshot) RemoveSnapshotTask(ctx *simulator.Context, r *types.RemoveSnapshot_Task) soap.HasFault {
	for _, d := range s.v.disksOf(s.Vm) {
		if err := d.thaw(layerOf(s.Config)); err != nil {
			return &methods.RemoveSnapshot_TaskBody{Fault_: simulator.Fault(err.Error(), &types.FileFault{})}
		}
	}
	return s.VirtualMachineSnapshot.RemoveSnapshotTask(ctx, r)
}
