// Package notifytest has the receivers of messages that tests send to: an HTTP server that fails and
// repeats, and an SMTP server. It is for tests only.
package notifytest
