package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
)

// server is a Prometheus that scrapes a worker each second, with the rules of docs/alerts.
type server struct{ url string }

// startPrometheus starts one; nil where this machine has none, which CI's must.
func startPrometheus(ctx context.Context, t *testing.T, worker string) *server {
	t.Helper()
	binary := tooltest.Path("bin/prometheus")
	if _, err := os.Stat(binary); err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "there is no %s: tools/setup.py promtool brings it", binary)
		t.Logf("LEFT OUT: the dashboard is not asked for: %v", err)
		return nil
	}
	rules, err := filepath.Abs("../../docs/alerts/drover.rules.yml")
	require.NoError(t, err)
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n"+
		"  - {job_name: drover, static_configs: [{targets: [%q]}]}\n", rules,
		strings.TrimPrefix(strings.TrimSuffix(worker, "/metrics"), "http://"))
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().String()
	require.NoError(t, l.Close())
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.CommandContext(ctx, binary, "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", at)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("Prometheus: %s", text[max(0, len(text)-2000):])
		}
	})
	s := &server{url: "http://" + at}
	require.True(t, eventually(func() bool {
		res, err := http.Get(s.url + "/-/ready")
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	}), "Prometheus is not ready")
	return s
}

// numbers asks for an expression as it stands now: what it gives that is a number.
func (s *server) numbers(t *testing.T, expr string) (out []float64) {
	t.Helper()
	res, err := http.Get(s.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, "%s: %s", expr, answer.Error)
	for _, r := range answer.Data.Result {
		v, err := strconv.ParseFloat(r.Value[1].(string), 64)
		require.NoError(t, err)
		if !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	return out
}

// calm are the titles of panels with nothing to show where all goes well, and why.
var calm = map[string]string{
	"Waits for somebody":                       "nobody has to approve anything here",
	"Retries of calls to AWS":                  "no call fails",
	"Activities that fail and are tried again": "none fails, or some do: the lab starts with it",
}

// shown asks a Prometheus for every panel of the Grafana dashboard, as Grafana would with all plans
// chosen and an hour shown, and wants a number of each.
func shown(t *testing.T, s *server) {
	text, err := os.ReadFile("../../docs/grafana/drover.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	// Rates are of the whole test: what a panel shows may have happened once.
	fill := strings.NewReplacer("$plan", ".*", "$__rate_interval", "10m", "$__range", "1h")
	asked := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			asked++
			var got []float64
			has := func() bool { got = s.numbers(t, fill.Replace(target.Expr)); return len(got) > 0 }
			// What happens once begins at one: a rate of it has nothing to compare that with.
			if calm[p.Title] != "" || strings.Contains(target.Expr, "rate(") {
				has() // it can be asked
				continue
			}
			require.True(t, eventually(has), "panel %q shows nothing: %s", p.Title, target.Expr)
		}
	}
	require.Greater(t, asked, 20)
}
