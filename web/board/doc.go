// Package board is what the board's pages show: one reader of each migration, however many people
// look at it, and what it has read as a snapshot that is searched and put into words.
//
// It knows no HTTP and no HTML.
package board
