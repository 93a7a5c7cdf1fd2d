// Package pg runs real PostgreSQL servers for the laboratory and for tests: one child process each,
// on a loopback address of its own, with passwords, set up in about a second and gone without a
// trace when closed.
//
// PostgreSQL refuses to run as root, so a root lab runs it as "nobody". It is not a place for
// anything that knows of Drover.
package pg
