// Package traffic has the activities that send customers' requests to the side they are homed on.
// How that is done is routes/alb's.
package traffic
