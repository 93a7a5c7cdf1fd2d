// Package inbox is where the people of a lab get what a plan tells them: a receiver of webhooks and
// a mail server. It keeps what came, and how often each message did.
package inbox
