// Package routetest is what every way of routing customers must pass: a suite against a Router in a
// World that the test controls. The Application Load Balancer passes it over an in-memory ELB and
// over the lab's AWS; whatever else routes customers one day passes the same tests.
package routetest
