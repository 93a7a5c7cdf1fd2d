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
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	temporalotel "go.temporal.io/sdk/contrib/opentelemetry"
)

// seconds are the buckets of every histogram, all of which are of durations. They are close
// together where freezes and their budgets lie, from 50 ms to 10 s.
var seconds = []float64{.005, .01, .025, .05, .1, .25, .5, .75, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 30, 60, 300, 1800}

// metrics are the measurements of a worker process, by Prometheus' conventions: Temporal's SDK
// names its own temporal_*, workflows name theirs drover_*.
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
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Kind: sdkmetric.InstrumentKindHistogram},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: seconds}})))
	m.handler = temporalotel.NewMetricsHandler(temporalotel.MetricsHandlerOptions{Meter: provider.Meter("drover"),
		UseMonotonicCounters: true,
		OnError:              func(err error) { log.Warn("a metric is not collected", "why", err) }})
	return m, nil
}

// serve answers GET /metrics at address until the function that it gives is called.
func (m *metrics) serve(ctx context.Context, address string, log hclog.Logger) (func(), error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve metrics at %q (--metrics-listen takes HOST:PORT): %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "why", err)
		}
	}()
	log.Info("metrics", "at", "http://"+listener.Addr().String()+"/metrics")
	return func() { _ = server.Close() }, nil
}
