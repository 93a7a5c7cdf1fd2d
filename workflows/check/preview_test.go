package check

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// What a name leads to is not known everywhere at once: that comes on top of a freeze.
func TestAPreviewCountsTheTTLOfNames(t *testing.T) {
	spec := &migration.Spec{Plan: "shop",
		Routes: []migration.Route{
			{Name: "public", ALB: &migration.ALB{Workloads: map[string]string{"web": "group"}}},
			{Name: "edge", Hook: &migration.HookRoute{Workloads: map[string]string{"tool": "http://10.0.0.1"}}},
			{Name: "names", Labels: map[string]string{"entry": "own"}, DNS: &migration.DNS{Zone: "Z1",
				TTL: migration.Duration(30 * time.Second), Workloads: map[string]migration.Named{"web": {}}}},
		},
		Datasets: []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{}}},
		Customers: []migration.Customer{
			{ID: "acme", Workloads: []string{"web"}, Datasets: []string{"orders"}},
			{ID: "birch", Workloads: []string{"web"}, Datasets: []string{"orders"}, Labels: map[string]string{"entry": "own"}},
			{ID: "cedar", Workloads: []string{"web"}, Labels: map[string]string{"entry": "own"}},
		},
		Batches: []migration.Batch{{Name: "all", Customers: []string{"acme", "birch", "cedar"}}},
	}
	v := &preview{spec: spec}
	require.Zero(t, v.late("acme"))
	require.Equal(t, migration.Duration(90*time.Second), v.late("birch"))
	require.Zero(t, v.late("cedar"), "both sides serve who has no data")
	v.steps()
	var steps []string
	for _, s := range v.report.Steps {
		steps = append(steps, s.Do+": "+s.To)
	}
	require.Subset(t, steps, []string{"record the rules as they stand: route public", "record what the names of its customers say: zone Z1",
		"put the workloads behind their listener on AWS: route names",
		"put the workloads behind their listener on AWS: route edge", "see that the router heeds conditions: route edge",
		"lower the TTL of the names of 2 customers, as early as the old one lasts, and put it back after the soak: batch all"})
}
