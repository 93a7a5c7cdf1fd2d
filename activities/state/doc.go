// Package state keeps compiled plans in the state bucket and hands workflows the slice they need: a
// spec of ten thousand customers never travels through a history.
package state
