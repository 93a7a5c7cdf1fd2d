// Package kill holds Moves to their promises while the worker that runs them is killed at every
// step, in both directions.
package kill
