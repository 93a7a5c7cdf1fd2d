// Package load is the customers' traffic: for each customer a few clients that write and read
// through the load balancer, try again when they are asked to, and keep a ledger of every write
// that was acknowledged. The ledger is what lab/verify holds both sides to.
package load
