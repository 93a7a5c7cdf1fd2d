package move

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/hook"
	"github.com/drover-migration/drover/workflows/work"
)

// call calls a hook while nothing is touched. An error ends the try: the hook failed, or it holds
// the customer. On the way home that is so only where the plan says so.
func (m *move) call(ctx workflow.Context, e migration.HookEvent) error {
	h, must := migration.HookBefore(m.Slice.Hooks, e, m.To)
	if h == nil {
		return nil
	}
	call := migration.HookCall{Event: e, Batch: m.Slice.Batch.Name, Customer: m.Slice.Customer.ID, Token: m.try.Token, From: m.From,
		To: m.To}
	var hold string
	var err error
	if must {
		hold, err = hook.Before(ctx, m.Spec, *h, call)
	} else {
		hold, err = hook.Once(ctx, m.Spec, *h, call, workflow.Now(ctx))
	}
	if err == nil && hold != "" {
		err = &hook.Held{By: e, Reason: hold}
	}
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case !must:
		m.miss(work.Reason(err))
		return nil
	case hold != "":
		m.result.Hold = err.Error()
	}
	return err
}

// miss keeps why a hook was passed over, once.
func (m *move) miss(why string) {
	if !slices.Contains(m.result.Missed, why) {
		m.result.Missed = append(m.result.Missed, why)
	}
}
