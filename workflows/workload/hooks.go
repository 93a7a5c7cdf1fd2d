package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/hook"
	"github.com/drover-migration/drover/workflows/work"
)

// launched calls the plan's hook of a workload that runs, and is healthy, until it says go on: no
// batch that needs the workload begins before. Machines that are there already have the key that
// they had.
func (w *workload) launched(ctx workflow.Context, up ready) error {
	h := migration.HookAt(w.plan.Hooks, migration.HookAfterLaunch)
	if h == nil || !h.Concerns(w.spec) {
		return nil
	}
	w.say(ctx, migration.PieceLaunching, "calling hook "+string(h.Event))
	call := migration.HookCall{Event: h.Event, Workload: w.spec.Name, Launch: launchOf(up)}
	since := workflow.Now(ctx)
	for pause := launchPause; ; pause = min(2*pause, launchPauseMost) {
		hold, err := hook.Once(ctx, w.in.Spec, *h, call, since)
		if err == nil && hold != "" {
			err = &hook.Held{By: h.Event, Reason: hold}
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		w.Set(ctx, migration.PieceFailed, migration.WaitOperator, work.Reason(err)+". What it launched runs, and is healthy; the hook is "+
			"called again in "+pause.Round(time.Second).String())
		work.AwaitFor(ctx, pause, "before hook "+string(h.Event)+" is called again", func() bool { return w.mustRenew(ctx) })
		if w.mustRenew(ctx) {
			return errGrown
		}
		if hold != "" {
			since = workflow.Now(ctx) // a document that held has ended: another is run
		}
	}
}

// launchOf names what was launched: the same machines have the same name.
func launchOf(up ready) string {
	sum := sha256.Sum256([]byte(strings.Join(up.addresses, " ")))
	return hex.EncodeToString(sum[:6])
}
