package worker

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
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

	to := m.handler.WithTags(map[string]string{"to": "aws"})
	to.Timer("drover_freeze").Record(600 * time.Millisecond)
	to.WithTags(map[string]string{"outcome": "done"}).Counter("drover_moves").Inc(2)
	m.handler.Counter("temporal_request").Inc(1)

	body := read()
	for _, line := range []string{
		`drover_freeze_seconds_bucket{to="aws",le="0.5"} 0`,
		`drover_freeze_seconds_bucket{to="aws",le="0.75"} 1`,
		`drover_freeze_seconds_sum{to="aws"} 0.6`,
		`drover_moves_total{outcome="done",to="aws"} 2`,
		`temporal_request_total 1`,
		`# TYPE drover_moves_total counter`,
	} {
		require.Contains(t, body, line+"\n")
	}
	require.Contains(t, body, "process_resident_memory_bytes ")
}

func TestAnAddressThatCannotServeMetricsIsRefusedAtTheStart(t *testing.T) {
	err := Serve(t.Context(), Options{Metrics: "nowhere", Log: hclog.NewNullLogger()}, nil)
	require.ErrorContains(t, err, `serve metrics at "nowhere" (--metrics-listen takes HOST:PORT)`)
}
