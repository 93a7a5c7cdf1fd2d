package telemetry

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
)

// settleLimit is far more than a Move, its bake and the next batch of spans take.
const settleLimit = 90 * time.Second

func eventually(ok func() bool) bool {
	for deadline := time.Now().Add(settleLimit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

func TestAMoveIsFollowedInTracesMetricsAndLogs(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	tools, bin := tooltest.Dir(t, "bin/temporal", "pg/bin/postgres"), tooltest.Binaries(t)
	shape := lab.SmallShape(1)
	shape.Tells = true
	l, err := lab.Start(ctx, lab.Options{Shape: shape, Tools: tools, Dir: filepath.Join(t.TempDir(), "lab"),
		Self: filepath.Join(bin, "lab")})
	require.NoError(t, err)
	t.Cleanup(l.Close)
	c, err := l.Client(ctx)
	require.NoError(t, err)
	require.NoError(t, c.EnsureSearchAttributes(ctx, "default"))

	spans := startReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+spans.address)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
	drover := filepath.Join(bin, "drover")
	_, err = l.StartWorker("worker", drover, "", "--site", "dc1", "--metrics-listen", "127.0.0.1:0", "--log-level", "debug")
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.WorkerLog(40))
		}
	})
	var at string
	require.True(t, eventually(func() bool {
		at = regexp.MustCompile(`http://\S+/metrics`).FindString(l.WorkerLog(1 << 20))
		return at != ""
	}), "the worker does not say where its metrics are")
	since := time.Now()
	prometheus := startPrometheus(ctx, t, at)
	submit := exec.CommandContext(ctx, drover, "submit", l.Plan, "--by", "lead")
	submit.Env = l.Environ()
	out, err := submit.CombinedOutput()
	require.NoError(t, err, string(out))

	customer := l.Shape.Customers()[0]
	require.True(t, eventually(func() bool {
		s, err := c.Customer(ctx, l.Shape.Name, customer.ID)
		return err == nil && s.Phase == migration.CustomerSoaking
	}), "the customer does not come to soak")

	t.Run("a trace", func(t *testing.T) { followed(t, spans, customer.ID) })
	t.Run("no secret and no tenant's data in it", func(t *testing.T) { silent(t, spans, l) })
	t.Run("metrics", func(t *testing.T) { measured(t, at) })
	if prometheus != nil {
		t.Run("the first Move is an increase", func(t *testing.T) { increased(t, prometheus) })
		t.Run("who counts requests is asked", func(t *testing.T) { asked(t, prometheus, since) })
		t.Run("every panel of the dashboard", func(t *testing.T) { shown(t, prometheus, l.Shape.Name) })
		t.Run("the rules", func(t *testing.T) { evaluated(t, prometheus) })
	}
	t.Run("logs", func(t *testing.T) { logged(t, l, customer.ID, spans) })
}

// followed looks for one Move's trace from its workflow down to SQL and AWS.
func followed(t *testing.T, spans *receiver, customer string) {
	const workflow = "RunWorkflow:Move"
	below := map[string][]string{ // the last of a lineage, and what must lie above it
		"SELECT drover.fence":    {"RunActivity:FreezeCustomer", "StartActivity:FreezeCustomer", workflow},
		"SELECT drover.seal":     {"RunActivity:FreezeCustomer", "StartActivity:FreezeCustomer", workflow},
		"SELECT drover.open":     {"RunActivity:FreezeCustomer", "StartActivity:FreezeCustomer", workflow},
		workflow:                 {"StartChildWorkflow:Move"},
		"S3.":                    {"RunActivity:FreezeCustomer", "StartActivity:FreezeCustomer", workflow},
		"Elastic Load Balancing": {"StartActivity:", workflow},
	}
	has := func() (missing []string) {
		trace := spans.move(customer)
		for name, above := range below {
			found := slices.ContainsFunc(slices.Collect(valuesOf(trace)), func(s span) bool {
				if !strings.HasPrefix(s.GetName(), name) {
					return false
				}
				line := lineage(trace, s)
				for _, want := range above {
					if !slices.ContainsFunc(line, func(n string) bool { return strings.HasPrefix(n, want) }) {
						return false
					}
				}
				return line[len(line)-1] == "StartChildWorkflow:Move"
			})
			if !found {
				missing = append(missing, name)
			}
		}
		return missing
	}
	var missing []string
	if !eventually(func() bool { missing = has(); return len(missing) == 0 }) {
		var names []string
		for _, s := range spans.move(customer) {
			names = append(names, strings.Join(lineage(spans.move(customer), s), " < "))
		}
		slices.Sort(names)
		require.Failf(t, "the trace is not whole", "missing: %q\nhas:\n%s", missing, strings.Join(names, "\n"))
	}
	for _, s := range spans.move(customer) {
		require.Equal(t, "drover-worker", s.service)
		if s.GetName() == workflow {
			require.Equal(t, "1", s.attribute("drover.token"))
			require.NotEmpty(t, s.attribute("drover.plan"))
		}
	}
	require.Less(t, len(spans.move(customer)), 300, "a Move is a trace, and not the whole migration")
	for _, s := range spans.all() {
		for _, w := range []string{"Migration", "Batch", "Customer", "Replication", "Workload"} {
			require.NotEqual(t, "RunWorkflow:"+w, s.GetName(), "it lives for weeks")
		}
	}
}

func valuesOf(m map[string]span) func(func(span) bool) {
	return func(yield func(span) bool) {
		for _, s := range m {
			if !yield(s) {
				return
			}
		}
	}
}

// silent looks for secrets, statements and words of errors in all spans that came.
func silent(t *testing.T, spans *receiver, l *lab.Lab) {
	said := spans.said()
	require.Contains(t, said, "SELECT drover.fence")
	env := l.Env()
	dsn, err := url.Parse(env["ORDERS_ONPREM"])
	require.NoError(t, err)
	password, _ := dsn.User.Password()
	for _, secret := range []string{password, env["AWS_SECRET_ACCESS_KEY"], env["VSPHERE"], "clock_timestamp()", "$1", "INSERT INTO",
		"exception.message"} {
		require.NotEmpty(t, secret)
		require.NotContains(t, said, secret)
		require.NotContains(t, said, strings.Trim(strconv.Quote(secret), `"`), "as JSON has it")
	}
	for _, s := range spans.all() {
		require.Empty(t, s.GetStatus().GetMessage(), s.GetName())
		require.Empty(t, s.GetEvents(), s.GetName())
	}
}

// measured holds what Prometheus finds against the table of metrics.
func measured(t *testing.T, at string) {
	table := map[string]migration.Metric{}
	for _, m := range migration.Metrics {
		table[m.Name()] = m
	}
	rare := map[string]bool{"drover_aws_retries_total": true} // only where a call fails
	var missing []string
	require.True(t, eventually(func() bool {
		res, err := http.Get(at)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		require.NoError(t, err)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
		require.NoError(t, err)
		missing = nil
		for name := range table {
			if families[name] == nil && !rare[name] {
				missing = append(missing, name)
			}
		}
		for _, name := range []string{"temporal_activity_schedule_to_start_latency_seconds"} { // which dashboard and rules use
			if families[name] == nil {
				missing = append(missing, name)
			}
		}
		for name, f := range families {
			if !strings.HasPrefix(name, "drover_") {
				continue
			}
			require.Contains(t, table, name, "it is not in the table of metrics")
			for _, m := range f.GetMetric() {
				for _, label := range m.GetLabel() {
					require.Contains(t, table[name].Labels, label.GetName(), name)
				}
			}
		}
		return len(missing) == 0
	}), "never served: %q", missing)
}

// logged wants lines about the customer and about its Move that say what they are of, and those of
// the Move its trace.
func logged(t *testing.T, l *lab.Lab, customer string, spans *receiver) {
	traces := map[string]bool{}
	for _, s := range spans.move(customer) {
		traces[s.trace()] = true
	}
	require.Len(t, traces, 1)
	seen := map[string]bool{}
	for line := range strings.Lines(l.WorkerLog(1 << 20)) {
		has := map[string]string{}
		for _, pair := range regexp.MustCompile(`(\w+)=(\S+)`).FindAllStringSubmatch(line, -1) {
			has[pair[1]] = pair[2]
		}
		kind, _, _ := strings.Cut(has["WorkflowID"], "/")
		if has["plan"] != l.Shape.Name || has["customer"] != customer {
			require.False(t, kind == "customer" || kind == "move", "it does not say whose it is: %s", line)
			continue
		}
		if seen[kind] = true; kind == "move" && has["TraceID"] != "" {
			require.True(t, traces[has["TraceID"]], "another trace: %s", line)
			require.Equal(t, "1", has["token"], line)
			seen["trace"] = true
		}
	}
	require.Equal(t, map[string]bool{"customer": true, "move": true, "trace": true}, seen)
}
