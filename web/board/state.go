package board

import "github.com/drover-migration/drover/migration"

// State is a group of customers that are shown alike. It is what the page filters by.
type State string

// The states, in the order in which the page lists them.
const (
	Waiting    State = "waiting"
	Moving     State = "moving"
	Checking   State = "checking"
	CanGoBack  State = "can-go-back"
	Finished   State = "finished"
	GoingBack  State = "going-back"
	WentBack   State = "went-back"
	Held       State = "held"
	Skipped    State = "skipped"
	Ended      State = "ended"
	LookedUp   State = "looked-up"
	unknownOne State = "unknown"
)

// States are all states that a customer can be in.
var States = []State{Waiting, Moving, Checking, CanGoBack, Finished, GoingBack, WentBack, Held, Skipped, Ended, LookedUp}

// Words is what a state is called on the page.
func (s State) Words() string {
	switch s {
	case Waiting:
		return "not moved yet"
	case Moving:
		return "moving now"
	case Checking:
		return "on AWS, being checked"
	case CanGoBack:
		return "on AWS, can go back"
	case Finished:
		return "finished"
	case GoingBack:
		return "going back"
	case WentBack:
		return "back on premises"
	case Held:
		return "held, a person decides"
	case Skipped:
		return "stays on premises"
	case Ended:
		return "ended by abort"
	case LookedUp:
		return "being looked up"
	default:
		return "not known"
	}
}

// Sign is the shape that tells a state from the others without its colour.
func (s State) Sign() string {
	switch s {
	case Waiting:
		return "○"
	case Moving:
		return "▶"
	case Checking:
		return "◐"
	case CanGoBack:
		return "●"
	case Finished:
		return "✔"
	case GoingBack:
		return "◀"
	case WentBack:
		return "↩"
	case Held:
		return "■"
	case Skipped:
		return "◇"
	case Ended:
		return "×"
	default:
		return "?"
	}
}

func stateOf(c migration.CustomerStatus) State {
	switch c.Phase {
	case migration.CustomerWaiting:
		return Waiting
	case migration.CustomerMoving:
		return Moving
	case migration.CustomerBaking:
		return Checking
	case migration.CustomerSoaking:
		return CanGoBack
	case migration.CustomerFinished:
		return Finished
	case migration.CustomerMovingBack:
		return GoingBack
	case migration.CustomerRolledBack:
		return WentBack
	case migration.CustomerHeld:
		return Held
	case migration.CustomerSkipped:
		return Skipped
	case migration.CustomerAborted:
		return Ended
	case migration.CustomerFinding:
		return LookedUp
	default:
		return unknownOne
	}
}
