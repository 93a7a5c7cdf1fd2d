// Package freeze has Moves meet faults at every statement inside their freeze: the product's
// workflow and activities, two real servers, and proxies before them that cut or hold a connection
// before a statement's effect, or after it.
package freeze
