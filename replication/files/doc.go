// Package files moves one customer's file tree to a prefix of a bucket, and back: passes that cost
// what changed, from the side that is home to the other, and a last pass that ends with both sides
// proven equal.
//
// What was agreed on last is in a manifest: for every file how it looked, its SHA-256 and the
// object's ETag. A file whose looks and an object whose ETag are those of the manifest are neither
// read nor asked about. Writes to the bucket are conditional on the ETag that was seen, writes to
// the tree on the file that was seen; both ask for permission immediately before, so that a pass
// that was cut off and lives on (a zombie) overwrites nothing.
//
// A pass (pass.go) reads three streams in the order of the keys: the files (walk.go), the objects
// (list.go) and the manifest (ledger.go). What differs is carried (upload.go, download.go), window
// by window. Nobody but Drover writes away from home, so most passes leave that side alone.
//
// Carried: regular files and symbolic links with mode, owner, modification time. Not carried: empty
// folders, folders' own modes, hard links as such (each name is a file), extended attributes;
// devices, sockets and names that could lead elsewhere are refused. It knows nothing of Temporal,
// nor of how a home record is read.
package files
