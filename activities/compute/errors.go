package compute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/smithy-go"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

// permanent is an error that trying again does not help.
func permanent(kind string, cause error, format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), kind, cause)
}

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
	var already *temporal.ApplicationError
	switch {
	case errors.As(err, &already): // it says what to do
	case has(err, "UnauthorizedOperation", "AccessDenied", "AccessDeniedException"):
		return permanent("AccessDenied", err, "%s: AWS refuses it to the role that Drover uses; docs/aws-calls.md lists what to allow", what)
	case has(err, "InvalidParameterValue", "InvalidParameterCombination", "InvalidParameterException", "ClientException", "InvalidSnapshot.NotFound",
		"InvalidSubnetID.NotFound", "InvalidGroup.NotFound", "InvalidAMIID.NotFound", "InvalidBlockDeviceMapping", "Unsupported"):
		return permanent("Refused", err, "%s: AWS refuses what was asked; correct the workload's target in the plan", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

const (
	askEvery = time.Second
	// lastWord is how long before its time-out an activity gives up by itself, so that its error says what it was waiting for.
	lastWord = 2 * time.Second
)

// await asks until done, telling Temporal each time what it waits for, and gives up with that shortly before the time-out.
func await(ctx context.Context, what string, ask func() (done bool, waitingFor string, err error)) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		done, waitingFor, err := ask()
		if err != nil || done {
			return err
		}
		if activity.IsActivity(ctx) {
			activity.RecordHeartbeat(ctx, waitingFor)
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < lastWord {
			return fmt.Errorf("%s: still waiting: %s", what, waitingFor)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w", what, waitingFor, ctx.Err())
		}
	}
}

// shared runs work once for all calls of this worker that ask for the same at the same time. A caller that was cancelled while it did the
// work for others makes one of them do it.
func shared[T any](ctx context.Context, a *Activities, key string, work func() (T, error)) (T, error) {
	for {
		v, err, joined := a.one.Do(key, func() (any, error) { return work() })
		if joined && ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			continue
		}
		out, _ := v.(T)
		return out, err
	}
}
