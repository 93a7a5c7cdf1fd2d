// Package people runs a lab for what people are told and shown: messages at real receivers,
// acknowledgement and escalation, the board, and the signed evidence of a batch. It has tests only.
package people
