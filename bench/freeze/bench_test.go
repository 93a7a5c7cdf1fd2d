package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
)

// A short selection: every customer comes home, and each number of the results is one.
func TestTheBenchMeasuresBothWays(t *testing.T) {
	out := filepath.Join(t.TempDir(), "freeze.json")
	require.NoError(t, run(t.Context(), tooltest.Dir(t, "bin/temporal", "pg/bin/postgres"), out, "1,3", 3))
	raw, err := os.ReadFile(out)
	require.NoError(t, err)
	var found results
	require.NoError(t, json.Unmarshal(raw, &found))
	require.Len(t, found, 2)
	for _, ways := range found {
		for _, way := range []string{"out", "back"} {
			w := ways[way]
			require.Equal(t, 3, w.N)
			for _, ms := range []float64{w.P50, w.P99, w.BareP50, w.BareP99, w.Steps["fence"], w.Steps["mark"], w.Steps["drain"],
				w.Steps["seal"], w.Steps["open"]} {
				require.Positive(t, ms, "%+v", w)
			}
			require.LessOrEqual(t, w.P50, w.P99)
		}
	}
}
