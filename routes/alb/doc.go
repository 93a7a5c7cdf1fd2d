// Package alb sends customers' requests to the side they are homed on, through an Application Load
// Balancer.
//
// What stands on a listener before Drover keeps serving on premises and is never changed. Drover
// adds rules of its own ahead of it, only for customers homed on AWS: the host names of as many
// customers as a rule may hold (five condition values, paths included), forwarded with weight 100
// to the group on AWS and 0 to the group on premises, so that both stay attached to the listener. A
// customer that was never on AWS has no rule.
//
// The router is told which side customers are wanted at, and reads no home itself. It changes the
// rules of those customers alone, and looks until the rules say what is wanted. Any number of
// writers may do so at once: each heals what it wrote by looking after its last write, and the next
// reconcile heals what a writer left that died in between.
//
// It is not a data plane, and it does not decide who moves.
package alb
