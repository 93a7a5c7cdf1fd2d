package board

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/drover-migration/drover/migration"
)

// Wait is something that waits for a person: of Batch, State, Customer, Paused, Whole and Messages
// one is set.
type Wait struct {
	Text     string // a sentence
	Batch    string // the batch that waits
	State    State  // of the customers that wait
	Customer string // the customer about whom somebody asks
	Paused   bool   // the migration waits to be resumed
	Final    bool   // the migration waits for the end of its way back
	Whole    bool   // it is the migration's own, and looked at on its board
	Messages bool   // messages that cannot be delivered
	Ask      string // id of what messages ask for, where nobody looks after it yet
}

// Ask is what messages ask for of a customer, of a batch, or with neither of the migration, first
// what nobody looks after yet; the zero Ask: nothing.
func (s *Snapshot) Ask(batch, customer string) (a migration.Ask) {
	if s.Messages == nil {
		return a
	}
	for _, x := range s.Messages.Asks {
		about := customer != "" && x.Customer == customer || customer == "" && x.Customer == "" && x.Batch == batch
		if about && (a.ID == "" || a.Taken != nil && x.Taken == nil) {
			a = x
		}
	}
	return a
}

// about adds to what waits who looks after it.
func (w Wait) about(a migration.Ask, k Clock) Wait {
	if a.ID == "" {
		return w
	}
	if a.Taken == nil {
		w.Ask = a.ID
	}
	w.Text += " " + AskWords(a, k)
	return w
}

// AskWords says who has been told of what waits for somebody, and who looks after it.
func AskWords(a migration.Ask, k Clock) string {
	switch {
	case a.Taken != nil:
		return fmt.Sprintf("%s looks after it since %s.", a.Taken.By, k.At(a.Taken.At))
	case len(a.Told) == 0:
		return "Nobody has the message yet."
	case len(a.Next) > 0:
		return fmt.Sprintf("Told: %s; next, %s: %s.", strings.Join(a.Told, ", "), k.At(a.NextAt), strings.Join(a.Next, ", "))
	}
	return "Told: " + strings.Join(a.Told, ", ") + "."
}

// unheeded is how many held customers nobody looks after, of whom messages tell.
func (s *Snapshot) unheeded() (n int) {
	if s.Messages != nil {
		for _, a := range s.Messages.Asks {
			if a.Kind == migration.NoticeHeld && a.Taken == nil {
				n++
			}
		}
	}
	return n
}

// undelivered is what keeps messages from their receivers; "": nothing.
func (s *Snapshot) undelivered() string {
	if s.Messages == nil || s.Messages.Fails == 0 {
		return ""
	}
	last := s.Messages.Pending[0]
	for _, d := range s.Messages.Pending {
		if d.FailedAt.After(last.FailedAt) {
			last = d
		}
	}
	return fmt.Sprintf("%s; the last, to %s: %s.", Undelivered(s.Messages.Fails), last.Contact, strings.TrimRight(last.Failure, ". "))
}

// Undelivered says that so many messages do not reach their receivers.
func Undelivered(n int) string {
	return plural(n, "message cannot be delivered, and is tried again", "messages cannot be delivered, and are tried again")
}

// Waits is what waits for a person, the most urgent first.
func (s *Snapshot) Waits(k Clock) (out []Wait) {
	if s.Status.Paused {
		reason := strings.TrimRight(strings.TrimSpace(s.Status.Reason), ". ")
		if reason == "" {
			reason = "no reason was given"
		}
		out = append(out, Wait{Text: "The migration is paused: " + reason + ".", Paused: true}.about(s.Ask("", ""), k))
	}
	deferred := 0
	for _, c := range s.Customers {
		if c.Status.Deferred() {
			deferred++
		}
		if d := c.Status.Deferral; c.Status.AsksDeferral() {
			out = append(out, Wait{Text: fmt.Sprintf("%s asks that %s does not move before %s: a lead decides.", d.Asked.By,
				cmp.Or(c.Status.Name, c.Status.ID), k.At(d.NotBefore)), Customer: c.Status.ID})
		}
	}
	if n := s.Count()[Held] - deferred; n > 0 {
		w := Wait{Text: fmt.Sprintf("%d held: a person decides.", n), State: Held}
		if open := s.unheeded(); open > 0 {
			w.Text += fmt.Sprintf(" Nobody looks after %d of them yet.", open)
		}
		out = append(out, w)
	}
	out = append(out, s.noWayBack()...)
	for _, b := range s.Batches {
		gate, turn := s.Gate(b, k)
		if turn != TurnPerson || s.listed(b) {
			continue
		}
		w := Wait{Text: "Batch " + b.Name + ": " + strings.ToLower(gate[:1]) + gate[1:], Batch: b.Name}
		out = append(out, w.about(s.Ask(b.Name, ""), k))
	}
	if story, turn := s.Story(); s.soaked() || turn == TurnPerson && s.stands() {
		out = append(out, Wait{Text: story, Final: s.soaked(), Whole: true}.about(s.Ask("", ""), k))
	}
	out = append(out, s.asked(out, k)...)
	if words := s.undelivered(); words != "" {
		out = append(out, Wait{Text: words, Messages: true})
	}
	return out
}

// listed says whether what makes a batch a person's turn stands there for the whole migration: that
// it is paused, or that customers are held.
func (s *Snapshot) listed(b Batch) bool {
	switch {
	case b.Phase == migration.BatchTakenBack || b.Finalised != nil && b.Finalised.Waits != "":
		return false
	case b.Phase == migration.BatchDone || b.WaitingFor == migration.WaitOperator:
		return b.heldNow() > 0
	default:
		return b.WaitingFor == migration.WaitResume && s.Status.Paused
	}
}

// noWayBack is how many customers have lost their way back, or cannot take it now, a line each.
func (s *Snapshot) noWayBack() (out []Wait) {
	lost, halted := 0, 0
	for _, c := range s.Customers {
		switch c.Back.Way {
		case BackLost:
			lost++
		case BackHalted:
			halted++
		default:
		}
	}
	if lost > 0 {
		out = append(out, Wait{Text: plural(lost, "customer on AWS cannot go back", "customers on AWS cannot go back") +
			" without loss: a person decides what becomes of the way back." + s.found(true), State: Stranded})
	}
	if halted > 0 {
		out = append(out, Wait{Text: plural(halted, "customer on AWS cannot go back", "customers on AWS cannot go back") +
			" at this moment: a person has to put the way back right." + s.found(false), Whole: true})
	}
	return out
}

// found is what audits have found that halts the way back, or has lost it.
func (s *Snapshot) found(lost bool) (words string) {
	for _, d := range s.Status.Datasets {
		if n := d.NoWayBack; n != nil && !n.Unknown && n.Lost == lost {
			words += " Dataset " + d.Name + ": " + strings.TrimRight(n.Why, ". ") + "."
		}
	}
	return words
}

// mostAsked is how much of what messages ask for is listed one by one; the rest is counted.
const mostAsked = 20

// asked is what messages ask for that nothing else of what waits speaks of: above all hooks that do
// not answer. Held customers are counted together.
func (s *Snapshot) asked(said []Wait, k Clock) (out []Wait) {
	if s.Messages == nil {
		return nil
	}
	more := 0
	for _, a := range s.Messages.Asks {
		if slices.ContainsFunc(said, func(w Wait) bool { return w.speaksOf(a) }) {
			continue
		}
		if len(out) == mostAsked {
			more++
			continue
		}
		w := Wait{Text: askedFor(a), Customer: a.Customer, Whole: a.Customer == "" && a.Batch == ""}
		if a.Customer == "" {
			w.Batch = a.Batch
		}
		out = append(out, w.about(a, k))
	}
	if more > 0 {
		words := plural(more, "more thing waits", "more things wait") + " for somebody: `drover status " + s.Status.Plan + "` lists them."
		out = append(out, Wait{Text: words, Whole: true})
	}
	return out
}

// speaksOf says whether what waits is what a message asks for.
func (w Wait) speaksOf(a migration.Ask) bool {
	switch a.Kind {
	case migration.NoticeHeld:
		return w.State == Held
	case migration.NoticeBatchWaits:
		return w.Batch == a.Batch && w.Batch != ""
	case migration.NoticePaused:
		return w.Paused
	default:
		return false
	}
}

// askedFor says what a message asks for, in a sentence.
func askedFor(a migration.Ask) string {
	what := "The migration waits"
	switch {
	case a.Kind == migration.NoticeHook:
		what = "A hook of " + a.Customer + " does not answer"
	case a.Customer != "":
		what = a.Customer + " waits"
	case a.Batch != "":
		what = "Batch " + a.Batch + " waits"
	}
	if reason := strings.TrimRight(strings.TrimSpace(a.Reason), ". "); reason != "" {
		return what + ": " + reason + "."
	}
	return what + "."
}

// Of gives the customers of a batch, in the order in which they are told to go.
func (s *Snapshot) Of(b Batch) []Customer {
	to := b.First
	for to < len(s.Customers) && s.Customers[to].Status.Batch == b.Name {
		to++
	}
	return s.Customers[min(b.First, to):to]
}

// CountOf is how many customers are in each state.
func CountOf(customers []Customer) map[State]int {
	out := map[State]int{}
	for _, c := range customers {
		out[c.State()]++
	}
	return out
}

// InBars are the states in the order in which bars show them: from what is done to what has not
// begun.
var InBars = []State{Finished, CanGoBack, Stranded, Checking, Moving, GoingBack, WentBack, Held, Skipped, Ended, LookedUp, Waiting}

// OnAWS is how many of the customers that were counted run on AWS and stay there.
func OnAWS(count map[State]int) int {
	return count[Checking] + count[CanGoBack] + count[Stranded] + count[Finished]
}

// Progress counts what matters of so many customers, in words.
func Progress(count map[State]int, all int) string {
	words := []string{fmt.Sprintf("%d of %d on AWS", OnAWS(count), all)}
	for _, s := range []State{Stranded, Moving, GoingBack, WentBack, Held, Skipped, LookedUp} {
		if n := count[s]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, s.Words()))
		}
	}
	return strings.Join(words, ", ")
}
