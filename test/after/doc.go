// Package after holds what a migration leaves, and what mends it from outside, against real
// servers: two of PostgreSQL, one of Temporal, and the lab's AWS.
package after
