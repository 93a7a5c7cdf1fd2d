// Package roll has the activity that calls the roll of a batch: who of its customers runs.
package roll
