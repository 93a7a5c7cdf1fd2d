// Package routes has the words that every way of routing customers speaks in. The ways themselves are below it, one folder each
// (alb); routetest is the suite that all of them pass. None of them knows Temporal.
package routes

import "github.com/drover-migration/drover/migration"

// State is where a route sends a customer.
type State struct {
	Customer string         `json:"customer"`
	Home     migration.Side `json:"home"`            // as the home records say
	Rules    []string       `json:"rules,omitempty"` // names of what sends the customer to AWS: ARNs of a load balancer's rules
}

// Restored says what was taken away, and what is not as it was recorded although Drover never touched it.
type Restored struct {
	Deleted     int      `json:"deleted"` // rules
	Differences []string `json:"differences,omitempty"`
}
