package compute

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/smithy-go"

	"github.com/drover-migration/drover/internal/permanent"
)

// has says whether AWS answered with one of the codes.
func has(err error, codes ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, c := range codes {
		if api.ErrorCode() == c {
			return true
		}
	}
	return false
}

// classify makes errors permanent that only a change of the plan or of the account can cure.
func classify(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	what := fmt.Sprintf(format, args...)
	switch {
	case permanent.Kind(err) != "": // it says what to do
	case has(err, "UnauthorizedOperation", "AccessDenied", "AccessDeniedException"):
		return permanent.New("AccessDenied", err, "%s: AWS refuses it to the role that Drover uses; docs/aws-calls.md lists what to allow",
			what)
	case has(err, "InvalidParameterValue", "InvalidParameterCombination", "InvalidParameterException", "ClientException",
		"InvalidSnapshot.NotFound",
		"InvalidSubnetID.NotFound", "InvalidGroup.NotFound", "InvalidAMIID.NotFound", "InvalidBlockDeviceMapping", "Unsupported"):
		return permanent.New("Refused", err, "%s: AWS refuses what was asked; correct the workload's target in the plan", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// shared runs work once for all calls of this worker that ask for the same at the same time. A
// caller that was cancelled while it did the work for others makes one of them do it.
func shared[T any](ctx context.Context, mk *Maker, key string, work func() (T, error)) (T, error) {
	for {
		v, err, joined := mk.one.Do(key, func() (any, error) { return work() })
		if joined && ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			continue
		}
		out, _ := v.(T)
		return out, err
	}
}
