package disks

import (
	"errors"

	"github.com/aws/smithy-go"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/vsphere"
)

// permanent are answers of AWS that a repeat does not change.
var permanent = map[string]bool{
	"AccessDeniedException": true, "ServiceQuotaExceededException": true, "NotFoundException": true, "DisabledException": true,
	"UnrecognizedClientException": true,
}

// classify makes an error permanent that an operator has to do something about. All others are tried again: a copy goes on where it was.
func classify(err error) error {
	if errors.Is(err, vsphere.ErrCredentials) {
		return temporal.NewNonRetryableApplicationError(err.Error(), "Credentials", err) // trying again locks the account
	}
	var api smithy.APIError
	if errors.As(err, &api) && permanent[api.ErrorCode()] {
		return temporal.NewNonRetryableApplicationError(err.Error(), "Refused", err)
	}
	return err
}
