package vcenter

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// dispatch puts wrappers where the simulator stops short. They go into the *session's* registry: the simulator prefers it over what
// a handler returns, and it type-asserts the objects of its own map.
func (v *VCenter) dispatch(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil {
		return nil, nil
	}
	var wrapped mo.Reference
	switch o := ctx.Map.Get(m.This).(type) {
	case *simulator.VirtualMachine:
		switch m.Name {
		case "QueryChangedDiskAreas", "ExportVm", "CreateSnapshot_Task", "CreateSnapshotEx_Task":
			wrapped = &machine{VirtualMachine: o, v: v}
		}
	case *simulator.VirtualMachineSnapshot:
		switch m.Name {
		case "RemoveSnapshot_Task", "ExportSnapshot":
			wrapped = &snapshot{VirtualMachineSnapshot: o, v: v}
		}
	}
	if wrapped != nil && ctx.Session.Registry.Get(m.This) == nil {
		ctx.Session.Registry.Put(wrapped)
	}
	return nil, nil
}

func (v *VCenter) nameOf(ref types.ManagedObjectReference) string {
	return v.model.Map().Get(ref).(*simulator.VirtualMachine).Name
}

type machine struct {
	*simulator.VirtualMachine
	v *VCenter
}

// freeze is called before the simulator copies the machine's configuration into the snapshot.
func (m *machine) freeze() {
	m.v.mu.Lock()
	defer m.v.mu.Unlock()
	m.v.open[m.Self]++
	tracking := m.Config.ChangeTrackingEnabled != nil && *m.Config.ChangeTrackingEnabled
	for _, d := range m.v.disks[m.Self] {
		d.seq++
		if !tracking {
			continue
		}
		for _, dev := range m.Config.Hardware.Device {
			if vd, ok := dev.(*types.VirtualDisk); ok && vd.Key == d.key {
				vd.Backing.(*types.VirtualDiskFlatVer2BackingInfo).ChangeId = d.changeID()
			}
		}
	}
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

// QueryChangedDiskAreas answers a page.
func (m *machine) QueryChangedDiskAreas(ctx *simulator.Context, r *types.QueryChangedDiskAreas) soap.HasFault {
	body := &methods.QueryChangedDiskAreasBody{}
	m.v.mu.Lock()
	defer m.v.mu.Unlock()
	for _, d := range m.v.disks[m.Self] {
		if d.key != r.DeviceKey {
			continue
		}
		upto := d.seq
		if r.Snapshot != nil {
			if s, ok := ctx.Map.Get(*r.Snapshot).(*simulator.VirtualMachineSnapshot); ok {
				upto = seqOf(s.Config, d.key)
			}
		}
		info, ok, err := d.changed(r.StartOffset, r.ChangeId, upto)
		switch {
		case err != nil:
			body.Fault_ = simulator.Fault(err.Error(), &types.FileFault{File: d.flat})
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

func seqOf(c types.VirtualMachineConfigInfo, key int32) (seq int64) {
	for _, dev := range c.Hardware.Device {
		if vd, ok := dev.(*types.VirtualDisk); ok && vd.Key == key {
			_, n, _ := strings.Cut(vd.Backing.(*types.VirtualDiskFlatVer2BackingInfo).ChangeId, "/")
			seq, _ = strconv.ParseInt(n, 10, 64)
		}
	}
	return seq
}

// ExportVm hands out a machine that is powered off.
func (m *machine) ExportVm(ctx *simulator.Context, _ *types.ExportVm) soap.HasFault { //nolint:revive // vSphere's spelling
	body := &methods.ExportVmBody{}
	if m.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		body.Fault_ = simulator.Fault("", &types.InvalidPowerState{RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: m.Runtime.PowerState})
		return body
	}
	s, err := m.v.exportable(m.Self, *m.Config)
	if err != nil {
		body.Fault_ = simulator.Fault(err.Error(), &types.FileFault{})
		return body
	}
	res := s.ExportSnapshot(ctx, &types.ExportSnapshot{}).(*methods.ExportSnapshotBody)
	body.Res = &types.ExportVmResponse{Returnval: res.Res.Returnval}
	return body
}

type snapshot struct {
	*simulator.VirtualMachineSnapshot
	v *VCenter
}

// ExportSnapshot hands out what the snapshot froze.
func (s *snapshot) ExportSnapshot(ctx *simulator.Context, r *types.ExportSnapshot) soap.HasFault {
	x, err := s.v.exportable(s.Vm, s.Config)
	if err != nil {
		return &methods.ExportSnapshotBody{Fault_: simulator.Fault(err.Error(), &types.FileFault{})}
	}
	return x.ExportSnapshot(ctx, r)
}

// RemoveSnapshotTask thaws the disks when the last one goes.
func (s *snapshot) RemoveSnapshotTask(ctx *simulator.Context, r *types.RemoveSnapshot_Task) soap.HasFault {
	s.v.mu.Lock()
	if s.v.open[s.Vm]--; s.v.open[s.Vm] <= 0 {
		s.v.open[s.Vm] = 0
		for _, d := range s.v.disks[s.Vm] {
			if err := d.consolidate(); err != nil {
				s.v.mu.Unlock()
				return &methods.RemoveSnapshot_TaskBody{Fault_: simulator.Fault(err.Error(), &types.FileFault{File: d.flat})}
			}
		}
	}
	s.v.mu.Unlock()
	return s.VirtualMachineSnapshot.RemoveSnapshotTask(ctx, r)
}

// exportable is a throw-away snapshot whose disks are files of stream-optimised VMDK, made from the frozen bytes.
func (v *VCenter) exportable(ref types.ManagedObjectReference, cfg types.VirtualMachineConfigInfo) (*simulator.VirtualMachineSnapshot, error) {
	s := &simulator.VirtualMachineSnapshot{}
	s.Vm, s.Config = ref, cfg
	devices := append([]types.BaseVirtualDevice(nil), cfg.Hardware.Device...)
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, dev := range devices {
		vd, ok := dev.(*types.VirtualDisk)
		if !ok {
			continue
		}
		backing, ok := vd.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
		if !ok {
			return nil, fmt.Errorf("disk %d has no bytes to export", vd.Key)
		}
		name := strings.TrimSuffix(backing.FileName, ".vmdk") + "-export.vmdk"
		if err := v.export(ref, vd.Key, v.hostPath(name)); err != nil {
			return nil, err
		}
		c, b := *vd, *backing
		b.FileName = name
		c.Backing = &b
		devices[i] = &c
	}
	s.Config.Hardware.Device = devices
	return s, nil
}

// export writes one disk and remembers its digest. The lock is held.
func (v *VCenter) export(ref types.ManagedObjectReference, key int32, to string) error {
	for _, d := range v.disks[ref] {
		if d.key != key {
			continue
		}
		in, err := os.Open(d.flat)
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		out, err := os.Create(to)
		if err != nil {
			return err
		}
		sum := sha256.New()
		if err := writeStream(out, io.TeeReader(in, sum), d.size); err != nil {
			_ = out.Close()
			return err
		}
		v.exports = append(v.exports, Export{VM: v.nameOf(ref), Disk: key, SHA256: hex.EncodeToString(sum.Sum(nil)), Bytes: d.size})
		return out.Close()
	}
	return fmt.Errorf("disk %d has no bytes to export", key)
}
