// Package evidence says afterwards, to somebody who trusts nobody, what was done to the customers
// of a batch: who approved it, each Move with its steps and tokens, what was compared, what was
// judged, and which software did it. It writes that down as a signed text (a bundle), and verifies
// one without any connection.
//
// A bundle is JSON, a line a fact. Its last line is a DSSE envelope, signed with ed25519, around an
// in-toto statement whose subjects are the SHA-256 digests of all lines before it, in their order.
// docs/evidence.md has the format, and how to verify a bundle with openssl alone.
//
// It is no log: nothing in Drover reads a bundle again to decide anything.
package evidence
