package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/migration"
)

// Probes ask a router of the user's own, and what the plan says is behind it on premises.
func TestProbesReachWhatARouterOfOnesOwnHasBehindIt(t *testing.T) {
	route := migration.Route{Name: "edge", Hook: &migration.HookRoute{Listener: "arn", Front: "https://edge.dc1.example.net",
		Workloads: map[string]string{"web": "http://10.0.0.10:8080"}}}
	b := backends{}
	front, err := b.Front(t.Context(), migration.Target{}, route, "acme.example.com")
	require.NoError(t, err)
	require.Equal(t, health.Endpoint{Address: "edge.dc1.example.net:443", HTTPS: true, Healthy: true}, front)
	behind, err := b.Behind(t.Context(), "shop", migration.Target{}, route, migration.Workload{Name: "web"}, migration.OnPrem)
	require.NoError(t, err)
	require.Equal(t, []health.Endpoint{{Address: "10.0.0.10:8080", Healthy: true}}, behind)
	none, err := b.Behind(t.Context(), "shop", migration.Target{}, route, migration.Workload{Name: "api"}, migration.OnPrem)
	require.NoError(t, err)
	require.Empty(t, none)
}
