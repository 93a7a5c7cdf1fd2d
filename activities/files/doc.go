// Package files makes the passes of replication/files activities: warm passes away from a
// customer's home, and the last one inside a Move's freeze. The engine carries; what is added here
// is who may: the home record of the database that fences the files is asked before every effect.
package files
