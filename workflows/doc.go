// Package workflows is the product's story: what a migration does, in which order, and what it does when something is in the way.
//
// Read migration.go first, then batch.go, customer.go and move.go. Every workflow is a struct with a setup that installs its
// handlers and a run that reads as the list of its phases. Everything that touches the world is an activity; every timeout and
// retry policy has a name in options.go.
//
// The truth about a customer's home is in the data (package activities/postgres), never in a workflow: a workflow that is killed,
// terminated or reset changes nothing about it, and the next one reads it.
package workflows
