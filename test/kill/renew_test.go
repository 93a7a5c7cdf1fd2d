package kill

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/migration"
)

// A migration of weeks continues as new many times, whatever its workflows are doing: here they do
// so all the time.
func TestAMigrationThatContinuesAsNewAllTheTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	shape := lab.SmallShape(3)
	b := newBenchIn(ctx, t, lab.Options{Shape: shape, HistoryEvents: 30})
	b.submit(ctx)
	plan, all := shape.Name, shape.Customers()
	for _, c := range all {
		b.settled(ctx, c.ID, migration.AWS)
	}
	by := migration.Command{By: "operator", Reason: "test"}
	for _, to := range []migration.Side{migration.OnPrem, migration.AWS} {
		for _, c := range all { // all at once: what they report meets a batch that is being renewed
			b.send(ctx, t, c.ID, to)
		}
		for _, c := range all {
			b.settled(ctx, c.ID, to)
		}
		b.consistent(ctx, t)
	}
	_, err := b.client.Pause(ctx, plan, by)
	require.NoError(t, err)
	_, err = b.client.Resume(ctx, plan, by)
	require.NoError(t, err)
	killed := b.after("FreezeCustomer", func(e gate.Event) bool { return b.kill(e) })
	b.send(ctx, t, all[0].ID, migration.OnPrem)
	b.reached(t, killed)
	b.running(t)
	b.settled(ctx, all[0].ID, migration.OnPrem)
	b.send(ctx, t, all[0].ID, migration.AWS)
	b.settled(ctx, all[0].ID, migration.AWS)
	b.soaks(ctx, t)
	s, err := b.client.Customer(ctx, plan, all[1].ID)
	require.NoError(t, err)
	require.Len(t, s.Moves, 3)

	for _, id := range []string{
		migration.MigrationID(plan), migration.BatchID(plan, "all"), migration.CustomerID(plan, all[0].ID),
		migration.CustomerID(plan, all[1].ID),
		migration.ReplicationID(plan, "orders"), migration.ReplicationID(plan, "attachments"),
	} {
		require.True(t, eventually(func() bool {
			page, err := b.server.CountWorkflow(ctx,
				&workflowservice.CountWorkflowExecutionsRequest{Query: fmt.Sprintf("WorkflowId = '%s' AND ExecutionStatus = "+
					"'ContinuedAsNew'", id)})
			return err == nil && page.GetCount() > 1
		}), "%s did not continue as new", id)
	}

	for _, w := range []string{migration.BatchID(plan, "all"), migration.MigrationID(plan)} { // what they carried over is of an earlier day
		b.reset(ctx, t, w)
		b.soaks(ctx, t)
		for _, c := range all {
			b.settled(ctx, c.ID, migration.AWS)
		}
	}

	_, err = b.client.Rollback(ctx, client.Aim{Plan: plan}, by)
	require.NoError(t, err)
	for _, c := range all {
		b.settled(ctx, c.ID, migration.OnPrem)
	}
	require.True(t, eventually(func() bool {
		_, err := b.client.Abort(ctx, plan, by)
		return err == nil
	}))
	b.gone(ctx, t, migration.MigrationAborted)
	b.nothingLost(ctx, t)
}
