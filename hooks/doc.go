// Package hooks calls what a plan wants called at the steps of a Move: webhooks, and documents of
// Systems Manager on the instances of workloads.
//
// A Caller calls once, or insists until a deadline. The key of a call depends on nothing but what
// it is about: whoever is called and knows the key has done it already, and answers as it did. An
// answer may hold: whoever asked decides what that means.
//
// The package keeps nothing but how long calls have taken, and it knows nothing of Temporal.
package hooks
