package web_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/webtest"
)

func TestWhatFailsAndIsTriedAgainIsSaidWithItsLastWords(t *testing.T) {
	s := shop(t)
	at := func(n int) time.Time { return webtest.Start.Add(time.Duration(n) * time.Minute) }
	s.world.SetPlan(func(m *migration.MigrationStatus) {
		m.Trying = []migration.Trying{{What: "take stock of dc1", Last: "no worker takes it", Since: at(1)}}
		m.Workloads = []migration.PieceStatus{{Name: "web", Phase: migration.PieceReplicating,
			Progress: migration.Progress{Done: 1 << 30, Total: 4 << 30, Measuring: true},
			Trying: []migration.Trying{{What: "copy the disks of web-01", Times: 3, Last: "read disk 2000: no route to <host>",
				Since: at(0), At: at(4), Next: at(5)}}}}
		m.Datasets = []migration.PieceStatus{{Name: "orders", Phase: migration.PieceReady, Workflow: "Terminated"}}
	})
	b := s.as(t, access.Viewer)
	page := mustGet(t, s, b, "/m/shop/data")
	for _, want := range []string{
		"copy the disks of web-01 failed 3 times since Wed 2 Dec 2026 20:00:00 UTC, last at Wed 2 Dec 2026 20:04:00 UTC: read disk " +
			"2000: no route to &lt;host&gt;. It is tried again at Wed 2 Dec 2026 20:05:00 UTC.",
		"Its workflow was ended in Temporal (Terminated), and is started again within a minute.",
		"take stock of dc1: no worker takes it, since Wed 2 Dec 2026 20:01:00 UTC.",
		"1.0 GiB of 4.0 GiB", "measuring",
	} {
		require.Contains(t, page, want)
	}
	require.Contains(t, mustGet(t, s, b, "/m/shop"), "take stock of dc1: no worker takes it")
	require.NotContains(t, mustGet(t, s, s.guest(t, "shop", "cust-00000"), "/m/shop/c/cust-00000"), "take stock")
}

func TestThePagesSayUpToWhenDataIsConsistentAndWhatWasReadBack(t *testing.T) {
	s := shop(t)
	asOf := webtest.Start.Add(134 * time.Minute)
	s.world.SetPlan(func(m *migration.MigrationStatus) {
		m.Workloads[0].Copied = []migration.Copied{{VM: "web-01", Disks: []migration.DiskImage{{Blocks: 100, AsOf: asOf.Add(time.Minute)}}},
			{VM: "web-02", Disks: []migration.DiskImage{{Blocks: 28, AsOf: asOf}}}}
		m.Datasets = []migration.PieceStatus{{Name: "orders", Phase: migration.PieceReady, AsOf: asOf},
			{Name: "attachments", Phase: migration.PieceReplicating}}
	})
	b, guest := s.as(t, access.Success), s.guest(t, "shop", "cust-00000")
	page := mustGet(t, s, b, "/m/shop/data")
	require.Contains(t, page, "2 disks as of Wed 2 Dec 2026 22:14 UTC, 128 blocks written and read back")
	require.Contains(t, page, "all that was written before Wed 2 Dec 2026 22:14 UTC is on both sides")
	const back = "no write is at risk. All that was written before Wed 2 Dec 2026 22:14 UTC is on premises, too."
	require.Contains(t, mustGet(t, s, b, "/m/shop/c/cust-00000"), back)
	require.NotContains(t, mustGet(t, s, guest, "/m/shop/c/cust-00000"), "at risk", "it is nothing that a customer could use")

	var rows []map[string]any
	require.NoError(t, json.Unmarshal([]byte(mustGet(t, s, b, "/m/shop/table/data.json")), &rows))
	require.Equal(t, []any{"2026-12-02T22:14:00Z", nil, "2026-12-02T22:14:00Z"},
		[]any{rows[0]["consistent_at"], rows[1]["consistent_at"], rows[2]["consistent_at"]})
	require.Equal(t, []any{nil, nil, 128.}, []any{rows[0]["blocks_verified"], rows[1]["blocks_verified"], rows[2]["blocks_verified"]})

	s.world.SetPlan(func(m *migration.MigrationStatus) {
		m.Datasets = slices.Clone(m.Datasets)
		m.Datasets[0].AsOf = time.Time{}
	})
	require.Eventually(t, func() bool { return !strings.Contains(mustGet(t, s, b, "/m/shop/c/cust-00000"), "is on premises, too") },
		10*time.Second, 50*time.Millisecond, "what is not known is not said")
}

func TestHowLongARequestMayHaveWaitedIsShownWithTheFreeze(t *testing.T) {
	s := shop(t)
	b := s.as(t, access.Success)
	page := mustGet(t, s, b, "/m/shop/c/cust-00001")
	require.Contains(t, page, "A request may have waited for up to 1.5s, until the route followed.")
	require.Contains(t, page, "0 of 176 probes failed.")
	require.Contains(t, page, "Failed and retried requests of its users: not measured: the plan names no query.")
	require.Contains(t, mustGet(t, s, b, "/m/shop"), "longest stall 1.5s")
	for path, column := range map[string]string{"/m/shop/table/customers": "stall_ms", "/m/shop/table/batches": "longest_stall_ms",
		"/m/shop/c/cust-00000/table/moves": "stall_ms"} {
		var rows []map[string]any
		require.NoError(t, json.Unmarshal([]byte(mustGet(t, s, b, path+".json")), &rows))
		require.InDelta(t, 1480, rows[0][column], 0, path)
	}
}

func TestRequestsOfUsersAreShownWhereThePlanNamesWhoCountsThem(t *testing.T) {
	s := shop(t)
	b, guest := s.as(t, access.Success), s.guest(t, "shop", "cust-00000")
	s.world.SetCustomer("cust-00000", func(c *migration.CustomerStatus) {
		c.Moves = slices.Clone(c.Moves)
		m := &c.Moves[len(c.Moves)-1]
		m.Requests = &migration.Requests{From: m.Fenced.Add(-time.Minute), To: m.Routed.Add(time.Minute), Failed: &migration.Count{N: 3},
			Retried: &migration.Count{Why: "ask Prometheus at https://prometheus.internal: it answers 503"}}
	})
	const path = "/m/shop/c/cust-00000"
	require.Eventually(t, func() bool {
		return strings.Contains(mustGet(t, s, b, path), "failed 3; retried not measured: ask Prometheus")
	},
		10*time.Second, 50*time.Millisecond)
	page := mustGet(t, s, guest, path)
	require.Contains(t, page, "failed 3; retried not measured.")
	require.NotContains(t, page, "prometheus.internal", "why may name machines")
	require.Contains(t, mustGet(t, s, b, "/m/shop"), "3 requests failed (counted in 1 of ")
	for path, column := range map[string]string{path + "/table/moves": "failed_requests", "/m/shop/table/customers": "failed_requests",
		"/m/shop/table/batches": "failed_requests"} {
		var rows []map[string]any
		require.NoError(t, json.Unmarshal([]byte(mustGet(t, s, b, path+".json")), &rows))
		require.InDelta(t, 3, rows[0][column], 0, path)
		require.Contains(t, rows[0], "retried_requests")
		require.Nil(t, rows[0]["retried_requests"], "no number is none, and not 0")
	}
}
