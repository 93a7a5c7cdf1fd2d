// Package dns is the laboratory's name server: it answers load balancers' names with the
// laboratory's load balancer and everything else from the Route 53 records found in moto. It
// resolves nothing outside.
package dns
