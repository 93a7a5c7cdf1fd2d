// Package compute makes and unmakes what workloads run on at AWS: images of replicated disks, EC2
// instances, and Fargate services.
//
// Everything it makes is found again: by its tags, or by a name that follows from plan and workload
// and that AWS allows once. So each call can be made twice, at once, or be cut off after its effect
// and before its answer, and there is one of each thing.
//
// It does not move bytes (replication/disks), and it does not send anybody to what it made
// (routes).
package compute
