package outbox

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/notify"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	atATime     = 200  // notices that are planned, or read from the clock, at a time
	mostLetters = 5000 // on their way; of more only those are planned that ask for somebody
	planPause   = 10 * time.Second
)

// hear takes what a batch or the migration says. What it has heard already it does not hear again.
func (o *outbox) hear(ctx workflow.Context, n mail.News) {
	if !n.Order.Newer(o.Orders[n.From]) {
		return
	}
	o.Orders[n.From], o.changed = n.Order, true
	if n.Spec != nil {
		o.Spec, o.Ended, o.Looked = *n.Spec, "", false
	}
	for _, customer := range n.Untimely {
		o.Untimely[customer] = true
	}
	for _, customer := range n.Timely {
		delete(o.Untimely, customer)
	}
	for _, x := range n.Notices {
		o.take(x)
	}
	for _, id := range n.Settled {
		o.settle(id)
	}
	if n.End != "" {
		o.Ended, o.EndedAt = n.End, workflow.Now(ctx)
		if n.End != migration.MigrationFailed { // every customer has ended, and nothing waits for anybody
			for _, a := range o.asks() {
				o.settle(a.ID)
			}
		}
	}
}

// take takes a notice, unless it is known already.
func (o *outbox) take(n migration.Notice) {
	if o.by[n.ID] != nil {
		return
	}
	o.know(&notice{Notice: n, Open: n.Kind.Asks()})
	o.Heard = append(o.Heard, n.ID)
}

// settle says that what a notice told of waits for nobody any more.
func (o *outbox) settle(id string) {
	if n := o.by[id]; n != nil {
		n.Open = false
	}
}

// worth says whether a notice is still to be told.
func (o *outbox) worth(n *notice) bool {
	switch {
	case n == nil:
		return false
	case n.Kind.Asks():
		return n.Open && n.Taken == nil
	case n.Kind.Scheduled():
		return o.Ended == "" && !o.Untimely[n.Customer]
	}
	return true
}

// roomy says whether news are planned: what asks for somebody always is.
func (o *outbox) roomy() bool { return len(o.Letters) < mostLetters }

// readClock takes what the clock has brought.
func (o *outbox) readClock(ctx workflow.Context) {
	now := workflow.Now(ctx)
	due := !o.Looked || !o.Next.IsZero() && !now.Before(o.Next)
	if o.Ended != "" || !due || !o.roomy() || now.Before(o.again) {
		return
	}
	spec := o.Spec
	c := work.PostPlan.In(ctx, "what the clock has brought")
	req := notify.ReadClockRequest{Spec: spec, After: o.Clock, Until: now, Most: atATime}
	var r notify.ReadClockResult
	if err := workflow.ExecuteActivity(c, work.Notify.ReadClock, req).Get(c, &r); err != nil {
		o.unplanned(ctx, err)
		return
	}
	if spec.Digest != o.Spec.Digest {
		return // another migration has begun meanwhile
	}
	o.Looked, o.Next = true, r.Next
	for _, n := range r.Notices {
		o.Clock = notify.Mark{At: n.At, ID: n.ID}
		if !o.Untimely[n.Customer] {
			o.take(n)
		}
	}
}

// unplanned has the plan asked again after a pause.
func (o *outbox) unplanned(ctx workflow.Context, err error) {
	workflow.GetLogger(ctx).Warn("messages are not planned", "error", err)
	o.again = workflow.Now(ctx).Add(planPause)
}

// plan makes messages of what was heard.
func (o *outbox) plan(ctx workflow.Context) {
	for !workflow.Now(ctx).Before(o.again) {
		next := o.toPlan()
		if len(next) == 0 {
			return
		}
		now := workflow.Now(ctx)
		req := notify.PlanMessagesRequest{Spec: o.Spec, Heard: now}
		for _, id := range next {
			req.Notices = append(req.Notices, o.by[id].Notice)
		}
		c := work.PostPlan.In(ctx, "who is told of what has happened")
		var r notify.PlanMessagesResult
		if err := workflow.ExecuteActivity(c, work.Notify.PlanMessages, req).Get(c, &r); err != nil {
			o.unplanned(ctx, err)
			return
		}
		o.Heard = slices.DeleteFunc(o.Heard, func(id string) bool { return slices.Contains(next, id) })
		for _, m := range r.Messages {
			n := o.by[m.Notice]
			if n.Kind.Asks() {
				n.Keys = append(n.Keys, m.Key)
			}
			o.Letters = append(o.Letters, &letter{Parts: []part{{Notice: m.Notice, Key: m.Key, Step: m.Step}}, Contact: m.Contact,
				Channel: m.Channel, Address: m.Address, Due: m.Due, Digest: m.Digest})
		}
	}
}

// toPlan are the next notices to plan: first what asks for somebody.
func (o *outbox) toPlan() (out []string) {
	for _, id := range o.Heard {
		if o.by[id].Kind.Asks() && len(out) < atATime {
			out = append(out, id)
		}
	}
	for _, id := range o.Heard {
		if !o.by[id].Kind.Asks() && len(out) < atATime && o.roomy() {
			out = append(out, id)
		}
	}
	return out
}
