// Package lb is the laboratory's load balancer: the data plane that moto's ELBv2 lacks. It obeys
// the listener rules found there (host-header and path-pattern conditions, priorities, weighted
// forwards, fixed responses) and nothing else.
package lb
