// Package scale runs a tenth of ten thousand customers through their bench (bench/scale). It is for
// tests only.
package scale
