// Package migration holds the nouns of Drover: what a plan compiles to, how far a customer has
// come, and the names by which workflows, the CLI and the pages speak of it. It knows no system and
// imports nothing but the standard library.
//
// It is not a place for logic that talks to anything, nor for types that only one activity takes or
// gives: those live beside that activity.
package migration
