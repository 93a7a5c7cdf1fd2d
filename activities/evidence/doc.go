// Package evidence collects what is known of a batch, signs it, and keeps it in the state bucket.
package evidence
