package kill

import (
	"context"
	"slices"
	"strings"
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
	t.Run("while customers are on AWS it brings them home first", func(t *testing.T) {
		require.NoError(t, b.lab.EmptyRDS(ctx))
		before, err := b.lab.Record(ctx)
		require.NoError(t, err)
		b.submit(ctx)
		for _, c := range b.lab.Shape.Customers() {
			b.settled(ctx, c.ID, migration.AWS)
		}
		_, err = b.client.Hold(ctx, plan, b.lab.Shape.Customers()[0].ID, by)
		require.NoError(t, err)
		_, err = b.client.Abort(ctx, plan, by)
		require.NoError(t, err)
		b.gone(ctx, t, migration.MigrationAborted)
		for _, c := range b.lab.Shape.Customers() { // the held one too
			s, err := b.client.Customer(ctx, plan, c.ID)
			require.NoError(t, err)
			require.Equal(t, migration.CustomerAborted, s.Phase)
			require.Equal(t, migration.OnPrem, s.Home)
		}
		s, err := b.client.Migration(ctx, plan)
		require.NoError(t, err)
		require.Contains(t, s.Reason, "AWS gave ids of ranges of its own")
		b.asBefore(ctx, t, before)
	})
	b.nothingLost(ctx, t)
}

// Whoever had ended the soak comes home too, and of what Drover made nothing is left.
func TestAnAbortBringsHomeWhoHadFinished(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	shape := lab.SmallShape(2)
	shape.Soak = "3s"
	b := newBench(ctx, t, shape)
	plan, by := b.lab.Shape.Name, migration.Command{By: "lead", Reason: "it was not what they wanted"}
	before, err := b.lab.Record(ctx)
	require.NoError(t, err)
	b.submit(ctx)
	for _, c := range b.lab.Shape.Customers() {
		require.True(t, eventually(func() bool {
			s, err := b.client.Customer(ctx, plan, c.ID)
			return err == nil && s.Phase == migration.CustomerFinished && s.Home == migration.AWS
		}), c.ID)
	}
	b.phase(ctx, t, migration.MigrationSoak)
	require.True(t, eventually(func() bool {
		_, err := b.client.Abort(ctx, plan, by)
		return err == nil
	}))
	b.gone(ctx, t, migration.MigrationAborted)
	for _, c := range b.lab.Shape.Customers() {
		s, err := b.client.Customer(ctx, plan, c.ID)
		require.NoError(t, err)
		require.Equal(t, migration.OnPrem, s.Home, c.ID)
	}
	b.asBefore(ctx, t, before)
	b.nothingLost(ctx, t)
}

// asBefore wants nothing new but what an abort says that it keeps.
func (b *bench) asBefore(ctx context.Context, t *testing.T, before []string) {
	t.Helper()
	after, err := b.lab.Record(ctx)
	require.NoError(t, err)
	plan := b.lab.Shape.Name
	left := slices.DeleteFunc(lab.New(before, after), func(line string) bool {
		return strings.HasPrefix(line, "object drover-state/plans/"+plan+"/specs/") ||
			strings.HasPrefix(line, "object drover-state/plans/"+plan+"/revisions/") ||
			strings.HasPrefix(line, "object drover-state/plans/"+plan+"/evidence/") ||
			strings.HasPrefix(line, "object attachments/")
	})
	require.Empty(t, left)
	require.Empty(t, lab.New(after, before), "nothing of anybody else's went")
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
