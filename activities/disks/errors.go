package disks

import (
	"errors"

	"github.com/aws/smithy-go"
	"go.temporal.io/sdk/temporal"
)

// permanent are answers of AWS that a repeat does not change.
var permanent = map[string]bool{
	"AccessDeniedException": true, "ServiceQuotaExceededException": true, "NotFoundException": true, "DisabledException": true,
	"UnrecognizedClientException": true,
}

// classify makes an error permanent that an operator has to do something about. All others are tried again: a copy goes on where it was.
func classify(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && permanent[api.ErrorCode()] {
		return temporal.NewNonRetryableApplicationError(err.Error(), "Refused", err)
	}
	return err
}
