package board

import (
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Back is whether who runs on AWS goes back to premises without loss.
type Back struct {
	Way   BackWay
	Until time.Time // of BackOpen: the end of its soak; of BackEnded: since when; zero: not known
	By    string    // of BackEnded: whose word it was; empty: not known
	Why   string    // of BackHalted and BackLost: what the audit found; it may name machines and databases
}

// BackWay is how the way back of a customer stands.
type BackWay int

// The ways.
const (
	BackUnknown BackWay = iota
	BackHome            // it is on premises
	BackOpen            // without loss
	BackHalted          // it waits until somebody has put right what keeps writes from premises
	BackLost            // what is written on AWS does not reach premises any more
	BackHeld            // a person looks at it first
	BackOver            // its soak has ended: nothing takes it back but a person
	BackEnding          // somebody has asked that the way back ends
	BackEnded           // for good
)

// WayBackOf is whether a customer goes back without loss. Pieces are the datasets of its plan, of
// which it uses those that are named; all of them where the plan is not known. Finalised is of its
// batch.
func WayBackOf(c migration.CustomerStatus, pieces []migration.PieceStatus, uses []string, finalised *migration.Finalised) Back {
	switch {
	case c.Home == migration.OnPrem || c.Phase == migration.CustomerWaiting:
		return Back{Way: BackHome}
	case c.Home != migration.AWS:
		return Back{}
	case finalised != nil && finalised.Cut.IsZero():
		return Back{Way: BackEnding, By: finalised.By}
	case finalised != nil:
		return Back{Way: BackEnded, Until: finalised.Cut, By: finalised.By}
	}
	if why, lost := noWayBack(pieces, uses); lost {
		return Back{Way: BackLost, Why: why}
	} else if why != "" {
		return Back{Way: BackHalted, Why: why}
	}
	switch c.Phase {
	case migration.CustomerBaking:
		return Back{Way: BackOpen}
	case migration.CustomerSoaking:
		return Back{Way: BackOpen, Until: c.Until}
	case migration.CustomerHeld:
		return Back{Way: BackHeld}
	case migration.CustomerFinished:
		return Back{Way: BackOver}
	default:
		return Back{}
	}
}

// noWayBack is why the datasets that a customer uses do not let it go back; "": they do.
func noWayBack(pieces []migration.PieceStatus, uses []string) (why string, lost bool) {
	var all []string
	for _, p := range pieces {
		if n := p.NoWayBack; n != nil && (len(uses) == 0 || slices.Contains(uses, p.Name)) {
			all = append(all, "Dataset "+p.Name+": "+strings.TrimRight(n.Why, ". ")+".")
			lost = lost || n.Lost
		}
	}
	return strings.Join(all, " "), lost
}

// Answer answers whether it can still go back, in a sentence that names nobody and no machine.
func (b Back) Answer(k Clock) string {
	switch b.Way {
	case BackHome:
		return "It is on premises."
	case BackOpen:
		if b.Until.IsZero() {
			return "Yes, without loss."
		}
		return "Yes, without loss until " + k.At(b.Until) + "."
	case BackHalted:
		return "Not at this moment."
	case BackLost:
		return "No, not without loss."
	case BackHeld:
		return "A person has to look: it is held."
	case BackOver:
		return "No longer by itself: its soak has ended."
	case BackEnding:
		return "No: its way back is being ended."
	case BackEnded:
		if b.Until.IsZero() {
			return "No: its way back has ended."
		}
		return "No: its way back ended on " + k.At(b.Until) + "."
	default:
		return "Not known at this moment."
	}
}

// Stands says what is missing to go back, for whoever cannot put it right; "": nothing.
func (b Back) Stands() string {
	switch b.Way {
	case BackHalted:
		return "What is written on AWS does not reach premises now."
	case BackLost:
		return "What is written on AWS does not reach premises any more: going back would lose it."
	default:
		return ""
	}
}

// clause is how a customer on AWS stands to going back, within a sentence.
func (b Back) clause(k Clock) string {
	switch b.Way {
	case BackOpen:
		if b.Until.IsZero() {
			return "can go back without loss"
		}
		return "can go back without loss until " + k.At(b.Until)
	case BackHalted:
		return "cannot go back at this moment"
	case BackLost:
		return "cannot go back without loss"
	case BackEnding:
		return "does not go back: its way back is being ended"
	case BackEnded:
		return "does not go back: its way back has ended"
	default:
		return "is watched"
	}
}
