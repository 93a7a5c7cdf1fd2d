// Package hooks runs a lab whose plan calls webhooks at the steps of its Moves, under load: one
// that fails and is repeated, one that hangs inside the freeze, one that holds, and a worker that
// dies while it is called. It has tests only.
package hooks
