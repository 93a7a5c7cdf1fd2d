package customer

import (
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// kind is what can be asked of a customer.
type kind string

const (
	none  kind = ""
	back  kind = "back"  // take it home
	hold  kind = "hold"  // leave it where it is
	abort kind = "abort" // end, at home
	retry kind = "retry" // go on, or go again
	skip  kind = "skip"  // stay at home for good
)

// order is what somebody asked, and why it was asked.
type order struct {
	mail.Wish
	Cause migration.Cause `json:"cause,omitempty"`
	// AtHome says that the order is void for a customer whose data says that it is on AWS.
	AtHome bool `json:"atHome,omitempty"`
	// Elsewhere says that the data may name another home than the customer knows: a side was given
	// up.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// orders are those that nobody has carried out yet: the last of each kind.
type orders struct {
	Back  *order `json:"back,omitempty"`
	Hold  *order `json:"hold,omitempty"`
	Abort *order `json:"abort,omitempty"`
	Retry *order `json:"retry,omitempty"`
	Skip  *order `json:"skip,omitempty"`
}

func (o *orders) of(k kind) **order {
	switch k {
	case back:
		return &o.Back
	case hold:
		return &o.Hold
	case abort:
		return &o.Abort
	case skip:
		return &o.Skip
	default:
		return &o.Retry
	}
}

// add takes an order. To come back is the last word: a retry from before it would send the customer
// out again.
func (o orders) add(k kind, w order) orders {
	*o.of(k) = &w
	if k == back {
		o.Retry = nil
	}
	return o
}

// take hands over an order and forgets it.
func (o *orders) take(k kind) (w order) {
	if at := o.of(k); *at != nil {
		w, *at = **at, nil
	}
	return w
}

// first is the order that is to be carried out in a phase; none: the phase goes on. An order that
// means nothing in this phase waits for one in which it does.
func (o orders) first(phase migration.CustomerPhase, home migration.Side) kind {
	for _, k := range inOrder(phase, home) {
		if *o.of(k) != nil {
			return k
		}
	}
	return none
}

// inOrder are the orders that mean something in a phase, the most urgent first.
func inOrder(phase migration.CustomerPhase, home migration.Side) []kind {
	switch phase {
	case migration.CustomerWaiting:
		return []kind{abort, skip, hold, back}
	case migration.CustomerMoving:
		return []kind{abort, back, hold}
	case migration.CustomerBaking, migration.CustomerSoaking:
		return []kind{back, abort, hold}
	case migration.CustomerMovingBack:
		return []kind{hold}
	case migration.CustomerHeld, migration.CustomerRolledBack:
		if home == migration.OnPrem {
			return []kind{abort, skip, back, retry, hold}
		}
		return []kind{hold, back, retry} // a hold of who is held says that a side was given up: its home first
	case migration.CustomerFinding, migration.CustomerFinished, migration.CustomerAborted:
		return nil // until the home is known, or for ever
	}
	return nil
}
