// Package hooks has the main worker call what a plan wants called outside of a freeze, and check
// beforehand whether it can. What is called inside a freeze is package freeze's.
package hooks
