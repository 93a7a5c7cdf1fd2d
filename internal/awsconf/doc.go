// Package awsconf turns a target of a plan into the configuration of AWS clients: its region, the
// worker's ambient credentials and, where the target names one, the role to assume with them.
//
// It verifies nothing (preflight asks STS who it is) and builds no endpoint of its own:
// AWS_ENDPOINT_URL and the AWS_ENDPOINT_URL_* variables are honoured by the SDK, as in every tool
// that uses it.
package awsconf
