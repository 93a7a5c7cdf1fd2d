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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
)

// every is how often the Prometheus of the test scrapes and evaluates. A scrape that takes longer
// is given up, and each asks Temporal where the plans stand, which a busy machine is slow to say.
const every = 5 * time.Second

// server is a Prometheus that scrapes a worker, with the rules of docs/alerts.
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
	config := fmt.Sprintf("global: {scrape_interval: %s, scrape_timeout: %s, evaluation_interval: %s}\nrule_files: [%q]\n"+
		"scrape_configs:\n  - {job_name: drover, static_configs: [{targets: [%q]}]}\n", every, every, every, rules,
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
	// From 0 on: what happens before the first scrape is no increase.
	require.True(t, eventually(func() bool {
		return slices.Equal(s.numbers(t, `sum(drover_moves_total) + sum(drover_freeze_seconds_count)`), []float64{0})
	}), "Prometheus has not seen the worker before anything happened")
	return s
}

// get reads an answer of Prometheus' API.
func (s *server) get(t *testing.T, path string, query url.Values, into any) {
	t.Helper()
	res, err := http.Get(s.url + path + "?" + query.Encode())
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, "%s %v: %s", path, query, answer.Error)
	require.NoError(t, json.Unmarshal(answer.Data, into))
}

// numbers asks for an expression as it stands now: what it gives that is a number.
func (s *server) numbers(t *testing.T, expr string) (out []float64) {
	t.Helper()
	var answer struct {
		Result []struct{ Value [2]any }
	}
	s.get(t, "/api/v1/query", url.Values{"query": {expr}}, &answer)
	for _, r := range answer.Result {
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
// chosen and an hour shown, and wants a number of each, and the plan among those to choose from.
func shown(t *testing.T, s *server, plan string) {
	text, err := os.ReadFile("../../docs/grafana/drover.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query any
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	// Rates are of the whole test: what a panel shows may have happened once.
	fill := strings.NewReplacer("$plan", ".*", "$__rate_interval", "10m", "$__range", "1h")
	panels := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			panels++
			var got []float64
			has := func() bool { got = s.numbers(t, fill.Replace(target.Expr)); return len(got) > 0 }
			if calm[p.Title] != "" {
				has() // it can be asked
				continue
			}
			require.True(t, eventually(has), "panel %q shows nothing: %s", p.Title, target.Expr)
		}
	}
	require.Greater(t, panels, 20)
	choices := 0
	for _, v := range dashboard.Templating.List {
		q, is := v.Query.(map[string]any)
		if !is {
			continue // which Prometheus is asked
		}
		choices++
		of := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(q["query"].(string))
		require.NotNil(t, of, q["query"])
		var values []string
		require.True(t, eventually(func() bool {
			s.get(t, "/api/v1/label/"+of[2]+"/values", url.Values{"match[]": {of[1]}}, &values)
			return slices.Contains(values, plan)
		}), "%s is to be chosen from %q", v.Name, values)
	}
	require.Equal(t, 1, choices)
}

// increased wants the one Move to be one, in counters and histograms: they were seen at 0 before.
func increased(t *testing.T, s *server) {
	for _, expr := range []string{`sum(increase(drover_moves_total{to="aws", outcome="done"}[1h]))`,
		`sum(increase(drover_freeze_seconds_count{to="aws"}[1h]))`, `sum(increase(drover_stall_seconds_bucket{to="aws", le="+Inf"}[1h]))`} {
		var got []float64
		require.True(t, eventually(func() bool {
			got = s.numbers(t, expr)
			return len(got) == 1 && math.Abs(got[0]-1) < .5 // it is extended to the ends of its range
		}), "%s is %v", expr, got)
	}
}

// evaluated wants every rule of docs/alerts evaluated without an error, and what they record to be
// new.
func evaluated(t *testing.T, s *server) {
	text, err := os.ReadFile("../../docs/alerts/drover.rules.yml")
	require.NoError(t, err)
	want := regexp.MustCompile(`(?m)^ +- (?:alert|record): (\S+)$`).FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(want), 15)
	type rule struct {
		Name, Health, LastError string
		LastEvaluation          time.Time
	}
	var ill []rule
	require.True(t, eventually(func() bool {
		var answer struct{ Groups []struct{ Rules []rule } }
		s.get(t, "/api/v1/rules", nil, &answer)
		ill = nil
		known := map[string]bool{}
		for _, g := range answer.Groups {
			for _, r := range g.Rules {
				if known[r.Name] = true; r.Health != "ok" || time.Since(r.LastEvaluation) > time.Minute {
					ill = append(ill, r)
				}
			}
		}
		for _, w := range want {
			if !known[w[1]] {
				ill = append(ill, rule{Name: w[1], Health: "not loaded"})
			}
		}
		return len(ill) == 0
	}), "not evaluated: %+v", ill)
	require.True(t, eventually(func() bool {
		at := s.numbers(t, "max(timestamp(drover:replication_lag_seconds))")
		return len(at) == 1 && time.Since(time.Unix(int64(at[0]), 0)) < time.Minute
	}), "nothing new is recorded")
}

// asked has the engine that counts users' requests ask a real Prometheus, for what it knows.
func asked(t *testing.T, s *server, since time.Time) {
	by := func(query string) *migration.CountQuery {
		return &migration.CountQuery{Prometheus: &migration.PrometheusQuery{URL: s.url, Query: query}}
	}
	q := health.RequestsQuestion{Side: migration.AWS, From: since, To: time.Now()}
	q.Slice.Health.Requests = &migration.RequestQueries{
		Failed:  by(`sum(increase(drover_moves_total{to="{side}", outcome="done"}[{window}]))`),
		Retried: by(`sum(increase(drover_moves_total{to="{side}", outcome="nonsense"}[{window}])) or vector(0)`)}
	doctor := health.New(nil, nil, "")
	failed, retried := doctor.CountRequests(t.Context(), q)
	require.Equal(t, &migration.Count{N: 1}, failed)
	require.Equal(t, &migration.Count{}, retried)
	q.From, q.To = since.Add(-time.Hour), since // before there was anything
	failed, _ = doctor.CountRequests(t.Context(), q)
	require.Equal(t, "the query has no number for that time", failed.Why)
}
