package vsphere

import (
	"errors"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/types"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/vsphere"
)

// classify makes permanent what no repetition mends: refused credentials lock an account when they are tried again and again. What is
// left is retried: a vCenter that restarts, a task that another one blocks.
func classify(err error) error {
	permanent := func(kind string) error { return temporal.NewNonRetryableApplicationError(err.Error(), kind, err) }
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vsphere.ErrCredentials):
		return permanent("Credentials")
	case errors.Is(err, vsphere.ErrNotOurs):
		return permanent("NotOurs")
	case errors.Is(err, vsphere.ErrStillRunning):
		return permanent("StillRunning")
	case fault.Is(err, &types.NoPermission{}) && !fault.Is(err, &types.NotAuthenticated{}):
		return permanent("NoPermission")
	case vsphere.MachineGone(err):
		return permanent("NotFound")
	}
	return err
}
