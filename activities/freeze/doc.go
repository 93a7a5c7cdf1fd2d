// Package freeze is the freeze of a customer as one activity next to its data: fence, drain and
// verify, seal, open, of all its databases and files at a site. Every round through Temporal
// between these steps would be time in which the customer cannot write.
//
// It is tried once. It decides nothing beyond the order of the steps: what it leaves behind when it
// does not come to its end is settled by the workflow, as docs/design.md, section 6, says.
package freeze
