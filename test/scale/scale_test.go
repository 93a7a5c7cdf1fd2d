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

// A tenth of the plan that the goals are of. Ten of its customers are not healthy on AWS while they
// bake, and one is not while it soaks.
const (
	customers = 1000
	shape     = "1000/10"
	sick      = 11
)

// What a customer may cost, counted: a slow machine changes little about it. It costs ten tasks of
// its own, three of its Move, three of its batch, and five activities; a fifth more is for calls
// that fail and for work that the killed worker leaves behind.
const (
	mostTasks      = 21.0 // workflow tasks of all workflows
	mostOfCustomer = 12.5 // of Customer
	mostOfMove     = 3.6  // of a Move
	mostActivities = 5.6
)

// found is as much of the bench's results as is asserted. The bench itself fails where a customer
// is not where its data and its route say, where two sides are open, and where a history is longer
// than 10,000 events or 10 MB.
type found struct {
	MaxEvents map[string]int64 `json:"max_events"`
	MaxBytes  map[string]int64 `json:"max_bytes"`
	Runs      map[string]struct {
		OnAWS      int              `json:"on_aws"`
		RolledBack int              `json:"rolled_back"`
		Held       int              `json:"held"`
		Killed     bool             `json:"killed"`
		Work       map[string]int64 `json:"work"`
		Histories  map[string]struct {
			Runs  int            `json:"runs"`
			Kinds map[string]int `json:"kinds"`
		} `json:"histories"`
	} `json:"runs"`
}

// The bench is built without the race detector: it would cost minutes, and workflows and workers
// have tests of their own below it.
func TestAThousandCustomersLoseNothingWithAWorkerAndCostWhatTheyMay(t *testing.T) {
	tools := tooltest.Dir(t, "bin/temporal")
	dir := t.TempDir()
	bin, out := filepath.Join(dir, "bench"), filepath.Join(dir, "scale.json")
	built, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../bench/scale").CombinedOutput()
	require.NoError(t, err, string(built))
	said, err := exec.CommandContext(t.Context(), bin, "-tools", tools, "-out", out,
		"-shapes", shape, "-workers", "2", "-kinds", "-soak", "20s", "-window", "0").CombinedOutput()
	t.Log(string(said))
	require.NoError(t, err)
	raw, err := os.ReadFile(out)
	require.NoError(t, err)
	var f found
	require.NoError(t, json.Unmarshal(raw, &f))
	m := f.Runs[shape]
	require.Equal(t, customers, m.OnAWS+m.RolledBack+m.Held)
	require.GreaterOrEqual(t, m.RolledBack+m.Held, sick)
	require.LessOrEqual(t, m.Held, 5, "those of whom all tries failed by the one call in a hundred")
	require.True(t, m.Killed)
	require.Positive(t, m.Work["worker-1"])
	require.Positive(t, m.Work["worker-2"])
	for _, name := range []string{"Migration", "Batch", "Customer", "Move", "Replication", "Workload", "Preflight"} {
		require.Positive(t, f.MaxEvents[name], name)
		require.Positive(t, f.MaxBytes[name], name)
	}

	const task, activity = "WorkflowTaskCompleted", "ActivityTaskStarted"
	var tasks, activities int
	for _, h := range m.Histories {
		tasks += h.Kinds[task]
		activities += h.Kinds[activity]
	}
	of := func(what string, n, among int, most float64) {
		got := float64(n) / float64(among)
		t.Logf("%s: %.2f, of %.1f at most", what, got, most)
		require.Positive(t, n, what)
		require.LessOrEqual(t, got, most, what)
	}
	of("workflow tasks a customer", tasks, customers, mostTasks)
	of("of its own workflow", m.Histories["Customer"].Kinds[task], customers, mostOfCustomer)
	of("of a Move", m.Histories["Move"].Kinds[task], m.Histories["Move"].Runs, mostOfMove)
	of("activities a customer", activities, customers, mostActivities)
}
