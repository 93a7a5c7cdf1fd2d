// Package hook has the plan's hooks called outside of a freeze, by the main worker.
package hook

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/hooks"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// spare is what an attempt has besides the hook's own time-out: to read the plan, and to say how it
// went.
const spare = 15 * time.Second

// Before calls a hook before anything is touched, a few times where it fails: the try is over then.
// It says why the customer is to be held; "": go on.
func Before(ctx workflow.Context, spec migration.SpecRef, h migration.Hook, call migration.HookCall) (hold string, err error) {
	return ask(ctx, work.HookBefore, spec, h, call, workflow.Now(ctx))
}

// Once calls a hook once. since is when that was first wanted: whoever asks again says the same.
func Once(ctx workflow.Context, spec migration.SpecRef, h migration.Hook, call migration.HookCall,
	since time.Time) (hold string, err error) {
	return ask(ctx, work.HookAfter, spec, h, call, since)
}

func ask(ctx workflow.Context, kind work.Here, spec migration.SpecRef, h migration.Hook, call migration.HookCall,
	since time.Time) (hold string, err error) {
	call.Plan, call.Revision = spec.Plan, spec.Revision
	c := kind.Lasting(h.Timeout.D()+spare).In(ctx, "call hook "+string(call.Event)+" for "+subject(call))
	var r hooks.CallHookResult
	err = workflow.ExecuteActivity(c, work.Hooks.CallHook, hooks.CallHookRequest{Spec: spec, Call: call, Since: since}).Get(c, &r)
	return r.Hold, err
}

func subject(call migration.HookCall) string {
	if call.Workload != "" {
		return "workload " + call.Workload
	}
	return call.Customer
}

// Held is a hook's answer that keeps somebody or something where it is.
type Held struct {
	By     migration.HookEvent
	Reason string
}

func (h *Held) Error() string { return fmt.Sprintf("hook %s holds it: %s", h.By, h.Reason) }
