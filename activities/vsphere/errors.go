package vsphere

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/vsphere"
)

// mistakes are what no repetition mends: somebody has to correct the plan, a secret or the machine.
// Refused credentials also lock an account when they are tried again and again.
var mistakes = map[error]string{
	vsphere.ErrCredentials:  "Credentials",
	vsphere.ErrSecret:       "BadSecret",
	vsphere.ErrUntrusted:    "Untrusted",
	vsphere.ErrDatacenter:   "NoDatacenter",
	vsphere.ErrPattern:      "BadPattern",
	vsphere.ErrNotOurs:      "NotOurs",
	vsphere.ErrStillRunning: "StillRunning",
}

// classify makes mistakes permanent. What is left is retried: a vCenter that restarts, a task that
// another one blocks.
func classify(err error) error {
	permanent := func(kind string) error { return temporal.NewNonRetryableApplicationError(err.Error(), kind, err) }
	if err == nil {
		return nil
	}
	for is, kind := range mistakes {
		if errors.Is(err, is) {
			return permanent(kind)
		}
	}
	switch {
	case vsphere.Forbidden(err):
		return permanent("NoPermission")
	case vsphere.MachineGone(err):
		return permanent("NotFound")
	}
	return err
}
