package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/hook"
	"github.com/drover-migration/drover/workflows/work"
)

// launched calls the plan's hook of a workload that runs, and is healthy, until it says go on, or
// an amendment has taken it out of the plan: no batch that needs the workload begins before.
// Machines that are there already have the key that they had.
func (w *workload) launched(ctx workflow.Context, up ready) error {
	since := workflow.Now(ctx)
	for pause := launchPause; ; pause = min(2*pause, launchPauseMost) {
		h := migration.HookAt(w.plan.Hooks, migration.HookAfterLaunch)
		if h == nil || !h.Concerns(w.spec) {
			return nil
		}
		hold, err := w.callLaunched(ctx, *h, up, since)
		if err == nil || ctx.Err() != nil {
			return err
		}
		w.Set(ctx, migration.PieceFailed, migration.WaitOperator, fmt.Sprintf("%s. What it launched runs, and is healthy; the hook is "+
			"called again in %s. It goes on when the hook says so, or `drover amend` has taken the hook out of the plan", work.Reason(err),
			pause.Round(time.Second)))
		work.AwaitFor(ctx, pause, "before hook "+string(h.Event)+" is called again",
			func() bool { return w.mustRenew(ctx) || w.amended() })
		if w.mustRenew(ctx) {
			return errGrown
		}
		if err := w.follow(ctx); err != nil {
			return err
		}
		if hold {
			since = workflow.Now(ctx) // a document that held has ended: another is run
		}
	}
}

// callLaunched calls the hook once. An answer that holds is an error, too.
func (w *workload) callLaunched(ctx workflow.Context, h migration.Hook, up ready, since time.Time) (holds bool, err error) {
	w.say(ctx, migration.PieceLaunching, "calling hook "+string(h.Event))
	call := migration.HookCall{Event: h.Event, Workload: w.spec.Name, Launch: launchOf(up)}
	why, err := hook.Once(ctx, w.in.Spec, h, call, since)
	if err == nil && why != "" {
		return true, &hook.Held{By: h.Event, Reason: why}
	}
	return false, err
}

// amended says whether the plan has a newer revision than the one that the workload goes by.
func (w *workload) amended() bool {
	_, newer := w.newest.Renews(w.in.Spec)
	return newer
}

// follow goes on by the hooks of the plan's newest revision.
func (w *workload) follow(ctx workflow.Context) error {
	next, newer := w.newest.Renews(w.in.Spec)
	if !newer {
		return nil
	}
	var plan state.Plan
	l := work.Question.In(ctx, "read the plan as it was amended")
	if err := workflow.ExecuteActivity(l, work.State.LoadPlan, next).Get(l, &plan); err != nil {
		return err
	}
	w.in.Spec, w.plan.Hooks = next, plan.Hooks
	return nil
}

// launchOf names what was launched: the same machines have the same name.
func launchOf(up ready) string {
	sum := sha256.Sum256([]byte(strings.Join(up.addresses, " ")))
	return hex.EncodeToString(sum[:6])
}
