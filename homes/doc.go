// Package homes keeps the home records of customers that have no database: an object each in the
// state bucket, which is written on the condition that nobody else has written it since it was
// read. One write changes both sides of a record, so that there is neither a fence nor a freeze,
// and a customer is open on one side at any moment. The record says beside the side which share of
// the requests goes to AWS.
//
// The home records of customers with a database are in it: replication/postgres.
package homes
