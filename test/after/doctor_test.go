package after

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/worker"
)

// Moves ended at each of their steps, and hands changed things. Every worker of the plan is dead,
// and no workflow was ever started here, as after a namespace that was lost: a worker on a queue of
// its own finds and mends it, and nothing is lost.
func TestDoctorMendsWithEveryWorkerDead(t *testing.T) {
	r := pairtest.New(t).Prepared(6)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	const s, d = migration.OnPrem, migration.AWS
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Fence(s, 2, pairtest.Try(1, 1), time.Hour) // its worker died behind the fence
	r.Fence(s, 3, pairtest.Try(1, 1), time.Hour)
	r.Seal(s, 3, pairtest.Try(1, 1)) // and this one's between seal and open
	r.Move(s, 4, pairtest.Try(1, 1))
	r.Fence(d, 4, pairtest.Try(3, 1), time.Hour)
	r.Seal(d, 4, pairtest.Try(3, 1)) // on its way back
	r.Move(s, 5, pairtest.Try(1, 1))
	r.Script(s, "UPDATE drover.fence SET state = 'open' WHERE tenant = 5") // a hand
	r.Script(s, "ALTER SUBSCRIPTION "+r.Pair.Names.Back+" DISABLE")
	r.Script(s, "SELECT pg_create_logical_replication_slot('drover_former_x_00000000_fwd', 'pgoutput')")

	o := temporal(t)
	c := dial(t, o)
	queue := migration.OwnQueue("doctor")
	serve(t, worker.Options{Client: o, Main: true, Sites: []string{"dc1"}, Queue: queue}, r, cloud(t).activities()...)
	in := migration.DoctorInput{Spec: spec(r, 6)}
	seen, err := c.Doctor(ctx, in, queue)
	require.NoError(t, err)
	again, err := c.Doctor(ctx, in, queue)
	require.NoError(t, err)
	ids := func(rep migration.DoctorReport) (out string) {
		for _, x := range rep.Datasets[0].Customers {
			out += x.ID
		}
		return out
	}
	require.Equal(t, "bcde", ids(seen))
	require.Equal(t, "bcde", ids(again), "a look mends nothing")
	require.Equal(t, 2, seen.Datasets[0].Whole)
	require.Contains(t, strings.Join(seen.Datasets[0].Broken, "\n"), "is disabled")
	require.Len(t, seen.Left(), 1)

	in.Repair = &migration.Repair{By: "ann", Reason: "all workers were lost"}
	after, err := c.Doctor(ctx, in, queue)
	require.NoError(t, err)
	require.Zero(t, after.Broken(), "%+v", after)
	require.Equal(t, 6, after.Datasets[0].Whole)
	mended := strings.Join(after.Mended, "\n")
	for _, what := range []string{"customer b: the Move that was left between its steps is settled; it is homed on onprem",
		"customer c: the Move that was left between its steps is settled; it is homed on onprem",
		"customer d: the Move that was left between its steps is settled; it is homed on aws",
		"tenant 5: the side that opened earlier was closed", "runs again"} {
		require.Contains(t, mended, what)
	}
	for tenant, side := range map[int]migration.Side{1: d, 2: s, 3: s, 4: d, 5: d, 6: s} {
		r.Must(side, "UPDATE acct SET n = n + 1 WHERE tenant_id = $1", tenant)
		require.Equal(t, pairtest.Refused, r.Exec(side.Other(), "UPDATE acct SET n = n + 1 WHERE tenant_id = $1", tenant))
	}
	r.Sound()
	in.Repair.Reason = "again"
	twice, err := c.Doctor(ctx, in, queue)
	require.NoError(t, err)
	require.Empty(t, twice.Mended)
}
