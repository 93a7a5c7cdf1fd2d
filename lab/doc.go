// Package lab is a data centre and an AWS account on the loopback network: a vCenter with machines
// that serve, moto and an EBS block store, S3, two PostgreSQL servers, Temporal, a load balancer, a
// name server. The product reaches it as any user's settings would let it, and does not know that
// it exists.
package lab
