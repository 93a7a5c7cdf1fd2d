package worker

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/migration"
)

// silent says nothing to anybody.
var silent = Telemetry{Metrics: temporalclient.MetricsNopHandler, Tracer: noop.NewTracerProvider().Tracer("")}

// names are the activities of structs, by the package that each is of.
func names(structs []any) map[string][]string {
	out := map[string][]string{}
	for _, s := range structs {
		t := reflect.TypeOf(s)
		of := strings.TrimPrefix(fmt.Sprint(t), "*")
		for m := range t.Methods() {
			out[of] = append(out[of], m.Name)
		}
		slices.Sort(out[of])
	}
	return out
}

// A site's worker needs no right to the load balancer, to machines or to roles: it has no client
// for them (siteClients), and its queues know no activity that asks them.
func TestAQueueKnowsTheActivitiesThatBelongToIt(t *testing.T) {
	log := hclog.NewNullLogger()
	site := newSystems(Options{Sites: []string{"dc1"}, Log: log}, nil, silent)
	t.Cleanup(site.close)
	require.Empty(t, site.main)
	next := names(site.site)
	require.ElementsMatch(t, []string{"postgres.Activities", "files.Activities", "freeze.Activities", "vsphere.Activities",
		"disks.Activities"}, keys(next))

	main := newSystems(Options{Main: true, Log: log}, nil, silent)
	t.Cleanup(main.close)
	require.Empty(t, main.site)
	require.ElementsMatch(t, []string{"state.Activities", "compute.Activities", "traffic.Activities",
		"health.Activities", "homes.Activities",
		"roll.Activities", "evidence.Activities", "notify.Activities", "hooks.Activities"},
		keys(names(main.main)))

	both := newSystems(Options{Main: true, Sites: []string{"dc1", "dc2"}, Log: log}, nil, silent)
	t.Cleanup(both.close)
	for _, q := range queues(Options{Main: true, Sites: []string{"dc1", "dc2"}}) {
		want := names(main.main)
		if strings.HasPrefix(q.name, migration.SiteQueue("")) {
			want = next
			require.False(t, q.workflows, "workflows are the main worker's")
		}
		require.Equal(t, want, names(q.activities(Activities{Main: both.main, Site: both.site})), q.name)
	}
}

func keys(m map[string][]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}
