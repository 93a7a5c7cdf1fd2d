package disks

import (
	"errors"
	"fmt"

	"github.com/aws/smithy-go"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/vsphere"
)

// permanent are answers of AWS that a repeat does not change.
var permanent = map[string]bool{
	"AccessDeniedException": true, "ServiceQuotaExceededException": true, "NotFoundException": true, "DisabledException": true,
	"UnrecognizedClientException": true,
}

// changed are how AWS says that a client token was used before with other parameters: EBS direct
// with the first, EC2 with the second
// (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-direct-api-idempotency.html). The request
// of a copy follows from its name but for what the plan and the key's alias may say otherwise
// later.
var changed = map[string]bool{"ConflictException": true, "IdempotentParameterMismatch": true}

// classify makes an error permanent that an operator has to do something about, and says what. All
// others are tried again: a copy goes on where it was.
func classify(err error) error {
	var api smithy.APIError
	var code, kind, remedy string
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vsphere.ErrCredentials): // trying again locks the account
		kind = "Credentials"
	case errors.Is(err, vsphere.ErrSecret):
		kind = "BadSecret"
	case errors.Is(err, vsphere.ErrUntrusted):
		kind = "Untrusted"
	case errors.Is(err, vsphere.ErrNotOurs):
		kind = "NotOurs"
	case vsphere.Forbidden(err):
		kind = "NoPermission"
	case vsphere.MachineGone(err):
		kind, remedy = "MachineGone", "vCenter has no such machine any more; take it out of the plan's workload, or bring it back, and "+
			"submit the plan again"
	case vsphere.SnapshotGone(err):
		kind, remedy = "SnapshotGone", "vCenter has no such snapshot any more: somebody removed it, alone or with its machine; submit "+
			"the plan again, and a new snapshot is copied from the beginning"
	case errors.Is(err, vsphere.ErrSnapshotSpent): // the workflow removes it
		kind, remedy = "SnapshotSpent", "make room on the datastore, or let the copy have more bandwidth; it begins again with a new "+
			"snapshot"
	case errors.Is(err, vsphere.ErrInventoryStale):
		kind, remedy = "InventoryStale", "submit the plan again for that"
	case changed[code]:
		kind, remedy = "Changed", "the copy was begun with other parameters; give the target back the kmsKey (and its alias the key) "+
			"and the tags that it had, or submit the plan again, and a new copy is begun"
	case permanent[code]:
		kind = "Refused"
	default:
		return err
	}
	text := err.Error()
	if remedy != "" {
		text = fmt.Sprintf("%s: %s", text, remedy)
	}
	return temporal.NewNonRetryableApplicationError(text, kind, err)
}
