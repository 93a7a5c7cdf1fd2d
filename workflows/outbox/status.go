package outbox

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/status"
)

// show renews what people see. The phase and what is waited for change the list of workflows too,
// and are set only when they differ.
func (o *outbox) show(ctx workflow.Context) {
	phase, waits := migration.OutboxOpen, migration.WaitNothing
	if o.Ended != "" {
		phase = migration.OutboxEnding
	}
	if o.untaken() != nil {
		waits = migration.WaitOperator
	}
	o.Set(ctx, phase, waits, o.trouble())
	o.Show(ctx)
}

// trouble names the channels by which messages fail; "": none.
func (o *outbox) trouble() string {
	var channels []string
	for _, l := range o.Letters {
		if l.Tries > 0 && !slices.Contains(channels, l.Channel) {
			channels = append(channels, l.Channel)
		}
	}
	if channels == nil {
		return ""
	}
	slices.Sort(channels)
	return "messages fail, and are tried again, by " + strings.Join(channels, ", ")
}

// status is what became of messages: of a customer's, or of all.
func (o *outbox) status(of migration.MessagesOf) migration.MessagesStatus {
	about := func(customer string) bool { return of.Customer == "" || of.Customer == customer }
	s := migration.MessagesStatus{Phase: cmp.Or(o.Phase, migration.OutboxOpen), Forgotten: o.Forgotten}
	for _, n := range o.asks() {
		if about(n.Customer) {
			s.Asks = append(s.Asks, o.ask(n))
		}
	}
	for _, l := range o.Letters {
		for _, p := range l.Parts {
			d := o.pending(l, p)
			if l.ended || !about(d.Customer) {
				continue
			}
			s.Waiting++
			if l.Tries > 0 {
				s.Fails++
			}
			s.Pending = append(s.Pending, d)
		}
	}
	slices.SortStableFunc(s.Pending, func(a, b migration.Delivery) int {
		return cmp.Or(-cmp.Compare(min(a.Tries, 1), min(b.Tries, 1)), a.Due.Compare(b.Due))
	})
	s.Pending = s.Pending[:min(len(s.Pending), migration.MostDeliveries)]
	for _, x := range slices.Backward(o.Past) {
		if len(s.Past) == migration.MostDeliveries {
			break
		}
		if about(x.Customer) {
			s.Past = append(s.Past, x.delivery())
		}
	}
	slices.Reverse(s.Past)
	return s
}

func (o *outbox) ask(n *notice) migration.Ask {
	a := migration.Ask{ID: n.ID, Kind: n.Kind, Batch: n.Batch, Customer: n.Customer, Reason: n.Reason, At: n.At,
		Taken: n.Taken, Told: n.Told}
	if n.Taken != nil {
		return a
	}
	for _, l := range o.Letters {
		if l.ended || l.Tries > 0 || l.Parts[0].Notice != n.ID {
			continue
		}
		switch {
		case a.Next == nil || l.Due.Before(a.NextAt):
			a.Next, a.NextAt = []string{l.Contact}, l.Due
		case l.Due.Equal(a.NextAt):
			a.Next = append(a.Next, l.Contact)
		}
	}
	return a
}

// pending is a part of a letter on its way.
func (o *outbox) pending(l *letter, p part) migration.Delivery {
	n := o.by[p.Notice]
	d := migration.Delivery{Key: p.Key, Notice: n.ID, Kind: n.Kind, Batch: n.Batch, Customer: n.Customer, Contact: l.Contact, Step: p.Step,
		State: migration.DeliveryDue, Due: l.Due, Tries: l.Tries, Failure: l.Failure, FailedAt: l.FailedAt, Since: l.Since, Next: l.Next}
	if len(l.Parts) > 1 {
		d.Key = "" // it goes under the digest's
	}
	if l.Tries > 0 {
		d.State = migration.DeliveryTrying
	}
	return d
}

// delivery is a message at its end.
func (x past) delivery() migration.Delivery {
	d := migration.Delivery{Kind: x.Kind, Batch: x.Batch, Customer: x.Customer, Contact: x.Contact, Step: x.Step,
		State: migration.DeliveryDelivered, At: time.Unix(x.At, 0).UTC(), Tries: x.Tries}
	if x.GivenUp != "" {
		d.State, d.Failure = migration.DeliveryGivenUp, x.GivenUp
	}
	return d
}

// mostShown is how many lines of each kind the details have.
const mostShown = 10

func (o *outbox) describe() string {
	var b strings.Builder
	s := o.status(migration.MessagesOf{})
	status.Line(&b, "Messages: %d wait or are on their way, %d of them fail; %d are at their end.\n", s.Waiting, s.Fails,
		len(o.Past)+o.Forgotten)
	for _, a := range s.Asks[:min(len(s.Asks), mostShown)] {
		taken := "nobody looks after it"
		if a.Taken != nil {
			taken = a.Taken.By + " looks after it"
		}
		status.Line(&b, "\n- **%s** since %s: %s. %s", a.ID, a.At.UTC().Format("2006-01-02 15:04:05 MST"), taken, a.Reason)
	}
	for _, d := range s.Pending[:min(s.Fails, len(s.Pending), mostShown)] {
		status.Line(&b, "\n- %s to **%s** failed %s since %s: %s", d.Notice, d.Contact, times(d.Tries),
			d.Since.UTC().Format("2006-01-02 15:04:05 MST"), d.Failure)
	}
	b.WriteString("\n")
	return b.String()
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
