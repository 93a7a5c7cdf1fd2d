package batch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

// byName are those of the batch that have yet to go, and are found by a name.
func (b *batch) byName() []string {
	return slices.DeleteFunc(slices.Clone(b.tenants.ByName), func(id string) bool {
		m := b.by[id]
		return m == nil || m.Told || m.Joining || m.over() // who was skipped has its old TTL back
	})
}

const (
	settleWithin = 2 * time.Minute // how long the names of who has left are settled, for which nobody waits
	goesSoon     = 24 * time.Hour  // before the window of another batch, names stay as they are for it
)

// settleNames gives the names of those who have left the batch, by an amendment, their old TTL
// back, unless they are to go soon in another one. by is the revision by which they were made
// ready. Where that fails they lead to premises all the same.
func (b *batch) settleNames(ctx workflow.Context, by migration.SpecRef, left []string) {
	left = slices.DeleteFunc(left, func(id string) bool {
		return slices.ContainsFunc(b.plan.Batches, func(to migration.Batch) bool {
			return to.Window != nil && to.Window.Opens.Sub(workflow.Now(ctx)) < goesSoon && slices.Contains(to.Customers, id)
		})
	})
	if len(left) == 0 {
		return
	}
	l := work.Question.Within(settleWithin).In(ctx, "give the names of those who have left their TTL back")
	req := traffic.SettleRoutesRequest{Spec: by, Customers: left}
	if err := workflow.ExecuteActivity(l, work.Traffic.SettleRoutes, req).Get(l, nil); err != nil {
		b.Note(ctx, fmt.Sprintf("the TTL of the records of %s stays low", strings.Join(left, ", ")),
			migration.Command{By: mail.ByDrover, Reason: work.Reason(err)})
	}
}

// namesPause is how long names that could not be made ready are left alone while something else is
// waited for. Moves share the calls a second that Route 53 allows.
const namesPause = 5 * time.Minute

// ahead makes the names of the batch ready while it waits for something else, as much before its
// window opens as their old TTL lasts. It answers how long nothing more is to be done, or long.
func (b *batch) ahead(ctx workflow.Context) time.Duration {
	const long = 24 * time.Hour
	if b.Paused != nil || len(b.byName()) == 0 {
		return long
	}
	var opens time.Time
	if w := b.in.Batch.Window; w != nil && !b.AnyTime {
		if opens = w.Opens; !workflow.Now(ctx).Before(w.Closes()) {
			return long
		}
	}
	r, err := b.prepare(ctx, opens)
	switch {
	case err != nil:
		return namesPause // the gate says it when nothing else is in the way
	case r.Again.IsZero():
		return long
	}
	return max(r.Again.Sub(workflow.Now(ctx)), gatePause)
}

// names says why the batch has to wait for its names, and until when; "": it has not.
func (b *batch) names(ctx workflow.Context) (why string, until time.Time) {
	if len(b.byName()) == 0 {
		return "", until
	}
	r, err := b.prepare(ctx, time.Time{})
	switch {
	case err != nil:
		return "the names of its customers could not be made ready: " + work.Reason(err), until
	case r.Ready.After(workflow.Now(ctx)):
		return work.OldTTL(r.Ready), r.Ready
	}
	return "", until
}

func (b *batch) prepare(ctx workflow.Context, opens time.Time) (r traffic.Prepared, err error) {
	l, cancel := workflow.WithCancel(work.Preparation.In(ctx, "make the names of customers ready"))
	defer cancel()
	req := traffic.PrepareRoutesRequest{Spec: b.in.Spec, Customers: b.byName(), Opens: opens}
	f := workflow.ExecuteActivity(l, work.Traffic.PrepareRoutes, req)
	if err := workflow.Await(ctx, func() bool { return f.IsReady() || b.called(ctx) }); err != nil {
		return r, err
	}
	if !f.IsReady() {
		return r, errCalled
	}
	return r, f.Get(l, &r)
}

// errCalled says that somebody wants something else of the batch.
var errCalled = errors.New("somebody wanted something else")

// gateLook is when the gate looks again at what keeps it.
func gateLook(ctx workflow.Context, until time.Time) time.Duration {
	return max(until.Sub(workflow.Now(ctx)), gatePause)
}
