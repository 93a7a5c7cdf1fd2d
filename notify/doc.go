// Package notify makes messages of what happens in a migration and hands them to those who carry
// them: webhooks, Slack, e-mail and SNS.
//
// Compose says who hears of a notice, in which words and when; Scheduled says which notices the
// clock brings; Preview is both for a whole plan, before it runs. A Sender delivers one message.
//
// A message has a key that depends on nothing but what it tells and whom: whoever delivers it
// again, because no acknowledgement has come, uses the same. A receiver that knows the key drops
// the repeat.
//
// The package keeps nothing and waits for nothing: what was sent, what is tried again and who has
// acknowledged is remembered by whoever calls it. It knows nothing of Temporal.
package notify
