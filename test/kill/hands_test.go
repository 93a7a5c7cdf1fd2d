package kill

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/lab/temporal"
	"github.com/drover-migration/drover/migration"
)

// What an operator can do to a workflow in the Temporal UI, whatever it is doing.
func TestNoHandInTheTemporalUIChangesTheOutcome(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	b := newBench(ctx, t, lab.SmallShape(3))
	plan := b.lab.Shape.Name
	id := b.lab.Shape.Customers()[0].ID

	t.Run("a batch terminated while its customers move", func(t *testing.T) {
		done := b.after("FreezeCustomer", func(gate.Event) bool {
			b.terminate(ctx, t, migration.BatchID(plan, "all"))
			return true
		})
		b.submit(ctx)
		b.reached(t, done)
		for _, c := range b.lab.Shape.Customers() {
			b.settled(ctx, c.ID, migration.AWS)
		}
		b.soaks(ctx, t)
		b.consistent(ctx, t)
	})
	t.Run("the migration terminated, and its plan submitted again", func(t *testing.T) {
		b.terminate(ctx, t, migration.MigrationID(plan))
		b.submit(ctx)
		b.soaks(ctx, t)
		b.settled(ctx, id, migration.AWS)
	})
	t.Run("the Temporal UI reads what a customer does and what may be done", func(t *testing.T) {
		// without Drover's codec, as the UI
		answer, err := b.server.QueryWorkflow(ctx, migration.CustomerID(plan, id), "", "__temporal_workflow_metadata")
		require.NoError(t, err)
		var says sdkpb.WorkflowMetadata
		require.NoError(t, answer.Get(&says))
		require.Contains(t, says.GetCurrentDetails(), "homed on **aws**")
		require.Contains(t, says.GetCurrentDetails(), "rollback")
	})
	for _, to := range []migration.Side{migration.OnPrem, migration.AWS} {
		for _, step := range []string{"FreezeCustomer"} {
			for _, hand := range []struct {
				name string
				act  func(gate.Event)
			}{
				{"terminated", func(e gate.Event) { b.terminate(ctx, t, e.WorkflowID) }},
				{"canceled", func(e gate.Event) { b.cancel(ctx, t, e.WorkflowID) }},
				{"reset", func(e gate.Event) { b.reset(ctx, t, e.WorkflowID) }},
			} {
				t.Run(fmt.Sprintf("a Move %s after %s on the way to %s", hand.name, step, to), func(t *testing.T) {
					b.home(ctx, t, id, to.Other())
					done := b.after(step, func(e gate.Event) bool { hand.act(e); return true })
					b.send(ctx, t, id, to)
					b.reached(t, done)
					b.settled(ctx, id, to)
					b.consistent(ctx, t)
				})
			}
		}
	}
	t.Run("a customer terminated in the middle of its Move", func(t *testing.T) {
		b.home(ctx, t, id, migration.AWS)
		done := b.after("FreezeCustomer", func(gate.Event) bool {
			b.terminate(ctx, t, migration.CustomerID(plan, id))
			return true
		})
		b.send(ctx, t, id, migration.OnPrem)
		b.reached(t, done)
		b.settled(ctx, id, migration.OnPrem)
		b.consistent(ctx, t)
		s, err := b.client.Customer(ctx, plan, id)
		require.NoError(t, err)
		require.Contains(t, fmt.Sprint(s.Timeline), "started again")
	})
	t.Run("a customer canceled while it soaks is held where it is", func(t *testing.T) {
		b.home(ctx, t, id, migration.AWS)
		b.cancel(ctx, t, migration.CustomerID(plan, id))
		require.True(t, eventually(func() bool {
			s, err := b.client.Customer(ctx, plan, id)
			return err == nil && s.Phase == migration.CustomerHeld && s.Home == migration.AWS
		}))
		_, err := b.client.Retry(ctx, client.Aim{Plan: plan, Customer: id}, migration.Command{By: "operator", Reason: "go on"})
		require.NoError(t, err)
		b.settled(ctx, id, migration.AWS)
	})
	for _, w := range []string{migration.CustomerID(plan, id), migration.BatchID(plan, "all"), migration.MigrationID(plan)} {
		t.Run(w+" reset to its start while it soaks", func(t *testing.T) {
			b.reset(ctx, t, w)
			b.soaks(ctx, t)
			for _, c := range b.lab.Shape.Customers() {
				b.settled(ctx, c.ID, migration.AWS)
			}
			b.consistent(ctx, t)
		})
	}
	b.consistent(ctx, t)
	b.nothingLost(ctx, t)
}

func (b *bench) cancel(ctx context.Context, t *testing.T, id string) {
	if err := b.server.CancelWorkflow(ctx, id, ""); err != nil {
		t.Errorf("cancel %s: %v", id, err)
	}
}

func (b *bench) terminate(ctx context.Context, t *testing.T, id string) {
	if err := b.server.TerminateWorkflow(ctx, id, "", "test"); err != nil {
		t.Errorf("terminate %s: %v", id, err)
	}
}

// reset starts a workflow over from its first task, as the UI offers it.
func (b *bench) reset(ctx context.Context, t *testing.T, id string) {
	if err := temporal.Reset(ctx, b.server, "default", id, "test"); err != nil {
		t.Errorf("reset %s: %v", id, err)
	}
}

// home brings a customer to a side before a scenario begins.
func (b *bench) home(ctx context.Context, t *testing.T, id string, side migration.Side) {
	t.Helper()
	s, err := b.client.Customer(ctx, b.lab.Shape.Name, id)
	require.NoError(t, err)
	if s.Home != side {
		b.send(ctx, t, id, side)
	}
	b.settled(ctx, id, side)
}

// soaks waits until the migration has released every batch, and knows where each customer is.
func (b *bench) soaks(ctx context.Context, t *testing.T) {
	t.Helper()
	var last migration.MigrationStatus
	if !eventually(func() bool {
		s, err := b.client.Migration(ctx, b.lab.Shape.Name)
		if err == nil {
			last = s
		}
		return err == nil && s.Phase == migration.MigrationSoak && s.Batches[0].Counts.OnAWS == len(b.lab.Shape.Customers())
	}) {
		require.Failf(t, "the migration does not soak", "%+v", last)
	}
}
