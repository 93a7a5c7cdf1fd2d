// Package telemetry looks at what a worker tells of itself while it moves a customer: the spans
// that an OTLP receiver is sent, what Prometheus finds, and its log.
package telemetry
