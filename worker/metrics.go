package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	temporalclient "go.temporal.io/sdk/client"
	temporalotel "go.temporal.io/sdk/contrib/opentelemetry"

	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/migration"
)

// seconds are the buckets of every histogram, all of which are of durations. They are close
// together where freezes and their budgets lie, from 50 ms to 10 s.
var seconds = []float64{.005, .01, .025, .05, .1, .25, .5, .75, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 30, 60, 300, 1800}

// metrics are the measurements of a worker process, by Prometheus' conventions: Temporal's SDK
// names its own temporal_*, those of Drover are migration.Metrics.
type metrics struct {
	registry *prometheus.Registry
	handler  temporalotel.MetricsHandler
}

func newMetrics(log hclog.Logger) (*metrics, error) {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(m.registry), otelprometheus.WithoutScopeInfo(),
		otelprometheus.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("collect metrics: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithView(views()))
	m.handler = temporalotel.NewMetricsHandler(temporalotel.MetricsHandlerOptions{Meter: provider.Meter("drover"),
		UseMonotonicCounters: true,
		OnError:              func(err error) { log.Warn("a metric is not collected", "why", err) }})
	return m, nil
}

// views give every histogram its buckets, and each of Drover's metrics its words and its labels:
// Temporal's handlers add the workflow, the queue and more to whatever is recorded through them.
func views() sdkmetric.View {
	ours := map[string]migration.Metric{}
	for _, m := range migration.Metrics {
		ours[m.Instrument] = m
	}
	return func(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
		s := sdkmetric.Stream{Name: i.Name, Description: i.Description, Unit: i.Unit}
		if i.Kind == sdkmetric.InstrumentKindHistogram {
			s.Aggregation = sdkmetric.AggregationExplicitBucketHistogram{Boundaries: seconds}
		}
		if m, ok := ours[i.Name]; ok {
			keys := make([]attribute.Key, len(m.Labels))
			for n, label := range m.Labels {
				keys[n] = attribute.Key(label)
			}
			s.Description, s.AttributeFilter = m.Is, attribute.NewAllowKeysFilter(keys...)
		}
		return s, true
	}
}

// called records a call to AWS.
func called(to temporalclient.MetricsHandler) func(awsconf.Call) {
	return func(c awsconf.Call) {
		of := to.WithTags(map[string]string{"service": c.Service, "operation": c.Operation})
		of.WithTags(map[string]string{"result": string(c.Result)}).Timer(migration.MetricAWSCall).Record(c.Took)
		if c.Retries > 0 {
			of.Counter(migration.MetricAWSRetries).Inc(int64(c.Retries))
		}
	}
}

// serve answers GET /metrics at address until the function that it gives is called.
func (m *metrics) serve(ctx context.Context, address string, log hclog.Logger) (func(), error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve metrics at %q (--metrics-listen takes HOST:PORT): %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(zeros{m.registry}, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "why", err)
		}
	}()
	log.Info("metrics", "at", "http://"+listener.Addr().String()+"/metrics")
	return func() { _ = server.Close() }, nil
}
