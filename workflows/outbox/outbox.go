// Package outbox is the story of a plan's messages: it hears what happens and what the clock
// brings, plans who is told by the plan's rules, sends each message until its receiver has
// acknowledged it, and tells the next contact of what waits for somebody and nobody looks after. No
// Move waits for it.
package outbox

import (
	"cmp"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/notify"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

// lastWord is how long an outbox listens on after its migration has ended: batches report together.
const lastWord = time.Minute

// Input starts an Outbox, and carries it over continue-as-new.
type Input struct {
	Spec  migration.SpecRef `json:"spec"`
	From  time.Time         `json:"from"` // what the clock had brought by then is past, and is not told
	State *State            `json:"state,omitempty"`
}

// State is what the messages of a plan need to go on.
type State struct {
	status.Status[migration.OutboxPhase] `json:"standing"`

	Spec     migration.SpecRef        `json:"spec"` // of the migration that has begun last
	Orders   map[string]mail.Order    `json:"orders"`
	Clock    notify.Mark              `json:"clock"`         // of the last notice that the clock brought
	Looked   bool                     `json:"looked"`        // at the clock, since the migration began
	Next     time.Time                `json:"next,omitzero"` // when the clock brings the next one; zero: never
	Untimely map[string]bool          `json:"untimely"`      // customers whom the clock's messages do not fit
	Ended    migration.MigrationPhase `json:"ended,omitempty"`
	EndedAt  time.Time                `json:"endedAt,omitzero"`

	Notices   []*notice `json:"notices"` // of which something is still to be told, or that wait for somebody
	Heard     []string  `json:"heard"`   // ids of those that are not planned yet
	Letters   []*letter `json:"letters"`
	Past      []past    `json:"past"` // messages at their end, the oldest first; at most mostPast
	Forgotten int       `json:"forgotten"`
}

// notice is something that somebody is told of.
type notice struct {
	migration.Notice

	Open  bool             `json:"open,omitempty"`  // it waits for somebody
	Taken *migration.Event `json:"taken,omitempty"` // who looks after it
	Told  []string         `json:"told,omitempty"`  // contacts that have it; like the keys only of what asks for somebody
	Keys  []string         `json:"keys,omitempty"`  // of all its messages
}

// Outbox tells people of a migration, until it has ended and all is told. A cancel in Temporal
// changes nothing: an outbox that is terminated is started again by its migration.
func Outbox(ctx workflow.Context, in Input) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	o := newOutbox(in)
	if err := o.setup(ctx); err != nil {
		return err
	}
	return o.run(ctx)
}

type outbox struct {
	State

	by      map[string]*notice // Notices by id
	calls   map[string]int     // under way, by channel
	changed bool               // something has come that the story has not looked at
	again   time.Time          // when what could not be planned is planned again
}

func newOutbox(in Input) *outbox {
	o := &outbox{calls: map[string]int{}, by: map[string]*notice{}}
	if in.State != nil {
		o.State = *in.State
		for _, n := range o.Notices {
			o.by[n.ID] = n
		}
		return o
	}
	o.State = State{Spec: in.Spec, Orders: map[string]mail.Order{}, Clock: notify.Mark{At: in.From}, Untimely: map[string]bool{}}
	return o
}

func (o *outbox) setup(ctx workflow.Context) error {
	o.Hooks = status.Hooks{Describe: o.describe, MayDo: o.mayDo}
	err := workflow.SetQueryHandlerWithOptions(ctx, migration.QueryStatus,
		func(of migration.MessagesOf) (migration.MessagesStatus, error) { return o.status(of), nil },
		workflow.QueryHandlerOptions{Description: "What waits for somebody and what became of messages, of a customer or of the plan."})
	if err != nil {
		return err
	}
	mail.Listen(ctx, mail.SignalNews, "The migration or a batch says what has happened.", o.hear)
	mail.Listen(ctx, mail.SignalAsk, "The migration calls the roll.", func(workflow.Context, mail.Ask) {})
	return o.Handle(ctx, status.Command{Name: migration.UpdateAck, Description: "Look after what a message asks for: nobody else is told.",
		Allowed: o.ackable, Apply: o.ack})
}

// signals are all that an outbox listens to.
var signals = []string{mail.SignalNews, mail.SignalAsk}

// run plans what was heard, sends what is due, and waits for more.
func (o *outbox) run(ctx workflow.Context) error {
	for !o.over(ctx) {
		o.changed = false
		o.readClock(ctx)
		o.plan(ctx)
		o.send(ctx)
		o.tidy()
		o.show(ctx)
		o.wait(ctx)
		if o.renews(ctx) {
			st := o.State
			return workflow.NewContinueAsNewError(ctx, Outbox, Input{Spec: o.Spec, State: &st})
		}
	}
	o.Set(ctx, migration.OutboxDone, migration.WaitNothing, "")
	return nil
}

// over says whether the migration has ended and all is told.
func (o *outbox) over(ctx workflow.Context) bool {
	return o.Ended != "" && len(o.Heard)+len(o.Letters) == 0 && !workflow.Now(ctx).Before(o.EndedAt.Add(lastWord))
}

// stale says whether the history has grown so long that nothing more is begun in it.
func (o *outbox) stale(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

func (o *outbox) renews(ctx workflow.Context) bool {
	return o.stale(ctx) && len(o.calls) == 0 && mail.Renewable(ctx, signals...)
}

// wait is for the next thing that is due, or for something to come.
func (o *outbox) wait(ctx workflow.Context) {
	until := func() bool { return o.changed || o.renews(ctx) }
	if o.stale(ctx) { // what is due goes in the next run
		_ = workflow.Await(ctx, until)
		return
	}
	next, ok := o.nextDue(ctx)
	if !ok {
		_ = workflow.Await(ctx, until)
		return
	}
	if left := next.Sub(workflow.Now(ctx)); left > 0 {
		work.AwaitFor(ctx, left, "until a message is due", until)
	}
}

// nextDue is when there is something to do though nobody says so; false: never.
func (o *outbox) nextDue(ctx workflow.Context) (next time.Time, ok bool) {
	see := func(t time.Time) {
		if !t.IsZero() && (!ok || t.Before(next)) {
			next, ok = t, true
		}
	}
	if o.again.After(workflow.Now(ctx)) {
		see(o.again)
	}
	if o.Ended == "" && o.roomy() {
		if !o.Next.IsZero() {
			see(later(o.Next, o.again))
		}
	} else if o.Ended != "" && len(o.Heard)+len(o.Letters) == 0 {
		see(o.EndedAt.Add(lastWord))
	}
	for _, l := range o.Letters {
		if t := l.due(); t.After(workflow.Now(ctx)) { // what is due already waits for its channel
			see(t)
		}
	}
	return next, ok
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tidy forgets notices of which nothing is left to tell.
func (o *outbox) tidy() {
	needed := map[string]bool{}
	for _, id := range o.Heard {
		needed[id] = true
	}
	for _, l := range o.Letters {
		for _, p := range l.Parts {
			needed[p.Notice] = true
		}
	}
	o.Notices = slices.DeleteFunc(o.Notices, func(n *notice) bool {
		over := !n.Open && !needed[n.ID]
		if over {
			delete(o.by, n.ID)
		}
		return over
	})
}

// know takes a notice into the state.
func (o *outbox) know(n *notice) {
	o.Notices = append(o.Notices, n)
	o.by[n.ID] = n
}

// asks are the notices that wait for somebody, the oldest first.
func (o *outbox) asks() (out []*notice) {
	for _, n := range o.Notices {
		if n.Open {
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b *notice) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return out
}
