package awsconf

import (
	"context"
	"errors"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// DeniedError is a call that AWS refuses to the role or user of this worker. It is tried again like
// others, since somebody may allow it meanwhile, and says what to do until then.
type DeniedError struct{ Err error }

func (e *DeniedError) Error() string {
	return e.Err.Error() + "; allow it to the role or user of this worker: `drover iam-policy PLAN.yaml` prints what a plan needs"
}

// Unwrap is what AWS answered.
func (e *DeniedError) Unwrap() error { return e.Err }

// denials are the codes by which AWS's services say that somebody may not do something.
var denials = map[string]bool{"AccessDenied": true, "AccessDeniedException": true, "UnauthorizedOperation": true, "Forbidden": true}

// sayDenied is a setting of all clients: a call that is denied says what to do about it.
func sayDenied(s *middleware.Stack) error {
	return s.Initialize.Add(middleware.InitializeMiddlewareFunc("DroverDenied", func(ctx context.Context, in middleware.InitializeInput,
		next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleInitialize(ctx, in)
		var api smithy.APIError
		if errors.As(err, &api) && denials[api.ErrorCode()] && !errors.As(err, new(*DeniedError)) {
			err = &DeniedError{err}
		}
		return out, meta, err
	}), middleware.Before)
}
