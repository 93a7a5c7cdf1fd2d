package temporal

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/internal/tooltest"
)

// restless goes on as new all the time.
func restless(ctx workflow.Context) error {
	_ = workflow.Sleep(ctx, 20*time.Millisecond)
	return workflow.NewContinueAsNewError(ctx, restless)
}

func TestARunThatHasJustBegunIsResetWhenItHasATaskToGoBackTo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Start(ctx, Options{Tools: tooltest.Dir(t, "bin/temporal"), Dir: t.TempDir()})
	require.NoError(t, err)
	defer s.Close()
	c, err := client.DialContext(ctx, client.Options{HostPort: s.Address()})
	require.NoError(t, err)
	defer c.Close()
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "restless", TaskQueue: "q"}, restless)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- Reset(ctx, c, "default", run.GetID(), "test") }() // nobody has taken its first task
	time.AfterFunc(300*time.Millisecond, func() {
		w := worker.New(c, "q", worker.Options{})
		w.RegisterWorkflow(restless)
		if err := w.Start(); err != nil {
			t.Error(err)
		}
		context.AfterFunc(ctx, w.Stop)
	})
	require.NoError(t, <-done)
	for range 20 {
		require.NoError(t, Reset(ctx, c, "default", run.GetID(), "test"))
	}
	d, err := c.DescribeWorkflowExecution(ctx, run.GetID(), "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus())
}
