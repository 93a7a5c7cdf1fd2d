// Package compute has the activities that make and unmake what workloads run on at AWS. How that is
// done is the engine's, compute.
package compute
