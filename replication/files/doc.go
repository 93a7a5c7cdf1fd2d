// Package files moves one customer's file tree to a prefix of a bucket, and back: passes that cost what changed, from the side that
// is home to the other, and a last pass that ends with both sides proven equal.
//
// What was agreed on last is in a manifest (Manifest): for every file what the tree's file looked like, its SHA-256 and the object's
// ETag. A file whose looks and an object whose ETag are those of the manifest are neither read nor asked about. Writes to the bucket
// are conditional on the ETag that was listed, writes to the tree on the file that was seen; both ask Job.Allowed immediately before,
// so that a pass that was cut off and lives on (a zombie) overwrites nothing.
//
// Carried: regular files and symbolic links with mode, owner, modification time. Not carried: empty folders, folders' own modes,
// hard links as such (each name is a file), extended attributes; devices, sockets and names that could lead elsewhere are refused.
// It knows nothing of Temporal, nor of how a home record is read.
package files
