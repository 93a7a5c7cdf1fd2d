// Package notifytest has receivers of messages, for tests: an HTTP server that fails and repeats,
// and an SMTP server.
package notifytest
