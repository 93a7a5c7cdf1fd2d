// Package preflight asks what must hold before a database is prepared for Moves, on both servers,
// and reports all of it at once. Each check has a file of its own and is listed in checks with its
// scope. It changes nothing; what it tries, it rolls back.
package preflight
