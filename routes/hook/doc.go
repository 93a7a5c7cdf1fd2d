// Package hook sends customers' requests to the side they are homed on, through a router of the
// user's own that answers a protocol of three requests (docs/route-hook.md): what backends it has,
// what stands for a host, and a change of that on a condition.
//
// What stands for a host is weights of backends, and beside them a note of Drover's, which says
// which home record they follow: its token, the share of the requests that goes to AWS, and the
// weights that stood before Drover came. A change is on the condition (If-Match) that all stands
// that was read. So an older token never overrides a newer one, whoever writes; and what somebody
// else has changed is never written over: it is told. What stood before is put back from the note.
//
// The router is no part of Drover: its answers are bounded in size, time and form, its certificate
// is verified, it is asked again what it has done after each change, and none of its words but
// names of backends come into an error.
//
// The package is told which side customers are wanted at, and reads no home itself.
package hook
