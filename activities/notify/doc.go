// Package notify has the activities of messages: which messages a notice makes, which notices the
// clock has brought, and to send some of one channel. What was sent, what is tried again and who
// has acknowledged is remembered by the workflow that asks (workflows/outbox).
package notify
