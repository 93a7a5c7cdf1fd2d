// Package postgres is how workflows reach replication/postgres: each activity opens the dataset's
// pair, calls the engine, beats while it waits and says which errors repeating will not cure.
//
// It keeps no state and makes no decision: words and findings go back to the workflow as data.
package postgres
