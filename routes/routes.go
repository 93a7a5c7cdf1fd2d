// Package routes has the words that every way of routing customers speaks in. The ways themselves
// are below it, one folder each (alb, dns, hook); routetest is the suite that all of them pass.
// None of them knows Temporal, and none reads where a customer is homed: it is told.
package routes

import (
	"time"

	"github.com/drover-migration/drover/migration"
)

// Wanted says where a customer's requests shall go, as its data said.
type Wanted struct {
	Customer string
	Side     migration.Side // migration.NoHome: leave its route as it is
	Token    int64          // of the home record that Side was read from; of two the higher is newer
	// Weight is the percentage of its requests that go to AWS while that is its side; 0: all.
	Weight int
}

// All is the share of a customer's requests, in percent, that is all of them.
const All = 100

// Share is the percentage of the customer's requests that shall go to AWS.
func (w Wanted) Share() int {
	switch {
	case w.Side != migration.AWS:
		return 0
	case w.Weight == 0:
		return All
	default:
		return w.Weight
	}
}

// Older says that what is wanted of a customer does not count beside o: o has a newer token, or the
// same one and a larger share. Within one try a share only grows. Of equals the one told last
// counts: within one try a home changes once, from the origin to the destination.
func (w Wanted) Older(o Wanted) bool {
	return w.Token < o.Token || w.Token == o.Token && w.Side == o.Side && w.Share() < o.Share()
}

// Latest adds what is wanted of each customer to what is known, unless that is newer.
func Latest(known map[string]Wanted, wanted []Wanted) {
	for _, w := range wanted {
		if n, ok := known[w.Customer]; !ok || !w.Older(n) {
			known[w.Customer] = w
		}
	}
}

// State is where a route sends a customer.
type State struct {
	Customer string         `json:"customer"`
	Home     migration.Side `json:"home"`            // as it was wanted last; a router that was told a newer token answers that one's
	Share    int            `json:"share,omitempty"` // percentage of its requests that go to AWS, as it was wanted last
	Rules    []string       `json:"rules,omitempty"` // names of what sends the customer to AWS: ARNs of a load balancer's rules
	Wrong    string         `json:"wrong,omitempty"` // what is not as wanted, as it was seen last
	Set      time.Time      `json:"set,omitzero"`    // when the last write was acknowledged, or it was seen that none is needed
}

// Restored says what was taken away, and what is not as it was recorded although Drover never
// touched it.
type Restored struct {
	Deleted     int      `json:"deleted"` // rules
	Differences []string `json:"differences,omitempty"`
}
