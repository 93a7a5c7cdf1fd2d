package kill

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
)

// A migration is aborted in the middle of everything, corrected, carried through, taken back and
// aborted again: what it made is gone each time, and a plan submitted again starts anew.
func TestAnAbortedMigrationLeavesNothingBehind(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	b := newBench(ctx, t, lab.SmallShape(2))
	plan, by := b.lab.Shape.Name, migration.Command{By: "lead", Reason: "test"}

	t.Run("while data is copied and machines are launched", func(t *testing.T) {
		b.submit(ctx)
		for _, c := range b.lab.Shape.Customers() { // from the moment of submit, by its id
			b.listed(ctx, t, migration.AttrCustomer+" = '"+c.ID+"'", migration.CustomerID(plan, c.ID))
		}
		b.cancel(ctx, t, migration.MigrationID(plan)) // by a click, in preflight: it pauses, and looks again
		b.phase(ctx, t, migration.MigrationProvisioning)
		require.True(t, eventually(func() bool {
			s, err := b.client.Migration(ctx, plan)
			return err == nil && slices.ContainsFunc(s.Datasets, func(p migration.PieceStatus) bool {
				return p.Phase == migration.PieceReplicating || p.Phase == migration.PieceReady
			})
		}), "no dataset is under way")
		_, err := b.client.Abort(ctx, plan, by)
		require.NoError(t, err)
		b.gone(ctx, t, migration.MigrationAborted)
	})
	t.Run("preflight stops the next one, and its customers end", func(t *testing.T) {
		b.submit(ctx)
		b.gone(ctx, t, migration.MigrationFailed)
		s, err := b.client.Migration(ctx, plan)
		require.NoError(t, err)
		require.Contains(t, s.Reason, "the first copy would collide with them")
		c, err := b.client.Customer(ctx, plan, b.lab.Shape.Customers()[0].ID)
		require.NoError(t, err)
		require.Equal(t, migration.CustomerAborted, c.Phase)
	})
	t.Run("while customers are on AWS it is refused, and carried out when they are home", func(t *testing.T) {
		require.NoError(t, b.lab.EmptyRDS(ctx))
		b.submit(ctx)
		for _, c := range b.lab.Shape.Customers() {
			b.settled(ctx, c.ID, migration.AWS)
		}
		_, err := b.client.Hold(ctx, plan, b.lab.Shape.Customers()[0].ID, by)
		require.NoError(t, err)
		_, err = b.client.Abort(ctx, plan, by)
		require.ErrorIs(t, err, client.ErrRefused)
		require.ErrorContains(t, err, "2 customers are on AWS or on their way")
		_, err = b.client.Rollback(ctx, client.Aim{Plan: plan}, by)
		require.NoError(t, err)
		for _, c := range b.lab.Shape.Customers() { // the held one too
			require.True(t, eventually(func() bool {
				s, err := b.client.Customer(ctx, plan, c.ID)
				return err == nil && s.Phase == migration.CustomerRolledBack && s.Home == migration.OnPrem
			}), c.ID)
		}
		require.True(t, eventually(func() bool {
			_, err := b.client.Abort(ctx, plan, by)
			return err == nil
		}))
		b.gone(ctx, t, migration.MigrationAborted)
	})
	b.nothingLost(ctx, t)
}

// listed wants a workflow in the list of the Temporal UI, filtered so.
func (b *bench) listed(ctx context.Context, t *testing.T, filter, id string) {
	t.Helper()
	require.True(t, eventually(func() bool {
		page, err := b.server.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: filter})
		return err == nil && slices.ContainsFunc(page.GetExecutions(),
			func(e *workflowpb.WorkflowExecutionInfo) bool { return e.GetExecution().GetWorkflowId() == id })
	}), "%s is not listed by %s", id, filter)
}

// phase waits until the migration is in a phase.
func (b *bench) phase(ctx context.Context, t *testing.T, p migration.MigrationPhase) {
	t.Helper()
	var last migration.MigrationStatus
	require.True(t, eventually(func() bool {
		s, err := b.client.Migration(ctx, b.lab.Shape.Name)
		if err == nil {
			last = s
		}
		return err == nil && s.Phase == p
	}), "the migration is %s, wants %s: %s", last.Phase, p, last.Reason)
}

// gone waits until the migration has ended in a phase, and wants nothing left of it.
func (b *bench) gone(ctx context.Context, t *testing.T, p migration.MigrationPhase) {
	t.Helper()
	b.phase(ctx, t, p)
	require.True(t, eventually(func() bool {
		e, err := b.client.Execution(ctx, client.Aim{Plan: b.lab.Shape.Name})
		return err == nil && e != client.Running
	}), "the migration runs on")
	left, err := b.lab.Remains(ctx)
	require.NoError(t, err)
	require.Empty(t, left)
}
