package worker

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/stretchr/testify/require"
)

// ofSchema reads a dashboard by the types that Grafana generates from its own schema, and says what
// of panels and their options it does not know, or misses.
func ofSchema(text []byte) string {
	known := cog.NewRuntime()
	known.RegisterPanelcfgVariant(stat.VariantConfig())
	known.RegisterPanelcfgVariant(timeseries.VariantConfig())
	known.RegisterDataqueryVariant(prometheus.VariantConfig())
	//nolint:staticcheck // version 1 of the schema is what the dashboard is written in
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(text); err != nil {
		return err.Error() // one without words is none
	}
	return ""
}

// Whether a panel has something to show is test/telemetry's question.
func TestTheDashboardIsWhatGrafanasSchemaSays(t *testing.T) {
	text, err := os.ReadFile("../docs/grafana/drover.json")
	require.NoError(t, err)
	require.Empty(t, ofSchema(text))
	for was, is := range map[string]string{`"graphMode"`: `"graphMood"`, `"fieldConfig"`: `"fields"`, `"gridPos"`: `"place"`} {
		require.Contains(t, string(text), was)
		require.NotEmpty(t, ofSchema(bytes.ReplaceAll(text, []byte(was), []byte(is))), "%s is no key of Grafana's", is)
	}

	var d struct {
		Panels []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		at := p.GridPos
		require.LessOrEqual(t, at.X+at.W, 24, "panel %q is wider than the page", p.Title)
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				require.Empty(t, taken[[2]int{x, y}], "panel %q lies over another", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
