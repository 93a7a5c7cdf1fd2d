// Package measured reads what workflows record as metrics. It is for tests only.
package measured

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	temporalotel "go.temporal.io/sdk/contrib/opentelemetry"
)

// Metrics are what was recorded with Handler, which a test suite takes.
type Metrics struct {
	Handler temporalotel.MetricsHandler
	reader  *sdkmetric.ManualReader
}

// New has nothing yet.
func New() *Metrics {
	reader := sdkmetric.NewManualReader()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("drover")
	return &Metrics{temporalotel.NewMetricsHandler(temporalotel.MetricsHandlerOptions{Meter: meter, UseMonotonicCounters: true}), reader}
}

// Of adds up what an instrument recorded with these labels, given as key, value, key, value: the
// sum of a counter, how often a timer was recorded, and the seconds of all its recordings.
func (m *Metrics) Of(t *testing.T, instrument string, labels ...string) (n int64, seconds float64) {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, m.reader.Collect(context.Background(), &all))
	has := func(s attribute.Set) bool {
		for i := 0; i < len(labels); i += 2 {
			if v, ok := s.Value(attribute.Key(labels[i])); !ok || v.AsString() != labels[i+1] {
				return false
			}
		}
		return true
	}
	for _, scope := range all.ScopeMetrics {
		for _, metric := range scope.Metrics {
			if metric.Name != instrument {
				continue
			}
			switch d := metric.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					if has(p.Attributes) {
						n += p.Value
					}
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					if has(p.Attributes) {
						n, seconds = n+int64(p.Count), seconds+p.Sum //nolint:gosec // a test records a few
					}
				}
			default:
				require.Failf(t, "no counter and no timer", "%s is a %T", instrument, d)
			}
		}
	}
	return n, seconds
}
