package board

import (
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

// Back is whether who runs on AWS goes back to premises without loss.
type Back struct {
	Way   BackWay
	Until time.Time // of BackOpen: the end of its soak; of BackEnded: since when; zero: not known
	By    string    // of BackEnded: whose word it was; empty: not known
	// Why is what the audit found, of BackHalted and BackLost, and of BackUnknown why it found
	// nothing. It may name machines and databases.
	Why string
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

// WayBackOf is whether a customer of a migration goes back without loss. planned is what the plan
// says of it; nil: that is not known, and it may use every dataset. finalised is of its batch.
func WayBackOf(c migration.CustomerStatus, m *migration.MigrationStatus, planned *migration.Customer,
	finalised *migration.Finalised) Back {
	switch {
	case c.Home == migration.OnPrem || c.Phase == migration.CustomerWaiting:
		return Back{Way: BackHome}
	case c.Home != migration.AWS:
		return Back{}
	case finalised != nil && !finalised.Cut.IsZero():
		return Back{Way: BackEnded, Until: finalised.Cut, By: finalised.By}
	case m.Phase == migration.MigrationDone:
		return Back{Way: BackEnded}
	case finalised != nil:
		return Back{Way: BackEnding, By: finalised.By}
	case m.Phase == migration.MigrationFinalising:
		return Back{Way: BackEnding}
	}
	if way, why := noWayBack(m.Datasets, planned); why != "" {
		return Back{Way: way, Why: why}
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

// noWayBack is why the datasets that a customer uses do not let it go back, or are not known to;
// "": they do. What is lost in one of them is lost, whatever the others say.
func noWayBack(pieces []migration.PieceStatus, planned *migration.Customer) (way BackWay, why string) {
	var all []string
	for _, p := range pieces {
		if planned != nil && !slices.Contains(planned.Datasets, p.Name) {
			continue
		}
		of, why := wayBackThrough(p)
		if why == "" {
			continue
		}
		all = append(all, "Dataset "+p.Name+": "+strings.TrimRight(why, ". ")+".")
		if way != BackLost && (of == BackLost || of == BackHalted) {
			way = of
		}
	}
	return way, strings.Join(all, " ")
}

// wayBackThrough is why a dataset lets nobody go back, or is not known to; "": it does.
func wayBackThrough(p migration.PieceStatus) (way BackWay, why string) {
	ended := p.Workflow != "" && p.Workflow != client.Running && p.Workflow != client.Completed
	switch n := p.NoWayBack; {
	case n != nil && n.Lost:
		return BackLost, n.Why
	case ended:
		return BackUnknown, "its workflow was ended in Temporal (" + p.Workflow + "), and nobody looks after it"
	case n != nil && n.Unknown:
		return BackUnknown, n.Why
	case n != nil:
		return BackHalted, n.Why
	default:
		return BackUnknown, ""
	}
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

// Ended says whose word has ended the way back, in a sentence; "": that is not known.
func (b Back) Ended() string {
	if b.By == "" {
		return ""
	}
	return "It was ended by " + b.By + "."
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
	case BackUnknown:
		return "is watched; whether it can go back is not known at this moment"
	default:
		return "is watched"
	}
}
