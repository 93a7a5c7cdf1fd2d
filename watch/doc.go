// Package watch is a migration on a terminal: its batches and customers, what is copied, what waits
// for a person, what happened, and keys for the common commands.
//
// The model is pure: a message and a state give a state, and the screen is a function of the state,
// the width and the height. What is shown and in which words comes from web/board, what a command
// is called and does from web.
package watch
