package migration

// MetricKind says how a metric counts.
type MetricKind string

// The kinds of metrics. A timer is a histogram of seconds.
const (
	Counter MetricKind = "counter"
	Gauge   MetricKind = "gauge"
	Timer   MetricKind = "histogram"
)

// Metric is a measurement of a worker. No metric has a label that names a customer: ten thousand of
// them would be ten thousand series of each.
type Metric struct {
	Instrument string // the name under which it is recorded
	Kind       MetricKind
	Labels     []string // each takes few values
	Is         string   // what is measured, for whoever reads it in Prometheus
}

// Name is the metric's in Prometheus.
func (m Metric) Name() string {
	switch m.Kind {
	case Counter:
		return m.Instrument + "_total"
	case Timer:
		return m.Instrument + "_seconds"
	default:
		return m.Instrument
	}
}

// Names under which metrics are recorded; Metrics says of each what it is.
const (
	MetricFreeze          = "drover_freeze"
	MetricFreezePredicted = "drover_freeze_predicted"
	MetricStall           = "drover_stall"
	MetricMoves           = "drover_moves"
	MetricVerdicts        = "drover_verdicts"
	MetricLag             = "drover_replication_lag_seconds"
	MetricLagBytes        = "drover_replication_lag_bytes"
	MetricMeasured        = "drover_replication_measured_timestamp_seconds"
	MetricReplicated      = "drover_replicated_bytes"
	MetricAWSCall         = "drover_aws_call_duration"
	MetricAWSRetries      = "drover_aws_retries"
	MetricCustomers       = "drover_customers"
	MetricBatches         = "drover_batches"
	MetricDatasets        = "drover_datasets"
	MetricPaused          = "drover_plan_paused"
	MetricStatusRead      = "drover_status_read"
	MetricMessages        = "drover_messages"
)

// Values of labels that no other type names.
const (
	MoverDisks    = "disks"
	MoverFiles    = "files"
	MoverPostgres = "postgres"

	DuringBake = "bake"
	DuringSoak = "soak"

	MessageDelivered = "delivered" // its receiver has acknowledged it
	MessageFailed    = "failed"    // it is tried again
	MessageRefused   = "refused"   // trying again does not help
)

// Metrics are all that Drover measures itself, in the order of docs/metrics.md.
var Metrics = []Metric{
	{MetricFreeze, Timer, []string{"to"}, "How long neither side took a customer's writes, of Moves that arrived."},
	{MetricFreezePredicted, Timer, []string{"to"}, "What was predicted of the same freezes before their fences."},
	{MetricStall, Timer, []string{"to"}, "How long a customer may have waited for an answer: from the fence until its route followed, of " +
		"Moves whose route was set."},
	{MetricMoves, Counter, []string{"to", "outcome"}, "Tries of Moves that have ended; repaired: the Move did not say how."},
	{MetricVerdicts, Counter, []string{"during", "outcome"}, "Verdicts over customers on AWS: one for each bake, and one for each look " +
		"in a soak."},
	{MetricLag, Gauge, []string{"plan", "dataset", "to"}, "How far a database is behind towards a side, by the last beat that arrived."},
	{MetricLagBytes, Gauge, []string{"plan", "dataset", "to"}, "WAL that the database on that side has not confirmed."},
	{MetricMeasured, Gauge, []string{"plan", "dataset"}, "When this worker last measured the lag of a database, both ways, in Unix time."},
	{MetricReplicated, Counter, []string{"plan", "mover", "to"}, "Bytes brought to a side: blocks of disks, files, and of databases the " +
		"changes that were decoded for the other side."},
	{MetricAWSCall, Timer, []string{"service", "operation", "result"}, "Calls to AWS, with all their attempts, until the head " +
		"of the answer."},
	{MetricAWSRetries, Counter, []string{"service", "operation"}, "Attempts at calls to AWS after the first."},
	{MetricMessages, Counter, []string{"plan", "channel", "result"}, "Tries of messages by the plan's channels: delivered, failed (and " +
		"tried again) or refused (for good)."},
	{MetricCustomers, Gauge, []string{"plan", "batch", "state"}, "Customers of a running plan by where they stand."},
	{MetricBatches, Gauge, []string{"plan", "phase", "waiting_for"}, "Batches of a running plan by phase and by what they wait for."},
	{MetricDatasets, Gauge, []string{"plan", "phase"}, "Datasets of a running plan by phase."},
	{MetricPaused, Gauge, []string{"plan"}, "Whether a running plan is paused: 1, or 0."},
	{MetricStatusRead, Gauge, nil, "Whether the running plans could be read at this scrape: 1, or 0."},
}
