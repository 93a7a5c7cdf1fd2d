// Package homes has the activities of the home records of customers that have no database. How they
// are kept is the engine's, homes.
package homes
