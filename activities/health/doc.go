// Package health has the activities that ask how customers are. How that is found out is the
// engine's, health.
package health
