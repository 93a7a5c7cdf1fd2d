package outbox

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/notify"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	together   = 20               // letters of one call
	callsOfOne = 3                // of one channel at the same time
	firstPause = 10 * time.Second // before the second try of a letter; doubles
	mostPause  = 15 * time.Minute
	// newsPatience is how long after their time news are tried. What asks for somebody is tried for
	// as long as it does.
	newsPatience = 48 * time.Hour
	// eveningPatience is the same of what is told on the evening before: it says "tomorrow".
	eveningPatience = 5 * time.Hour

	mostPast        = 50_000
	longestFailures = 120 // characters of a failure that is kept of a message that was given up
)

// letter is a message on its way, without its words.
type letter struct {
	Parts   []part    `json:"parts"` // one, but for a digest that was formed
	Contact string    `json:"contact"`
	Channel string    `json:"channel"`
	Address string    `json:"address,omitempty"`
	Due     time.Time `json:"due"`
	Digest  bool      `json:"digest,omitempty"` // it goes together with others of its contact, address and Due
	Formed  bool      `json:"formed,omitempty"` // a digest whose parts are fixed, as its key wants it

	Tries    int       `json:"tries,omitempty"` // that have failed
	Failure  string    `json:"failure,omitempty"`
	FailedAt time.Time `json:"failedAt,omitzero"`
	Since    time.Time `json:"since,omitzero"` // of the first failure
	Next     time.Time `json:"next,omitzero"`

	sending bool
	ended   bool
}

// part is what a letter tells of a notice.
type part struct {
	Notice string `json:"notice"`
	Key    string `json:"key"` // of the message, where it goes by itself
	Step   int    `json:"step,omitempty"`
}

// due is when the letter goes; zero: it is going.
func (l *letter) due() time.Time {
	switch {
	case l.sending:
		return time.Time{}
	case l.Next.IsZero():
		return l.Due
	}
	return l.Next
}

// past is a message at its end, in few letters: there may be tens of thousands.
type past struct {
	Kind     migration.NoticeKind `json:"k"`
	Customer string               `json:"o,omitempty"`
	Batch    string               `json:"b,omitempty"` // of a notice that is not a customer's
	Contact  string               `json:"c"`
	Step     int                  `json:"s,omitempty"`
	At       int64                `json:"t"`           // seconds since 1970
	Tries    int                  `json:"n,omitempty"` // that failed before
	GivenUp  string               `json:"f,omitempty"` // why; empty: it was delivered
}

// send hands what is due to the channels, as much at a time as each takes. What is not worth
// telling any more is dropped.
func (o *outbox) send(ctx workflow.Context) {
	o.Letters = slices.DeleteFunc(o.Letters, func(l *letter) bool {
		return l.ended || !l.sending && !slices.ContainsFunc(l.Parts, func(p part) bool { return o.worth(o.by[p.Notice]) })
	})
	if o.stale(ctx) {
		return
	}
	now := workflow.Now(ctx)
	o.form(now)
	var channels []string
	due := map[string][]*letter{}
	for _, l := range o.Letters {
		if l.sending || l.due().After(now) {
			continue
		}
		if due[l.Channel] == nil {
			channels = append(channels, l.Channel)
		}
		due[l.Channel] = append(due[l.Channel], l)
	}
	for _, channel := range channels {
		for letters := range slices.Chunk(due[channel], together) {
			if o.calls[channel] < callsOfOne {
				o.call(ctx, channel, letters)
			}
		}
	}
}

// form puts those together that are due now as one digest. From then on its parts stay what they
// are: its key is that of its contact and time.
func (o *outbox) form(now time.Time) {
	first := map[string]*letter{}
	o.Letters = slices.DeleteFunc(o.Letters, func(l *letter) bool {
		if !l.Digest || l.Formed || l.Due.After(now) {
			return false
		}
		id := l.Contact + "\x00" + l.Address + "\x00" + l.Due.UTC().Format(time.RFC3339Nano)
		if f := first[id]; f != nil {
			f.Parts = append(f.Parts, l.Parts...)
			return true
		}
		l.Formed, first[id] = true, l
		return false
	})
}

// call sends some letters of one channel.
func (o *outbox) call(ctx workflow.Context, channel string, letters []*letter) {
	req := notify.SendMessagesRequest{Spec: o.Spec}
	for _, l := range letters {
		l.sending = true
		x := notify.Letter{Contact: l.Contact, Due: l.Due}
		for _, p := range l.Parts {
			x.Parts = append(x.Parts, notify.Part{Notice: o.by[p.Notice].Notice, Step: p.Step})
		}
		req.Letters = append(req.Letters, x)
	}
	o.calls[channel]++
	workflow.Go(ctx, func(ctx workflow.Context) {
		c := work.Post.In(ctx, fmt.Sprintf("%d messages by %s", len(letters), channel))
		var r notify.SendMessagesResult
		err := workflow.ExecuteActivity(c, work.Notify.SendMessages, req).Get(c, &r)
		for i, l := range letters {
			switch {
			case err != nil:
				o.failed(ctx, l, notify.Answer{Failure: work.Reason(err)})
			case r.Answers[i].Failure != "":
				o.failed(ctx, l, r.Answers[i])
			default:
				o.delivered(ctx, l)
			}
		}
		if o.calls[channel]--; o.calls[channel] == 0 {
			delete(o.calls, channel)
		}
		o.changed = true
	})
}

// delivered is the end of a letter that its receiver has acknowledged: it is never sent again.
func (o *outbox) delivered(ctx workflow.Context, l *letter) {
	for _, p := range l.Parts {
		if n := o.by[p.Notice]; n.Open && !slices.Contains(n.Told, l.Contact) {
			n.Told = append(n.Told, l.Contact)
		}
	}
	o.end(ctx, l, "")
}

// failed has a letter tried again later, or gives it up.
func (o *outbox) failed(ctx workflow.Context, l *letter, a notify.Answer) {
	now := workflow.Now(ctx)
	l.sending, l.Failure, l.FailedAt = false, a.Failure, now
	if l.Tries++; l.Tries == 1 {
		l.Since = now
	}
	switch {
	case a.Final:
		o.end(ctx, l, a.Failure)
	case now.After(o.patience(l)):
		tried := migration.Duration(now.Sub(l.Since).Round(time.Minute))
		o.end(ctx, l, fmt.Sprintf("failed %d times in %s: %s", l.Tries, tried.Brief(), a.Failure))
	default:
		l.Next = now.Add(min(firstPause<<min(l.Tries-1, 10), mostPause))
	}
}

// patience is until when a letter is tried.
func (o *outbox) patience(l *letter) time.Time {
	switch n := o.by[l.Parts[0].Notice]; {
	case n.Kind.Asks():
		return l.FailedAt // until it is settled, or somebody looks after it
	case n.Kind == migration.NoticeEvening:
		return l.Due.Add(eveningPatience)
	}
	return l.Due.Add(newsPatience)
}

// end writes down what became of a letter. Why is empty where it was delivered.
func (o *outbox) end(ctx workflow.Context, l *letter, why string) {
	l.sending, l.ended = false, true
	for _, p := range l.Parts {
		n := o.by[p.Notice]
		x := past{Kind: n.Kind, Customer: n.Customer, Contact: l.Contact, Step: p.Step, At: workflow.Now(ctx).Unix(), Tries: l.Tries,
			GivenUp: shortened(why)}
		if n.Customer == "" {
			x.Batch = n.Batch
		}
		o.keep(x)
	}
	if why != "" {
		n := o.by[l.Parts[0].Notice]
		o.Note(ctx, fmt.Sprintf("given up: %s, to %s", n.ID, l.Contact), migration.Command{Reason: why})
	}
}

// keep writes down a message at its end; the oldest is forgotten where there are too many.
func (o *outbox) keep(x past) {
	o.Past = append(o.Past, x)
	if over := len(o.Past) - mostPast; over > 0 {
		o.Past, o.Forgotten = o.Past[over:], o.Forgotten+over
	}
}

func shortened(s string) string {
	if r := []rune(s); len(r) > longestFailures {
		return string(r[:longestFailures-1]) + "…"
	}
	return s
}
