// Package report writes a migration down as one HTML page: what was measured, by batch and by
// customer, for whoever must be told afterwards. The page needs nothing besides itself: it asks no
// host, has no script, and can be printed and sent.
//
// It shows what Drover has measured. Requests of users that failed or were retried are not known
// to it, and the page says so.
package report
