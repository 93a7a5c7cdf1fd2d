package kill

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/migration"
)

// A worker of the next version is deployed while a customer's writes are frozen.
func TestAMoveStaysWithTheVersionThatStartedIt(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	b := newBench(ctx, t, lab.SmallShape(3), "--deployment", "drover", "--build-id", "one")
	b.current(ctx, t, "one")
	plan, id := b.lab.Shape.Name, b.lab.Shape.Customers()[0].ID
	b.submit(ctx)
	for _, c := range b.lab.Shape.Customers() {
		b.settled(ctx, c.ID, migration.AWS)
	}
	require.Equal(t, "one", b.version(ctx, t, migration.CustomerID(plan, id)))

	var frozen string
	done := b.after("FreezeCustomer", func(e gate.Event) bool {
		frozen = e.WorkflowID
		b.flags = []string{"--deployment", "drover", "--build-id", "two"}
		b.startWorker(t)
		b.current(ctx, t, "two")
		return true
	})
	b.send(ctx, t, id, migration.OnPrem)
	b.reached(t, done)
	b.settled(ctx, id, migration.OnPrem)
	b.consistent(ctx, t)
	require.Equal(t, "one", b.version(ctx, t, frozen), "the Move that was under way")

	b.send(ctx, t, id, migration.AWS)
	b.settled(ctx, id, migration.AWS)
	s, err := b.client.Customer(ctx, plan, id)
	require.NoError(t, err)
	last := s.Moves[len(s.Moves)-1]
	require.Equal(t, "two", b.version(ctx, t, migration.MoveID(plan, id, last.Try.Token)), "the Move after it")
	require.Equal(t, "two", b.version(ctx, t, migration.CustomerID(plan, id)))
	b.consistent(ctx, t)
	b.nothingLost(ctx, t)
}

// current makes a build the one that new workflows start with, as `temporal worker deployment
// set-current-version` does. The server knows a version when its worker has polled.
func (b *bench) current(ctx context.Context, t *testing.T, build string) {
	var err error
	if !eventually(func() bool {
		_, err = b.server.WorkerDeploymentClient().GetHandle("drover").SetCurrentVersion(ctx,
			temporalclient.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
		return err == nil
	}) {
		t.Errorf("the version %s does not become current: %v", build, err)
	}
}

// version is the build that a workflow ran on last.
func (b *bench) version(ctx context.Context, t *testing.T, id string) string {
	t.Helper()
	d, err := b.server.DescribeWorkflowExecution(ctx, id, "")
	require.NoError(t, err)
	info := d.GetWorkflowExecutionInfo().GetVersioningInfo()
	return info.GetDeploymentVersion().GetBuildId()
}
