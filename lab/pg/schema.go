package pg

import _ "embed"

// Schema is the schema of the orders application, as SQL.
//
//go:embed schema.sql
var Schema string
