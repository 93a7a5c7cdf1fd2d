// Package dns sends customers' requests to the side they are homed on, through the records of their
// hosts in a hosted zone of Route 53.
//
// A host has a pair of weighted records, one a side, and beside them, at _drover.HOST, a TXT record
// that says which home record they follow: its token, the share of the requests that goes to AWS,
// and the TTLs. All of them change in one batch, which deletes what was read, value by value, and
// creates what is wanted. Route 53 carries out such a batch as a whole, and refuses it where what
// is to be deleted does not stand as it says. So an older token never overrides a newer one,
// whoever writes; and what somebody else has changed is never written over: it is told.
//
// A change counts when Route 53 says that all its servers have it, and when those of the zone,
// asked one by one, answer with it. What resolvers remember for a TTL is out of reach. Until it
// runs out their clients go on to ask the old side, whose data is closed to the customer's writes:
// a route by name is never what keeps a write from being lost. Prepare lowers the TTL before a
// customer moves, as much earlier as the old one lasts, and Settle puts it back once it stays.
//
// Route 53 takes five calls a second of an account. What many customers want at once is one read
// and one batch; whether all is as wanted the zone's servers are asked, which costs no call.
//
// The router is told which side customers are wanted at, and reads no home itself.
package dns
