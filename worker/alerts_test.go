package worker

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// ofTemporal are the metrics of Temporal's SDK that dashboard and rules use.
var ofTemporal = []string{"temporal_activity_execution_failed_total", "temporal_activity_schedule_to_start_latency_seconds_bucket"}

// series are the names under which Prometheus keeps what a worker serves.
func series() map[string]bool {
	out := map[string]bool{}
	for _, name := range ofTemporal {
		out[name] = true
	}
	for _, m := range migration.Metrics {
		if m.Kind != migration.Timer {
			out[m.Name()] = true
			continue
		}
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			out[m.Name()+part] = true
		}
	}
	return out
}

// asked are the names in an expression: of metrics, and of what rules record.
var asked = regexp.MustCompile(`\b(drover:[a-z0-9_:]+|(?:drover|temporal)_[a-z0-9_]+)`)

// rules are the groups of a file of rules.
type rules struct {
	Groups []struct {
		Rules []struct {
			Record, Alert, Expr string
			Annotations         map[string]string
		}
	}
}

func readRules(t *testing.T) (r rules) {
	t.Helper()
	text, err := os.ReadFile("../docs/alerts/drover.rules.yml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &r))
	return r
}

func TestEveryMetricOfTheRulesAndTheDashboardExists(t *testing.T) {
	known := series()
	var exprs []string
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			exprs = append(exprs, r.Expr)
			if r.Record != "" {
				known[r.Record] = true
			}
		}
	}
	text, err := os.ReadFile("../docs/grafana/drover.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Query any }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	for _, p := range dashboard.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, x := range p.Targets {
			exprs = append(exprs, x.Expr)
		}
	}
	for _, v := range dashboard.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			exprs = append(exprs, q["query"].(string))
		}
	}
	used := map[string]bool{}
	for _, x := range exprs {
		names := asked.FindAllString(x, -1)
		require.NotEmpty(t, names, x)
		for _, name := range names {
			require.True(t, known[name], "%s, in: %s", name, x)
			used[name] = true
		}
	}
	for _, name := range ofTemporal {
		require.True(t, used[name], "%s is not used any more", name)
	}
}

func TestEveryAlertSaysWhereItsEntryOfTheRunbookIs(t *testing.T) {
	book, err := os.ReadFile("../docs/runbook.md")
	require.NoError(t, err)
	entries := map[string]bool{}
	for line := range strings.Lines(string(book)) {
		if name, ok := strings.CutPrefix(line, "### Drover"); ok {
			entries["Drover"+strings.TrimSpace(name)] = true
		}
	}
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			require.True(t, entries[r.Alert], "docs/runbook.md has no entry for %s", r.Alert)
			require.Equal(t, "docs/runbook.md#"+strings.ToLower(r.Alert), r.Annotations["runbook"])
			require.NotEmpty(t, r.Annotations["summary"])
			delete(entries, r.Alert)
		}
	}
	require.Empty(t, entries, "of alerts that are gone")
}
