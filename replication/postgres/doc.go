// Package postgres keeps one database on two PostgreSQL servers, each tenant's changes flowing away
// from its home, and holds the steps that move a tenant's home: fence, drain, verify, seal, open,
// and their undoing.
//
// The truth and the rules are in move.sql, installed on both servers: every step is one transaction
// there, idempotent, and answers with a word. This package reads the catalogues, checks what must
// hold first, sets both directions up and calls those functions. It decides nothing about a Move
// and knows nothing of workflows.
package postgres
