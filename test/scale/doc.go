// Package scale runs a small plan through the bench of ten thousand customers (bench/scale). It is
// for tests only.
package scale
