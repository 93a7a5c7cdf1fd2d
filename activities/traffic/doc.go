// Package traffic has the activities that send customers' requests to the side they are homed on.
// How that is done is that of the engines below routes.
package traffic
