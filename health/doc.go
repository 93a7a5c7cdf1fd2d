// Package health asks a customer's application how it is and says pass, fail or inconclusive, with
// the evidence.
//
// Before a cutover it asks the destination's machines directly, with the customer's host name;
// after it, through the route, as the customer does. It judges the customer against its own numbers
// from before the fence, never against others'.
package health
