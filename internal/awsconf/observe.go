package awsconf

import (
	"context"
	"errors"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Result is how a call ended.
type Result string

// The results of a call.
const (
	Done       Result = "ok"
	Refused    Result = "refused"    // AWS answered with an error of the caller's
	Throttled  Result = "throttled"  // to the last attempt
	Failed     Result = "failed"     // AWS answered with an error of its own
	Unanswered Result = "unanswered" // no answer came, or none that can be read
	Canceled   Result = "canceled"   // the caller gave it up, or had no more time
)

// Call is one call of a client, with all its attempts.
type Call struct {
	Service   string // as the SDK names it: EC2, S3
	Operation string // as the SDK names it: RunInstances
	Result    Result
	Took      time.Duration // until the head of the last answer; a body that is streamed comes later
	Retries   int           // attempts after the first
}

// Observe is a setting of clients (see New) that tells of each of their calls when it has ended.
func Observe(tell func(Call)) func(*middleware.Stack) error {
	observe := middleware.InitializeMiddlewareFunc("DroverObserve", func(ctx context.Context, in middleware.InitializeInput,
		next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		began := time.Now()
		out, meta, err := next.HandleInitialize(ctx, in)
		c := Call{Service: awsmiddleware.GetServiceID(ctx), Operation: awsmiddleware.GetOperationName(ctx), Result: resultOf(ctx, err),
			Took: time.Since(began)}
		if attempts, ok := retry.GetAttemptResults(meta); ok {
			c.Retries = max(0, len(attempts.Results)-1)
		}
		tell(c)
		return out, meta, err
	})
	return func(s *middleware.Stack) error { return s.Initialize.Add(observe, middleware.After) }
}

func resultOf(ctx context.Context, err error) Result {
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	switch {
	case err == nil:
		return Done
	case ctx.Err() != nil:
		return Canceled
	case errors.As(err, &api):
		if _, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; throttled {
			return Throttled
		}
		if errors.As(err, &response) && response.HTTPStatusCode() >= 500 || api.ErrorFault() == smithy.FaultServer {
			return Failed
		}
		return Refused
	default:
		return Unanswered
	}
}
