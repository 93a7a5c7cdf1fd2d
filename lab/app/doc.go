// Package app is the small multi-tenant orders application whose customers the laboratory migrates.
// It is what a product of some company might be: it knows its tenants by host name, keeps their
// rows in PostgreSQL and their files in a folder or a bucket, and knows of a migration only what
// any application must be taught: a refused write is answered with 503, and its client tries again.
//
// It runs as a process of its own for each machine of the laboratory. It is not a model
// application; it is a witness.
package app
