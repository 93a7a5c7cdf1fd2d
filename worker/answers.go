package worker

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/internal/permanent"
)

// answers makes of an activity's end what its workflow and its operators can use. An error stays
// permanent under what was wrapped around it: Temporal looks at the outermost error only, and would
// try again for ever what says that trying again does not help. And an activity that runs out of
// time ends a little before Temporal ends it: a time-out does not say what was waited for.
type answers struct {
	interceptor.WorkerInterceptorBase
}

func (*answers) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	a := &answering{}
	a.Next = next
	return a
}

type answering struct {
	interceptor.ActivityInboundInterceptorBase
}

// lastWord is how much of an activity's time is kept for its answer, of short ones a tenth.
const lastWord = 500 * time.Millisecond

func (a *answering) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-min(lastWord, time.Until(end)/10)))
		defer cancel()
	}
	out, err := a.Next.ExecuteActivity(ctx, in)
	return out, final(err)
}

// final makes what is permanent anywhere in err permanent for Temporal, with the words of
// everything around it.
func final(err error) error {
	var p *permanent.Error
	var inner *temporal.ApplicationError
	switch {
	case errors.As(err, &p):
		return temporal.NewNonRetryableApplicationError(strings.Replace(err.Error(), p.Error(), p.Text, 1), p.Kind, p.Cause)
	case errors.As(err, &inner) && inner.NonRetryable() && err != error(inner): //nolint:errorlint // whether it is the outermost itself
		text := strings.Replace(err.Error(), inner.Error(), inner.Message(), 1) // for people: without the type and the cause
		return temporal.NewNonRetryableApplicationError(text, inner.Type(), inner.Unwrap())
	}
	return err
}
