package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const scaleResults = `{
  "wall_s": 640, "one_more_cpu_ms": {"100": 150, "10000": 120.4},
  "runs": {
    "10000/100": {"customers": 10000, "batches": 100, "workers": 2, "wall_s": 640, "worker_cpu_s": 300, "server_cpu_s": 900,
      "soak_activities_per_s": 7.25, "soak_cpu": 0.2, "status_p50_ms": 20, "status_p99_ms": 150, "database_bytes": 1073741824,
      "worker_peak_bytes": 536870912, "server_peak_bytes": 2147483648, "histories": {"Batch": {"runs": 300, "events": 4200, "bytes": 1048576}}},
    "100/1": {"customers": 100, "batches": 1, "workers": 1, "wall_s": 90, "unfinished": "its time of 1m30s is over", "histories": {"Move": {"runs": 101, "events": 43, "bytes": 13312}}}
  },
  "missed": ["10000 customers in 100 batches: 640 s, of 600 at most"]
}`

func TestThePageHasARowForEachPlanTheSmallestFirst(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "scale.json"), []byte(scaleResults), 0o600))
	out := filepath.Join(dir, "performance.md")
	require.NoError(t, run(dir, out))
	page, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Contains(t, string(page), "## Ten thousand customers\n\n`make test-scale`\n")
	require.Regexp(t, `(?s)\| 100 \| 1 \| 1 \| not in 90 \|.*\| 10000 \| 100 \| 2 \| 640 \| 300 \| 900 \| 7.2 \| 0.20 \| 20 \| 150 \| `+
		`1024 \| 512 \| 2048 \|`, string(page))
	require.Contains(t, string(page),
		"| customers | Batch | Move |\n|---|---|---|\n| 100 | 0, 0 | 43, 13 |\n| 10000 | 4200, 1024 | 0, 0 |\n")
	require.Contains(t, string(page), "One more customer where there are 10000 takes 120 ms of CPU")
	require.Contains(t, string(page), "Goal missed: 10000 customers in 100 batches: 640 s, of 600 at most.")
}
