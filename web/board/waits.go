package board

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/migration"
)

// Wait is something that waits for a person: of Batch, State, Customer and Paused one is set.
type Wait struct {
	Text     string // a sentence
	Batch    string // the batch that waits
	State    State  // of the customers that wait
	Customer string // the customer about whom somebody asks
	Paused   bool   // the migration waits to be resumed
}

// Waits is what waits for a person, the most urgent first.
func (s *Snapshot) Waits(k Clock) (out []Wait) {
	if s.Status.Paused {
		reason := strings.TrimRight(strings.TrimSpace(s.Status.Reason), ". ")
		if reason == "" {
			reason = "no reason was given"
		}
		out = append(out, Wait{Text: "The migration is paused: " + reason + ".", Paused: true})
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
		out = append(out, Wait{Text: fmt.Sprintf("%d held: a person decides.", n), State: Held})
	}
	for _, b := range s.Batches {
		if gate, turn := s.Gate(b, k); turn == TurnPerson && b.WaitingFor == migration.WaitApproval {
			out = append(out, Wait{Text: "Batch " + b.Name + ": " + strings.ToLower(gate[:1]) + gate[1:], Batch: b.Name})
		}
	}
	return out
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
var InBars = []State{Finished, CanGoBack, Checking, Moving, GoingBack, WentBack, Held, Ended, LookedUp, Waiting}

// OnAWS is how many of the customers that were counted run on AWS and stay there.
func OnAWS(count map[State]int) int { return count[Checking] + count[CanGoBack] + count[Finished] }

// Progress counts what matters of so many customers, in words.
func Progress(count map[State]int, all int) string {
	words := []string{fmt.Sprintf("%d of %d on AWS", OnAWS(count), all)}
	for _, s := range []State{Moving, GoingBack, WentBack, Held, LookedUp} {
		if n := count[s]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, s.Words()))
		}
	}
	return strings.Join(words, ", ")
}
