package batch

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

// asidePause lies between two words to the passes over files. A Move that is told at once has its
// checks before it, which take as long.
const asidePause = time.Second / 2

// stepAside has the passes over files leave those alone who move or are about to: two passes over
// one customer's files would be in each other's way. It never returns.
func (b *batch) stepAside(ctx workflow.Context) {
	files := slices.DeleteFunc(slices.Clone(b.plan.Datasets), func(d migration.Dataset) bool { return d.Files == nil })
	if len(files) == 0 {
		return
	}
	news := func() bool { return b.Begun && (!b.AsideTold || !slices.Equal(b.Aside, b.movers())) }
	joined := func() bool {
		return slices.ContainsFunc(b.movers(), func(id string) bool { return !slices.Contains(b.Aside, id) })
	}
	for workflow.Await(ctx, news) == nil {
		if b.AsideTold && !joined() { // who is through can wait for who comes next
			work.AwaitFor(ctx, asidePause, "before the passes over files hear who does not move any more", joined)
		}
		b.Aside, b.AsideTold = b.movers(), true
		for _, d := range files {
			b.Tell(ctx, migration.ReplicationID(b.in.Spec.Plan, d.Name), mail.SignalAside,
				mail.Aside{Order: b.Stamp(ctx), Batch: b.in.Batch.Name, Customers: b.Aside})
		}
		if work.Sleep(ctx, asidePause, "before the passes over files hear who else moves") != nil {
			return
		}
	}
}

// movers are those whose data is a Move's, or soon will be.
func (b *batch) movers() (out []string) {
	for _, m := range b.Members {
		if m.moving() || m.busy(b.Round) {
			out = append(out, m.Status.ID)
		}
	}
	return out
}
