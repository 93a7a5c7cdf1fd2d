package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
)

// standInWorkload waits for a copy that fails again and again.
func standInWorkload(ctx workflow.Context, queue string) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: queue, StartToCloseTimeout: time.Hour, HeartbeatTimeout: time.Minute, Summary: "copy the disks of web-01",
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 1},
	})
	return workflow.ExecuteActivity(ctx, "standInCopy").Get(ctx, nil)
}

func standInCopy(ctx context.Context) error {
	activity.RecordHeartbeat(ctx, migration.Progress{Done: 25, Total: 100, Rate: 5})
	return errors.New("read disk 2000: no route to host")
}

// reportedAsOf is the last consistent point that datasets have reported, and saidAsOf the one that
// they say when they are asked.
var (
	reportedAsOf = time.Date(2026, 12, 2, 22, 0, 0, 0, time.UTC)
	saidAsOf     = reportedAsOf.Add(75 * time.Second)
)

// standInReplication takes customers in.
func standInReplication(ctx workflow.Context) error {
	err := workflow.SetQueryHandler(ctx, migration.QueryStatus, func() (migration.PieceStatus, error) {
		return migration.PieceStatus{AsOf: saidAsOf}, nil
	})
	if err != nil {
		return err
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Hour, HeartbeatTimeout: time.Minute})
	return workflow.ExecuteActivity(ctx, "PreparePostgres").Get(ctx, nil)
}

func standInPrepare(ctx context.Context) error {
	activity.RecordHeartbeat(ctx, "handing over, which is tried again")
	<-ctx.Done()
	return ctx.Err()
}

func startPiece(t *testing.T, id, queue string) {
	t.Helper()
	start(t, id, "Workload", queue)
}

func TestAStatusSaysWhatIsTriedInVainHowOftenAndSinceWhen(t *testing.T) {
	t.Parallel()
	c := client.New(server)
	begun := time.Now()
	spec := &migration.Spec{Plan: "in-vain"}
	_, err := c.Submit(t.Context(), spec, client.SubmitOptions{})
	require.NoError(t, err)
	plan := spec.Plan
	t.Cleanup(func() {
		for _, id := range []string{migration.MigrationID(plan), migration.WorkloadID(plan, "web"), migration.WorkloadID(plan, "api"),
			migration.ReplicationID(plan, "orders"), migration.ReplicationID(plan, "stock"),
			migration.CheckID(plan, migration.CheckPreflight)} {
			_ = server.TerminateWorkflow(context.Background(), id, "", "the test is over")
		}
	})
	startPiece(t, migration.WorkloadID(plan, "web"), migration.QueueMain)
	startPiece(t, migration.WorkloadID(plan, "api"), "nobody-polls-this")
	startPiece(t, migration.ReplicationID(plan, "orders"), "nobody-polls-this")
	require.NoError(t, server.TerminateWorkflow(t.Context(), migration.ReplicationID(plan, "orders"), "", "somebody clicked"))
	start(t, migration.ReplicationID(plan, "stock"), "Replication")

	var s migration.MigrationStatus
	require.Eventually(t, func() bool {
		s, err = c.Status(t.Context(), plan)
		return err == nil && len(s.Workloads) == 2 && len(s.Workloads[0].Trying) == 1 && s.Workloads[0].Trying[0].Times > 2 &&
			len(s.Workloads[1].Trying) == 1 && len(s.Trying) == 1 && strings.Contains(s.Datasets[1].Detail, ":")
	}, time.Minute, 200*time.Millisecond)
	web := s.Workloads[0].Trying[0]
	require.Equal(t, "copy the disks of web-01", web.What)
	require.Equal(t, "read disk 2000: no route to host", web.Last)
	require.WithinDuration(t, begun, web.Since, 15*time.Second)
	require.WithinDuration(t, time.Now(), web.At, 15*time.Second)
	require.Equal(t, migration.Progress{Done: 25, Total: 100, Rate: 5, ETA: migration.Duration(15 * time.Second)}, s.Workloads[0].Progress)
	require.Equal(t, client.Running, s.Workloads[0].Workflow)

	api := s.Workloads[1].Trying[0]
	require.Zero(t, api.Times)
	require.Equal(t, "no worker takes it from nobody-polls-this", api.Last)
	require.Equal(t, "Terminated", s.Datasets[0].Workflow)
	require.Equal(t, "takes 2 customers in: handing over, which is tried again", s.Datasets[1].Detail)

	preflight := s.Trying[0]
	require.Equal(t, "copy the disks of web-01", preflight.What)
	require.Equal(t, "no worker takes it from drover-site-dc9: start `drover worker --main=false --site dc9`", preflight.Last)

	// Whoever looks at the board or at drover watch sees the same.
	ctx, stop := context.WithCancel(t.Context())
	hub := board.NewHub(ctx, c, 0)
	defer hub.Wait()
	defer stop()
	f, err := hub.Follow(ctx, plan)
	require.NoError(t, err)
	seen := f.Snapshot(ctx).Status
	require.Equal(t, s.Workloads[0].Progress, seen.Workloads[0].Progress)
	require.Equal(t, web.Last, seen.Workloads[0].Trying[0].Last)
	require.Equal(t, "Terminated", seen.Datasets[0].Workflow)
}

func TestADatasetIsAskedForItsLastConsistentPoint(t *testing.T) {
	t.Parallel()
	c := client.New(server)
	spec := &migration.Spec{Plan: "as-of"}
	_, err := c.Submit(t.Context(), spec, client.SubmitOptions{})
	require.NoError(t, err)
	ids := []string{migration.MigrationID(spec.Plan), migration.ReplicationID(spec.Plan, "orders"),
		migration.ReplicationID(spec.Plan, "files")}
	t.Cleanup(func() {
		for _, id := range ids {
			_ = server.TerminateWorkflow(context.Background(), id, "", "the test is over")
		}
	})
	start(t, ids[1], "Replication")
	startPiece(t, ids[2], "nobody-polls-this") // it has nothing to say, as a run of a version before had not

	s, err := c.Status(t.Context(), spec.Plan)
	require.NoError(t, err)
	require.Equal(t, saidAsOf, s.Datasets[0].AsOf.UTC())
	require.Equal(t, reportedAsOf, s.Datasets[1].AsOf.UTC(), "what it reported last is true, too")

	ctx, stop := context.WithCancel(t.Context())
	hub := board.NewHub(ctx, c, 0)
	defer hub.Wait()
	defer stop()
	f, err := hub.Follow(ctx, spec.Plan)
	require.NoError(t, err)
	require.Equal(t, reportedAsOf.Add(time.Minute), f.Snapshot(ctx).Status.Datasets[0].AsOf.UTC(),
		"to the minute: a page is not drawn anew with every beat")
}
