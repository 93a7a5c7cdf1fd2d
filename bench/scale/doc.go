// Command scale measures plans of thousands of customers: real workflows, the product's workers in
// processes of their own, and a real Temporal server. Only what the activities talk to is a
// stand-in (world.go, databases.go, doctor.go, machines.go, router.go): it takes the times that
// were measured in the lab, fails once in a hundred calls, and remembers where each customer is
// homed by the model of move.sql, so that what a run ends with can be judged. `make test-scale`
// runs it.
//
// In a run of two workers the first is killed when half of the customers are on AWS, and none comes
// in its place.
package main
