package vsphere

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// A snapshot is Drover's if its name begins with prefix and its description with mark. Nothing else
// is ever removed or read.
const (
	prefix = "drover-"
	mark   = "Made by Drover"
)

// ErrNotOurs says that a snapshot is not one that Drover made.
var ErrNotOurs = errors.New("snapshots that Drover did not make are left alone")

func ours(t types.VirtualMachineSnapshotTree) bool {
	return strings.HasPrefix(t.Name, prefix) && strings.HasPrefix(t.Description, mark)
}

// machine is the VM as govmomi has it. Wait for its tasks with Wait, never WaitEx: that shares one
// property collector among all callers of a session, and one of two that wait at once may wait for
// ever.
func (s *Session) machine(vm migration.VM) *object.VirtualMachine {
	return object.NewVirtualMachine(s.Client, types.ManagedObjectReference{Type: "VirtualMachine", Value: vm.Ref})
}

// snapshotPatience is how long vCenter may take to make a snapshot.
const snapshotPatience = 10 * time.Minute

// Snapshot finds or makes the machine's snapshot of this name, without memory and without
// quiescing, and answers with its reference.
func (s *Session) Snapshot(ctx context.Context, vm migration.VM, name string) (string, error) {
	if found, err := s.findSnapshot(ctx, vm, name); err != nil || found != nil {
		return ref(found), err
	}
	t, err := s.machine(vm).CreateSnapshot(ctx, name, mark+" to copy the disks of this machine. It removes it by itself; if no "+
		"migration runs, remove it by hand.", false, false)
	if err != nil {
		return "", fmt.Errorf("snapshot VM %q: %w", vm.Name, err)
	}
	// A cancel does not end vCenter's task. Whoever removes the snapshot afterwards must find it.
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), snapshotPatience)
	defer cancel()
	info, err := t.WaitForResult(wait)
	if err = cmp.Or(ctx.Err(), err); err != nil {
		return "", fmt.Errorf("snapshot VM %q: %w", vm.Name, err)
	}
	made, ok := info.Result.(types.ManagedObjectReference)
	if !ok {
		return "", fmt.Errorf("snapshot VM %q: vCenter did not say which it made", vm.Name)
	}
	return made.Value, nil
}

// SnapshotMade is when a snapshot was made, by vCenter's clock: what it has is what the machine's
// disks had then. Zero: there is no such snapshot any more.
func (s *Session) SnapshotMade(ctx context.Context, vm migration.VM, snapshot string) (time.Time, error) {
	var m mo.VirtualMachine
	if err := s.machine(vm).Properties(ctx, s.machine(vm).Reference(), []string{"snapshot"}, &m); err != nil {
		return time.Time{}, fmt.Errorf("snapshots of VM %q: %w", vm.Name, err)
	}
	return made(m, snapshot), nil
}

// made is when a machine's snapshot was made; zero: it has none of this reference.
func made(m mo.VirtualMachine, snapshot string) time.Time {
	for t := range snapshots(m) {
		if t.Snapshot.Value == snapshot {
			return t.CreateTime
		}
	}
	return time.Time{}
}

// RemoveSnapshot removes Drover's snapshots of this name and consolidates. There can be two, if two
// workers made one at once. One that is gone already is no error, nor is a machine that is.
func (s *Session) RemoveSnapshot(ctx context.Context, vm migration.VM, name string) error {
	last := ""
	for {
		found, err := s.findSnapshot(ctx, vm, name)
		if fault.Is(err, &types.ManagedObjectNotFound{}) {
			return nil
		}
		if err != nil || found == nil {
			return err
		}
		if found.Value == last {
			return fmt.Errorf("remove snapshot %q of VM %q: vCenter says that it is removed, and lists it still", name, vm.Name)
		}
		last = found.Value
		if err := s.removeSnapshot(ctx, *found); err != nil && !fault.Is(err, &types.ManagedObjectNotFound{}) {
			return fmt.Errorf("remove snapshot %q of VM %q: %w", name, vm.Name, err)
		}
	}
}

func (s *Session) removeSnapshot(ctx context.Context, at types.ManagedObjectReference) error {
	res, err := methods.RemoveSnapshot_Task(ctx, s, &types.RemoveSnapshot_Task{This: at, Consolidate: types.NewBool(true)})
	if err != nil {
		return err
	}
	return object.NewTask(s.Client, res.Returnval).Wait(ctx)
}

// findSnapshot finds one of Drover's snapshots by name; nil if there is none. One of that name that
// somebody else made is ErrNotOurs.
func (s *Session) findSnapshot(ctx context.Context, vm migration.VM, name string) (*types.ManagedObjectReference, error) {
	if !strings.HasPrefix(name, prefix) {
		return nil, fmt.Errorf("snapshot %q of VM %q: %w", name, vm.Name, ErrNotOurs)
	}
	var m mo.VirtualMachine
	if err := s.machine(vm).Properties(ctx, s.machine(vm).Reference(), []string{"snapshot"}, &m); err != nil {
		return nil, fmt.Errorf("snapshots of VM %q: %w", vm.Name, err)
	}
	var foreign bool
	for t := range snapshots(m) {
		if t.Name != name {
			continue
		}
		if ours(t) {
			return &t.Snapshot, nil
		}
		foreign = true
	}
	if foreign {
		return nil, fmt.Errorf("snapshot %q of VM %q: %w: rename it", name, vm.Name, ErrNotOurs)
	}
	return nil, nil
}

// snapshots are all of a machine, parents before children.
func snapshots(m mo.VirtualMachine) func(yield func(types.VirtualMachineSnapshotTree) bool) {
	return func(yield func(types.VirtualMachineSnapshotTree) bool) {
		if m.Snapshot == nil {
			return
		}
		var walk func([]types.VirtualMachineSnapshotTree) bool
		walk = func(list []types.VirtualMachineSnapshotTree) bool {
			for _, t := range list {
				if !yield(t) || !walk(t.ChildSnapshotList) {
					return false
				}
			}
			return true
		}
		walk(m.Snapshot.RootSnapshotList)
	}
}

// Made is a snapshot that Drover made.
type Made struct {
	VM       migration.VM // its name and reference
	Snapshot string       // its name
}

// MadeSnapshots lists the snapshots of this name that Drover made, of every machine of the
// datacenter. It changes nothing.
func (s *Session) MadeSnapshots(ctx context.Context, name string) (out []Made, err error) {
	dc, err := s.datacenter(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.list(ctx, dc.Reference(), nil)
	if err != nil {
		return nil, fmt.Errorf("list the snapshots of datacenter %q: %w", s.conf.Datacenter, err)
	}
	for _, m := range all {
		for t := range snapshots(m) {
			if t.Name == name && ours(t) {
				out = append(out, Made{VM: migration.VM{Name: plain(m.Name), Ref: m.Self.Value}, Snapshot: t.Name})
			}
		}
	}
	return out, nil
}
