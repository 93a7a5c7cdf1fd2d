package kill

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
)

// Temporal has forgotten everything: every workflow of the plan is deleted, with its history. The
// plan is submitted again, and adopts what exists. Nobody moves, nothing is made twice, and who is
// on AWS can still go home.
func TestAPlanThatTemporalHasForgottenIsAdopted(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	b := newBench(ctx, t, lab.SmallShape(2))
	plan := b.lab.Shape.Name
	b.submit(ctx)
	for _, c := range b.lab.Shape.Customers() {
		b.settled(ctx, c.ID, migration.AWS)
	}
	made := func() []string {
		all, err := b.lab.Record(ctx)
		require.NoError(t, err)
		return slices.DeleteFunc(all, func(l string) bool { return strings.HasPrefix(l, "object ") })
	}
	before := made()
	b.forget(ctx, t)
	_, err := b.client.Migration(ctx, plan)
	require.ErrorIs(t, err, client.ErrNotFound)

	b.submit(ctx)
	b.phase(ctx, t, migration.MigrationSoak)
	for _, c := range b.lab.Shape.Customers() {
		b.settled(ctx, c.ID, migration.AWS)
		s, err := b.client.Customer(ctx, plan, c.ID)
		require.NoError(t, err)
		require.Empty(t, s.Moves, "%s was moved again", c.ID)
	}
	require.Equal(t, before, made(), "nothing was made twice, and nothing went")
	_, err = b.client.Rollback(ctx, client.Aim{Plan: plan}, migration.Command{By: "lead", Reason: "test"})
	require.NoError(t, err)
	for _, c := range b.lab.Shape.Customers() {
		b.settled(ctx, c.ID, migration.OnPrem)
	}
	b.nothingLost(ctx, t)
}

// forget deletes every workflow, with its history.
func (b *bench) forget(ctx context.Context, t *testing.T) {
	t.Helper()
	require.True(t, eventually(func() bool {
		page, err := b.server.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{})
		if err != nil {
			return false
		}
		for _, e := range page.GetExecutions() {
			_, _ = b.server.WorkflowService().DeleteWorkflowExecution(ctx, &workflowservice.DeleteWorkflowExecutionRequest{
				Namespace: "default", WorkflowExecution: e.GetExecution()})
		}
		return len(page.GetExecutions()) == 0
	}), "some workflows stay")
}
