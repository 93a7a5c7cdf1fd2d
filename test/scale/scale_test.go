package scale

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
)

// A plan that is through in a minute or two on two cores. Its 25th customer is not healthy on
// AWS.
const (
	customers = 30
	shape     = "30/2"
)

// found is as much of the bench's results as is asserted; the bench itself fails where a customer
// is not where its data says, a history is too long, or a soak asks for too much.
type found struct {
	MaxEvents map[string]int64 `json:"max_events"`
	MaxBytes  map[string]int64 `json:"max_bytes"`
	Runs      map[string]struct {
		OnAWS      int              `json:"on_aws"`
		RolledBack int              `json:"rolled_back"`
		Held       int              `json:"held"`
		Killed     bool             `json:"killed"`
		Work       map[string]int64 `json:"work"`
	} `json:"runs"`
}

// The bench is built without the race detector: it would cost minutes, and workflows and workers
// have tests of their own below it.
func TestAKilledWorkerLosesNobody(t *testing.T) {
	tools := tooltest.Dir(t, "bin/temporal")
	dir := t.TempDir()
	bin, out := filepath.Join(dir, "bench"), filepath.Join(dir, "scale.json")
	built, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../bench/scale").CombinedOutput()
	require.NoError(t, err, string(built))
	said, err := exec.CommandContext(t.Context(), bin, "-tools", tools, "-out", out,
		"-shapes", shape, "-workers", "2", "-soak", "20s", "-window", "0").CombinedOutput()
	t.Log(string(said))
	require.NoError(t, err)
	raw, err := os.ReadFile(out)
	require.NoError(t, err)
	var f found
	require.NoError(t, json.Unmarshal(raw, &f))
	m := f.Runs[shape]
	require.Equal(t, customers, m.OnAWS+m.RolledBack+m.Held)
	require.InDelta(t, customers-1, m.OnAWS, 3, "all who are healthy there, unless they are held after three tries")
	require.Positive(t, m.RolledBack+m.Held, "one is not healthy while it bakes")
	require.True(t, m.Killed)
	require.Positive(t, m.Work["worker-1"])
	require.Positive(t, m.Work["worker-2"])
	for _, name := range []string{"Migration", "Batch", "Customer", "Move", "Replication", "Workload", "Preflight"} {
		require.Positive(t, f.MaxEvents[name], name)
		require.Positive(t, f.MaxBytes[name], name)
	}
}
