// Package identity proves who gave a command, from where somebody signed in to the worker that
// takes it.
//
// An Authority (the board) has an ed25519 key, and signs a Pass: the holder of this other key is
// Ann, an operator, until six o'clock. A Holder (a board's session, or a person's command line)
// signs each command with the key of its pass. Keys (a worker's) are the authorities' public keys,
// and refuse a command whose pass or signature is not good.
//
// A pass is no secret: it is worth nothing without the holder's key, which never leaves the place
// where it was made. A signature is good for one command, of one workflow in one namespace, until
// the command is withdrawn.
package identity
