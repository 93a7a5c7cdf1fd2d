// Package scale runs a tenth of the bench of ten thousand customers (bench/scale). It is for tests
// only.
package scale
