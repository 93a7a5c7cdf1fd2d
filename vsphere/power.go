package vsphere

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// ErrStillRunning says that the guest did not shut down in time and that the plan forbids to stop
// it hard.
var ErrStillRunning = errors.New("the guest did not shut down in time")

// errNoTools is why a guest could not even be asked.
var errNoTools = errors.New("VMware Tools do not run in it")

// Shutdown asks the guest to shut down and waits for up to patience; then, where hard is allowed,
// powers it off. A machine that is off is no error. It is powered off only because its guest cannot
// be asked or did not listen, never because vCenter did not answer.
func (s *Session) Shutdown(ctx context.Context, vm migration.VM, patience time.Duration, hard bool) error {
	m := s.machine(vm)
	if off, err := s.is(ctx, m, types.VirtualMachinePowerStatePoweredOff); err != nil || off {
		return wrap(err, "power state of VM %q", vm.Name)
	}
	why := ErrStillRunning
	switch err := m.ShutdownGuest(ctx); {
	case fault.Is(err, &types.ToolsUnavailable{}):
		why = errors.Join(ErrStillRunning, errNoTools)
	case err != nil:
		return s.settled(ctx, m, types.VirtualMachinePowerStatePoweredOff, "shut down", vm.Name, err)
	default:
		wait, cancel := context.WithTimeout(ctx, patience)
		err := m.WaitForPowerState(wait, types.VirtualMachinePowerStatePoweredOff)
		late := wait.Err() != nil && ctx.Err() == nil
		cancel()
		if !late {
			return s.settled(ctx, m, types.VirtualMachinePowerStatePoweredOff, "wait for the shutdown of", vm.Name, err)
		}
	}
	if !hard {
		return fmt.Errorf("shut down VM %q within %s: %w: shut it down by hand, or allow a hard stop", vm.Name, patience, why)
	}
	t, err := m.PowerOff(ctx)
	if err == nil {
		err = t.Wait(ctx)
	}
	return s.settled(ctx, m, types.VirtualMachinePowerStatePoweredOff, "power off", vm.Name, err)
}

// PowerOn starts a machine. One that runs is no error.
func (s *Session) PowerOn(ctx context.Context, vm migration.VM) error {
	m := s.machine(vm)
	if on, err := s.is(ctx, m, types.VirtualMachinePowerStatePoweredOn); err != nil || on {
		return wrap(err, "power state of VM %q", vm.Name)
	}
	t, err := m.PowerOn(ctx)
	if err == nil {
		err = t.Wait(ctx)
	}
	return s.settled(ctx, m, types.VirtualMachinePowerStatePoweredOn, "power on", vm.Name, err)
}

// settled forgives an error when the machine is where it was to be: somebody else was faster.
func (s *Session) settled(ctx context.Context, m *object.VirtualMachine, want types.VirtualMachinePowerState, what, name string,
	err error) error {
	if err == nil {
		return nil
	}
	if there, _ := s.is(ctx, m, want); there {
		return nil
	}
	return fmt.Errorf("%s VM %q: %w", what, name, err)
}

func (s *Session) is(ctx context.Context, m *object.VirtualMachine, want types.VirtualMachinePowerState) (bool, error) {
	state, err := m.PowerState(ctx)
	return state == want, err
}

// wrap says what was being done; a nil error stays nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}
