// Package client talks to running migrations: it submits plans, sends operators' wishes and reads
// where everything stands. The CLI and the pages are built over it, and so can be anything else.
//
// It changes nothing by itself: every wish is an Update that the workflow validates, records and
// carries out. Every error that a person meets is a *Problem, which says what was being done, why
// it did not work and what to do next.
package client
