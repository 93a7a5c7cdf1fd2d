package worker

import (
	"context"
	"errors"
	"strings"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
)

// permanence keeps an activity's error permanent under what was wrapped around it: Temporal looks at the outermost error only, and would
// try again for ever what says that trying again does not help.
type permanence struct {
	interceptor.WorkerInterceptorBase
}

func (*permanence) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	p := &permanentErrors{}
	p.Next = next
	return p
}

type permanentErrors struct {
	interceptor.ActivityInboundInterceptorBase
}

func (p *permanentErrors) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	out, err := p.Next.ExecuteActivity(ctx, in)
	var inner *temporal.ApplicationError
	if errors.As(err, &inner) && inner.NonRetryable() && err != error(inner) { //nolint:errorlint // whether it is the outermost itself
		text := strings.Replace(err.Error(), inner.Error(), inner.Message(), 1) // for people: without the type and the cause
		err = temporal.NewNonRetryableApplicationError(text, inner.Type(), inner.Unwrap())
	}
	return out, err
}
