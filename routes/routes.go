// Package routes has the words that every way of routing customers speaks in. The ways themselves
// are below it, one folder each (alb); routetest is the suite that all of them pass. None of them
// knows Temporal, and none reads where a customer is homed: it is told.
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
}

// State is where a route sends a customer.
type State struct {
	Customer string         `json:"customer"`
	Home     migration.Side `json:"home"`            // as it was wanted last; a router that was told a newer token answers that one's
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
