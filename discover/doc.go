// Package discover proposes the workloads of a plan from the names of machines. It reads what it is
// given, asks nobody, and decides nothing: a lead reads its proposals.
package discover
