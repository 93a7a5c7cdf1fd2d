package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/internal/goldenfile"
	"github.com/drover-migration/drover/migration"
)

// served starts m on a free port and gives the function that reads it as Prometheus does.
func served(t *testing.T, m *metrics) func() string {
	t.Helper()
	var log bytes.Buffer
	stop, err := m.serve(t.Context(), "127.0.0.1:0", hclog.New(&hclog.LoggerOptions{Output: &log}))
	require.NoError(t, err)
	t.Cleanup(stop)
	url := regexp.MustCompile(`http://\S+/metrics`).FindString(log.String())
	require.NotEmpty(t, url, "the log names the address: %s", log.String())
	return func() string {
		answer, err := http.Get(url)
		require.NoError(t, err)
		defer func() { _ = answer.Body.Close() }()
		require.Equal(t, http.StatusOK, answer.StatusCode)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return string(body)
	}
}

func TestAWorkersMetricsHaveTheNamesThatPrometheusExpects(t *testing.T) {
	m, err := newMetrics(hclog.NewNullLogger())
	require.NoError(t, err)
	read := served(t, m)

	// As a workflow records: Temporal's handler has labels of its own.
	in := m.handler.WithTags(map[string]string{"namespace": "default", "workflow_type": "Customer", "task_queue": "drover"})
	to := in.WithTags(map[string]string{"to": "aws"})
	to.Timer(migration.MetricFreeze).Record(600 * time.Millisecond)
	to.WithTags(map[string]string{"outcome": "done"}).Counter(migration.MetricMoves).Inc(2)
	m.handler.WithTags(map[string]string{"operation": "Poll"}).Counter("temporal_request").Inc(1)
	m.handler.Timer("temporal_request_latency").Record(time.Second)

	body := read()
	for _, line := range []string{
		`drover_freeze_seconds_bucket{to="aws",le="0.5"} 0`,
		`drover_freeze_seconds_bucket{to="aws",le="0.75"} 1`,
		`drover_freeze_seconds_sum{to="aws"} 0.6`,
		`drover_moves_total{outcome="done",to="aws"} 2`,
		`temporal_request_total{operation="Poll"} 1`,
		`temporal_request_latency_seconds_bucket{le="0.75"} 0`,
		`# TYPE drover_moves_total counter`,
		`# HELP drover_freeze_seconds How long neither side took a customer's writes, of Moves that arrived.`,
	} {
		require.Contains(t, body, line+"\n")
	}
	require.Contains(t, body, "process_resident_memory_bytes ")
}

// An increase is seen from 0 on: the first customer that goes home has to raise the alarm that the
// tenth would.
func TestWhatHasNotHappenedYetIsServedAsZero(t *testing.T) {
	m, err := newMetrics(hclog.NewNullLogger())
	require.NoError(t, err)
	read := served(t, m)
	body := read()
	for _, line := range []string{`drover_moves_total{outcome="done",to="onprem"} 0`, `drover_moves_total{outcome="repaired",to="aws"} 0`,
		`drover_verdicts_total{during="soak",outcome="inconclusive"} 0`, `drover_freeze_seconds_bucket{to="aws",le="5"} 0`,
		`drover_freeze_seconds_bucket{to="aws",le="+Inf"} 0`, `drover_stall_seconds_count{to="onprem"} 0`} {
		require.Contains(t, body, line+"\n")
	}
	m.handler.WithTags(map[string]string{"to": "onprem", "outcome": "done"}).Counter(migration.MetricMoves).Inc(1)
	m.handler.WithTags(map[string]string{"to": "aws"}).Timer(migration.MetricFreeze).Record(time.Second)
	body = read()
	for _, line := range []string{`drover_moves_total{outcome="done",to="onprem"} 1`, `drover_moves_total{outcome="done",to="aws"} 0`,
		`drover_freeze_seconds_count{to="aws"} 1`, `drover_freeze_seconds_count{to="onprem"} 0`} {
		require.Equal(t, 1, strings.Count(body, line[:strings.LastIndex(line, " ")]+" "), line)
		require.Contains(t, body, line+"\n")
	}
}

// somePlans are plans that are read without a server.
type somePlans struct {
	list   []client.PlanSummary
	status map[string]migration.MigrationStatus
	err    error
}

func (p *somePlans) List(context.Context) ([]client.PlanSummary, error) { return p.list, p.err }

func (p *somePlans) Migration(_ context.Context, plan string) (migration.MigrationStatus, error) {
	s, ok := p.status[plan]
	if !ok {
		return s, fmt.Errorf("no worker answers for plan %s", plan)
	}
	return s, nil
}

func twoPlans() *somePlans {
	return &somePlans{
		list: []client.PlanSummary{{Plan: "shop", Execution: client.Running}, {Plan: "old", Execution: client.Completed}},
		status: map[string]migration.MigrationStatus{
			"shop": {Plan: "shop", Paused: true, Batches: []migration.BatchStatus{
				{Name: "canary", Phase: migration.BatchDone, WaitingFor: migration.WaitHealth,
					Counts: migration.Counts{Customers: 3, OnAWS: 2, Held: 1, Away: 2}},
				{Name: "rest", Phase: migration.BatchGate, WaitingFor: migration.WaitApproval,
					Counts: migration.Counts{Customers: 4, Waiting: 4}},
			}, Datasets: []migration.PieceStatus{{Name: "orders", Phase: migration.PieceReady},
				{Name: "files", Phase: migration.PieceReady}}},
			"old": {Plan: "old"},
		},
	}
}

func TestWhereTheRunningPlansStandIsAskedAtEachScrape(t *testing.T) {
	m, err := newMetrics(hclog.NewNullLogger())
	require.NoError(t, err)
	plans := twoPlans()
	m.registry.MustRegister(newStanding(plans, hclog.NewNullLogger()))
	read := served(t, m)
	body := read()
	for _, line := range []string{
		`drover_customers{batch="canary",plan="shop",state="on-aws"} 2`,
		`drover_customers{batch="canary",plan="shop",state="held"} 1`,
		`drover_customers{batch="canary",plan="shop",state="waiting"} 0`,
		`drover_customers{batch="rest",plan="shop",state="waiting"} 4`,
		`drover_batches{phase="gate",plan="shop",waiting_for="approval"} 1`,
		`drover_datasets{phase="ready",plan="shop"} 2`,
		`drover_plan_paused{plan="shop"} 1`,
		`drover_status_read 1`,
	} {
		require.Contains(t, body, line+"\n")
	}
	require.NotContains(t, body, `plan="old"`, "it does not run any more")

	plans.list = append(plans.list, client.PlanSummary{Plan: "deaf", Execution: client.Running})
	body = read()
	require.Contains(t, body, "drover_status_read 0\n")
	require.Contains(t, body, `drover_plan_paused{plan="shop"} 1`, "what can be read is there")
	require.NotContains(t, body, `plan="deaf"`)

	plans.err = errors.New("Temporal is down")
	body = read()
	require.Contains(t, body, "drover_status_read 0\n")
	require.NotContains(t, body, `plan="shop"`, "nothing is said that may have changed meanwhile")
}

// everything records each metric once, through what records it in a worker.
func everything(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	m, err := newMetrics(hclog.NewNullLogger())
	require.NoError(t, err)
	standing := newStanding(twoPlans(), hclog.NewNullLogger())
	m.registry.MustRegister(standing)
	called(m.handler)(awsconf.Call{Service: "S3", Operation: "GetObject", Result: awsconf.Done, Took: time.Second, Retries: 1})
	for _, x := range migration.Metrics {
		labels := map[string]string{"namespace": "default", "workflow_type": "Customer"}
		for _, l := range x.Labels {
			labels[l] = "some"
		}
		in := m.handler.WithTags(labels)
		switch _, asked := standing.descs[x.Instrument]; {
		case asked: // by the scrape
		case x.Kind == migration.Counter:
			in.Counter(x.Instrument).Inc(1)
		case x.Kind == migration.Timer:
			in.Timer(x.Instrument).Record(time.Second)
		default:
			in.Gauge(x.Instrument).Update(1)
		}
	}
	all, err := m.registry.Gather()
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(f *dto.MetricFamily) bool { return !strings.HasPrefix(f.GetName(), "drover_") })
}

func TestEveryMetricIsServedUnderTheNameAndWithTheLabelsThatItsTableSays(t *testing.T) {
	kinds := map[dto.MetricType]migration.MetricKind{dto.MetricType_COUNTER: migration.Counter, dto.MetricType_GAUGE: migration.Gauge,
		dto.MetricType_HISTOGRAM: migration.Timer}
	got := map[string]migration.Metric{}
	for _, f := range everything(t) {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		got[f.GetName()] = migration.Metric{Kind: kinds[f.GetType()], Labels: labels, Is: f.GetHelp()}
	}
	want := map[string]migration.Metric{}
	for _, m := range migration.Metrics {
		labels := slices.Clone(m.Labels)
		slices.Sort(labels)
		require.NotContains(t, labels, "customer")
		want[m.Name()] = migration.Metric{Kind: m.Kind, Labels: labels, Is: m.Is}
	}
	require.Equal(t, want, got)
}

func TestTheMetricsAreDocumentedAsTheyAreServed(t *testing.T) {
	help := map[string]string{}
	for _, f := range everything(t) {
		help[f.GetName()] = f.GetHelp()
	}
	var b strings.Builder
	b.WriteString(metricsIntro)
	for _, m := range migration.Metrics {
		labels := "none"
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name(), m.Kind, labels, help[m.Name()])
	}
	b.WriteString(metricsOutro)
	goldenfile.Equal(t, "../docs/metrics.md", b.String())
}

const metricsIntro = `# Metrics

<!-- Written by: UPDATE_GOLDEN=1 go test ./worker -run TestTheMetricsAreDocumented. Do not edit. -->

` + "`drover worker --metrics-listen HOST:PORT`" + ` serves Prometheus' ` + "`/metrics`" + `; without it nothing is measured. Scrape every worker, those of
sites too. Keep the address inside your network: it asks nobody who they are. No metric names a customer.

The dashboard is [grafana/drover.json](grafana/drover.json), the rules for alerts are [alerts/drover.rules.yml](alerts/drover.rules.yml);
[the runbook](runbook.md#alerts) says of each alert what to do.

| metric | kind | labels | is |
|---|---|---|---|
`

const metricsOutro = `
- ` + "`to`" + ` is the side that something moves towards, ` + "`aws` or `onprem`" + `; ` + "`mover` is `disks`, `files` or `postgres`" + `.
- What workflows and activities record is added up over the workers: ` + "`sum without (instance)`" + `. Where the running plans stand is the same at
  every main worker, which asks them at each scrape: take the largest.
- Moves, verdicts, freezes and stalls are served from the start, as 0, so that the first of each is an increase. Messages are so from their
  channel's first on, with all results.
- A lag that is not measured any more keeps its last value, since no beat arrives then. Look at
  ` + "`drover_replication_measured_timestamp_seconds`" + ` beside it; the rules do.
- The bytes of ` + "`postgres`" + ` are those of all changes in the database, before they are filtered by customer. The first copy of a table is not among
  them.
- ` + "`temporal_*`" + ` is what Temporal's SDK measures: ` + "`temporal_activity_execution_failed_total`" + ` has the failed tries of activities,
  ` + "`temporal_activity_schedule_to_start_latency_seconds`" + ` how long work waits for a worker.
`

func TestAnAddressThatCannotServeMetricsIsRefusedAtTheStart(t *testing.T) {
	err := Serve(t.Context(), Options{Metrics: "nowhere", Log: hclog.NewNullLogger()}, nil)
	require.ErrorContains(t, err, `serve metrics at "nowhere" (--metrics-listen takes HOST:PORT)`)
}
