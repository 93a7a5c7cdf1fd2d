package vsphere

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// prefix is how the names of Drover's snapshots begin. Nothing else is ever removed.
const prefix = "drover-"

// ErrNotOurs says that a snapshot's name is not one that Drover gives.
var ErrNotOurs = errors.New("snapshots that Drover did not make are left alone")

func ours(name string) bool { return strings.HasPrefix(name, prefix) }

func (s *Session) machine(vm migration.VM) *object.VirtualMachine {
	return object.NewVirtualMachine(s.Client, types.ManagedObjectReference{Type: "VirtualMachine", Value: vm.Ref})
}

// Snapshot finds or makes the machine's snapshot of this name, without memory and without quiescing, and answers with its reference.
func (s *Session) Snapshot(ctx context.Context, vm migration.VM, name string) (string, error) {
	if !ours(name) {
		return "", fmt.Errorf("snapshot %q of VM %q: %w", name, vm.Name, ErrNotOurs)
	}
	if found, err := s.findSnapshot(ctx, vm, name); err != nil || found != nil {
		return ref(found), err
	}
	t, err := s.machine(vm).CreateSnapshot(ctx, name, "Made by Drover to copy the disks. It removes it by itself.", false, false)
	if err != nil {
		return "", fmt.Errorf("snapshot VM %q: %w", vm.Name, err)
	}
	info, err := t.WaitForResult(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("snapshot VM %q: %w", vm.Name, err)
	}
	made, ok := info.Result.(types.ManagedObjectReference)
	if !ok {
		return "", fmt.Errorf("snapshot VM %q: vCenter did not say which it made", vm.Name)
	}
	return made.Value, nil
}

// RemoveSnapshot removes Drover's snapshot of this name and consolidates. One that is gone already is no error.
func (s *Session) RemoveSnapshot(ctx context.Context, vm migration.VM, name string) error {
	if !ours(name) {
		return fmt.Errorf("snapshot %q of VM %q: %w", name, vm.Name, ErrNotOurs)
	}
	found, err := s.findSnapshot(ctx, vm, name)
	if err != nil || found == nil {
		return err
	}
	consolidate := true
	t, err := s.machine(vm).RemoveSnapshot(ctx, found.Value, false, &consolidate)
	if err == nil {
		err = t.Wait(ctx)
	}
	var fault task.Error
	if errors.As(err, &fault) {
		if _, gone := fault.Fault().(*types.ManagedObjectNotFound); gone {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("remove snapshot %q of VM %q: %w", name, vm.Name, err)
	}
	return nil
}

// findSnapshot finds a snapshot by name; nil if there is none.
func (s *Session) findSnapshot(ctx context.Context, vm migration.VM, name string) (*types.ManagedObjectReference, error) {
	var m mo.VirtualMachine
	if err := s.machine(vm).Properties(ctx, s.machine(vm).Reference(), []string{"snapshot"}, &m); err != nil {
		return nil, fmt.Errorf("snapshots of VM %q: %w", vm.Name, err)
	}
	if m.Snapshot == nil {
		return nil, nil
	}
	var look func([]types.VirtualMachineSnapshotTree) *types.ManagedObjectReference
	look = func(list []types.VirtualMachineSnapshotTree) *types.ManagedObjectReference {
		for _, t := range list {
			if t.Name == name {
				return &t.Snapshot
			}
			if below := look(t.ChildSnapshotList); below != nil {
				return below
			}
		}
		return nil
	}
	return look(m.Snapshot.RootSnapshotList), nil
}
