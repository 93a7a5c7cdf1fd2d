package web_test

import (
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
