package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

// mostFailing is how many messages that fail a status names: the rest are counted.
const mostFailing = 5

// messagesView is what waits for somebody, and what cannot be delivered; nil: the plan sends no
// messages.
func messagesView(plan string, s *migration.MessagesStatus, now time.Time) string {
	if s == nil {
		return ""
	}
	if s.Phase == migration.OutboxUnread {
		return "\n" + printer.Wrap("", "messages: they cannot be read now")
	}
	var b strings.Builder
	for _, a := range s.Asks {
		b.WriteString(askView(plan, a, now))
	}
	fmt.Fprintf(&b, "messages: %d on their way or waiting for their time", s.Waiting)
	if s.Fails > 0 {
		fmt.Fprintf(&b, ", %d of them fail", s.Fails)
	}
	b.WriteString("\n")
	for i, d := range s.Pending {
		if d.State != migration.DeliveryTrying {
			break
		}
		if i == mostFailing {
			fmt.Fprintf(&b, "  and %d more: see -o json\n", s.Fails-mostFailing)
			break
		}
		b.WriteString(printer.Wrap("  ", fmt.Sprintf("%s to %s failed %s in %s, last %s ago: %s; tried again in %s", kindOf(d), d.Contact,
			count(d.Tries, "time"), age(d.Since, now), age(d.FailedAt, now), d.Failure, printer.Duration(d.Next.Sub(now)))))
	}
	return "\n" + b.String()
}

// askView is something that waits for somebody, and how to say that one looks after it.
func askView(plan string, a migration.Ask, now time.Time) string {
	head := fmt.Sprintf("waits for somebody: %s, for %s", about(a.Kind, cmp.Or(a.Customer, a.Batch)), age(a.At, now))
	if a.Reason != "" {
		head += ": " + a.Reason
	}
	out := printer.Wrap("", head)
	if a.Taken != nil {
		by := fmt.Sprintf("%s looks after it since %s: %s", a.Taken.By, stamp(a.Taken.At), a.Taken.Why)
		return out + printer.Wrap("  ", strings.TrimSuffix(by, ": "))
	}
	said := "nobody has the message yet"
	if len(a.Told) > 0 {
		said = "told: " + strings.Join(a.Told, ", ")
	}
	if len(a.Next) > 0 && a.NextAt.After(now) {
		said += fmt.Sprintf("; next: %s, in %s", strings.Join(a.Next, ", "), printer.Duration(a.NextAt.Sub(now)))
	}
	return out + printer.Wrap("  ", said) + printer.Wrap("  ", "look after it: drover ack "+plan+" "+a.ID)
}

// toldView is what became of a customer's messages, the oldest first.
func toldView(s *migration.MessagesStatus) string {
	if s == nil || len(s.Past) == 0 {
		return ""
	}
	var events []migration.Event
	for _, d := range s.Past {
		e := migration.Event{At: d.At, What: kindOf(d) + ": told " + d.Contact}
		if d.State == migration.DeliveryGivenUp {
			e.What, e.Why = kindOf(d)+": not told "+d.Contact+", given up", d.Failure
		}
		events = append(events, e)
	}
	return "\n" + timeline(events)
}

func kindOf(d migration.Delivery) string { return about(d.Kind, cmp.Or(d.Customer, d.Batch)) }

func about(kind migration.NoticeKind, of string) string {
	if of == "" {
		return string(kind)
	}
	return string(kind) + " of " + of
}
