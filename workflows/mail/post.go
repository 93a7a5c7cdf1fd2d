package mail

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// News is what has happened that somebody may have to be told of, all that its sender knows since
// the last time.
type News struct {
	From    string             `json:"from,omitempty"` // the batch; empty: the migration
	Order   Order              `json:"order"`
	Notices []migration.Notice `json:"notices,omitempty"`
	Settled []string           `json:"settled,omitempty"` // ids of notices that wait for nobody any more
	// Untimely are customers whom the clock's messages before their window do not fit: they have
	// gone before it, or do not move in it. Timely are those whom they fit again.
	Untimely []string                 `json:"untimely,omitempty"`
	Timely   []string                 `json:"timely,omitempty"`
	Spec     *migration.SpecRef       `json:"spec,omitempty"` // of a migration that has begun
	End      migration.MigrationPhase `json:"end,omitempty"`  // of a migration that has ended
}

// mostUnsent is how many notices wait for an outbox that nobody starts.
const mostUnsent = 5000

// Post is what a workflow has to tell the outbox of its plan until it is delivered, in the order in
// which it happened. It is part of the workflow's state: continue-as-new carries it over.
type Post struct {
	Unsent News `json:"unsent"`
	// Sent is on its way. Where nobody knows whether it arrived, it is sent again as it is: the
	// outbox knows it by its order.
	Sent *News `json:"sent,omitempty"`

	told  []migration.NoticeKind // kinds that some rule names
	known bool                   // told is read
	ready bool                   // what is unsent may go
	away  bool                   // nobody took the last of it
}

// Add takes a notice. It goes with the next Send.
func (p *Post) Add(n migration.Notice) {
	if p.tells(n.Kind) {
		p.Unsent.Notices = append(p.Unsent.Notices, n)
		p.Unsent.Notices = p.Unsent.Notices[max(0, len(p.Unsent.Notices)-mostUnsent):]
	}
}

// tells says whether somebody may have to be told of a kind: before the plan is read, of any.
func (p *Post) tells(k migration.NoticeKind) bool { return !p.known || slices.Contains(p.told, k) }

// Settle says that what a notice told of waits for nobody any more.
func (p *Post) Settle(id string) {
	if !p.known || len(p.told) > 0 {
		p.Unsent.Settled = append(p.Unsent.Settled, id)
		p.Unsent.Settled = p.Unsent.Settled[max(0, len(p.Unsent.Settled)-mostUnsent):]
	}
}

// Untimely says whether the clock's messages do not fit a customer.
func (p *Post) Untimely(customer string, untimely bool) {
	if p.known && !slices.ContainsFunc(p.told, migration.NoticeKind.Scheduled) {
		return
	}
	to, from := &p.Unsent.Timely, &p.Unsent.Untimely
	if untimely {
		to, from = from, to
	}
	*to = append(*to, customer)
	*from = slices.DeleteFunc(*from, func(id string) bool { return id == customer })
}

// Retell says which kinds some rule names since the plan was amended.
func (p *Post) Retell(told []migration.NoticeKind) {
	if p.known {
		p.told = told
	}
}

// Begin says that a migration has begun by this plan, or goes on by it.
func (p *Post) Begin(spec migration.SpecRef) { p.Unsent.Spec, p.ready = &spec, true }

// End says that the migration has ended.
func (p *Post) End(phase migration.MigrationPhase) { p.Unsent.End, p.ready = phase, true }

// Send lets what was taken so far go, together.
func (p *Post) Send() { p.ready = true }

// Again tries what nobody took: an outbox may run now.
func (p *Post) Again() { p.away = false }

// lastPatience is how long a workflow that ends waits until the outbox has heard its last news.
const lastPatience = time.Minute

// Finish delivers what is left before the workflow ends. Where nobody takes it in time it is lost.
func (p *Post) Finish(ctx workflow.Context) {
	p.ready = true
	idle := func() bool { return p.away || p.Sent == nil && !p.unsent() }
	if idle() {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	_, _ = workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{Timeout: lastPatience,
		TimerOptions: workflow.TimerOptions{Summary: "until the outbox has heard the last news"}}, idle)
}

func (p *Post) unsent() bool {
	u := p.Unsent
	return len(u.Notices)+len(u.Settled)+len(u.Untimely)+len(u.Timely) > 0 || u.Spec != nil || u.End != ""
}

// Deliver tells the outbox of a plan, piece by piece, so that nothing overtakes what came before.
// told are the kinds that some rule of the plan names; without any, nothing is kept and nobody is
// told. From is the batch; empty: the migration. It returns when the workflow ends; start it with
// workflow.Go.
func (p *Post) Deliver(ctx workflow.Context, plan, from string, told []migration.NoticeKind) {
	p.told, p.known = told, true
	if len(told) == 0 {
		p.Unsent, p.Sent = News{}, nil
		return
	}
	p.Unsent.Notices = slices.DeleteFunc(p.Unsent.Notices, func(n migration.Notice) bool { return !p.tells(n.Kind) })
	p.ready = true // what an earlier run has left
	for workflow.Await(ctx, func() bool { return !p.away && (p.Sent != nil || p.ready && p.unsent()) }) == nil {
		if p.Sent == nil {
			p.pack(ctx, from)
		}
		if err := workflow.SignalExternalWorkflow(ctx, migration.OutboxID(plan), "", SignalNews, *p.Sent).Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Debug("the outbox was not told", "plan", plan, "error", err)
			p.away = true
			continue
		}
		p.Sent = nil
	}
}

// pack numbers what is unsent. Its order is its own: of the sender's clock and count.
func (p *Post) pack(ctx workflow.Context, from string) {
	n := p.Unsent
	n.From = from
	n.Order = Order{At: max(n.Order.At, workflow.Now(ctx).UnixNano()), N: n.Order.N + 1}
	p.Sent, p.Unsent, p.ready = &n, News{Order: n.Order}, false
}
