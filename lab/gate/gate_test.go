package gate_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/lab/gate"
)

// A task is held while it is delivered, a second delivery is lost, an answer is dropped and repeated by the worker: the workflow notices
// nothing but time.
func TestTasksAreHeldAndLostAndAnswersDropped(t *testing.T) {
	tools := filepath.Join("..", "..", ".cache")
	if d := os.Getenv("DROVER_TOOLS"); d != "" {
		tools = d
	}
	quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	dev, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{ExistingPath: filepath.Join(tools, "bin", "temporal"), LogLevel: "error", ClientOptions: &client.Options{Logger: quiet}})
	require.NoError(t, err, "run `make setup`")
	defer func() { _ = dev.Stop() }()
	g, err := gate.Start("127.0.0.1:0", dev.FrontendHostPort())
	require.NoError(t, err)
	defer g.Close()
	through, err := client.Dial(client.Options{HostPort: g.Address(), Logger: quiet})
	require.NoError(t, err)
	defer through.Close()

	var mu sync.Mutex
	var events []gate.Event
	ran := 0
	w := worker.New(through, "q", worker.Options{MaxConcurrentActivityTaskPollers: 1})
	w.RegisterActivityWithOptions(func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		ran++
		return nil
	}, activity.RegisterOptions{Name: "Step"})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Second, RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Millisecond, BackoffCoefficient: 1}})
		return workflow.ExecuteActivity(ctx, "Step").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "Wf"})

	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	dropped := false
	g.Set(func(_ context.Context, e gate.Event) bool {
		mu.Lock()
		events = append(events, e)
		first := e.When == gate.Delivery && e.Attempt == 1
		mu.Unlock()
		if first {
			once.Do(func() { close(held); <-release })
			return false // lost with its poll
		}
		mu.Lock()
		defer mu.Unlock()
		if e.When == gate.Completion && !dropped {
			dropped = true
			return false
		}
		return true
	})
	require.NoError(t, w.Start())
	defer w.Stop()
	run, err := dev.Client().ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "wf-1", TaskQueue: "q"}, "Wf")
	require.NoError(t, err)
	<-held
	mu.Lock()
	require.Zero(t, ran, "nothing is done before the delivery passes")
	mu.Unlock()
	close(release)
	require.NoError(t, run.Get(t.Context(), nil))

	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, ran, "the answer that was dropped was repeated, not the work")
	require.Equal(t, gate.Event{When: gate.Delivery, Activity: "Step", WorkflowID: "wf-1", Attempt: 1}, events[0])
	require.True(t, slices.ContainsFunc(events, func(e gate.Event) bool { return e.When == gate.Delivery && e.Attempt == 2 }))
	require.Equal(t, gate.Completion, events[len(events)-1].When)
}
