// Package setup makes a database of two servers replicate both ways, tenant by tenant, and takes
// all of it away again: the schema on AWS, Drover's functions and guard, replica identities,
// disjoint ranges of ids, publications, subscriptions.
//
// Prepare and DropAll look at what is there first, so that each may be cut off anywhere and run
// again. What must hold before is preflight's to ask, and what a Move does with it is
// replication/postgres's.
package setup
