// Package web is the board: the pages on which people follow a migration, and act on it, without a
// command line and without Temporal.
//
// It shows what board.Hub has read and sends commands through Commands. It asks Temporal nothing
// itself, and knows nothing of workflows. Who may do what is package access.
package web
