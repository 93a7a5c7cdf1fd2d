package gate_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"
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

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/gate"
)

const queue = "gated"

// bench is a Temporal server, a gate before it, and a worker that knows the gate alone.
type bench struct {
	*testing.T
	gate   *gate.Gate
	direct client.Client // past the gate

	runs map[string]*atomic.Int32 // how often each activity ran
}

// How long a try of an activity may take: the server waits as long before it hands a task out again
// that was lost.
const (
	patient = time.Minute
	hasty   = 3 * time.Second
)

// story runs two activities, one after the other, and answers with the tries that each took.
func story(ctx workflow.Context, limit time.Duration) (tries []int32, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: limit,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 10 * time.Millisecond, BackoffCoefficient: 1}})
	for _, name := range []string{"First", "Second"} {
		var n int32
		if err := workflow.ExecuteActivity(ctx, name).Get(ctx, &n); err != nil {
			return nil, err
		}
		tries = append(tries, n)
	}
	return tries, nil
}

func newBench(t *testing.T) *bench {
	t.Helper()
	binary := filepath.Join(tooltest.Dir(t, "bin/temporal"), "bin", "temporal")
	quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	dev, err := testsuite.StartDevServer(t.Context(),
		testsuite.DevServerOptions{ExistingPath: binary, LogLevel: "error", ClientOptions: &client.Options{Logger: quiet}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Stop()) })
	b := &bench{T: t, direct: dev.Client(), runs: map[string]*atomic.Int32{"First": {}, "Second": {}}}
	b.gate, err = gate.Start("127.0.0.1:0", dev.FrontendHostPort())
	require.NoError(t, err)
	t.Cleanup(b.gate.Close)
	through, err := client.DialContext(t.Context(), client.Options{HostPort: b.gate.Address(), Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(through.Close)
	w := worker.New(through, queue, worker.Options{})
	w.RegisterWorkflowWithOptions(story, workflow.RegisterOptions{Name: "story"})
	for name, runs := range b.runs {
		w.RegisterActivityWithOptions(func(ctx context.Context) (int32, error) {
			runs.Add(1)
			return activity.GetInfo(ctx).Attempt, nil
		}, activity.RegisterOptions{Name: name})
	}
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	return b
}

// began starts a story, by the direct way.
func (b *bench) began(id string, limit time.Duration) client.WorkflowRun {
	b.Helper()
	run, err := b.direct.ExecuteWorkflow(b.Context(),
		client.StartWorkflowOptions{ID: id, TaskQueue: queue, WorkflowExecutionTimeout: 2 * patient}, "story", limit)
	require.NoError(b, err)
	return run
}

// tries of both activities, when the story has ended.
func (b *bench) tries(run client.WorkflowRun) (out []int32) {
	b.Helper()
	require.NoError(b, run.Get(b.Context(), &out))
	return out
}

func TestTheGateActsOnTheActivityItIsToldOf(t *testing.T) {
	b := newBench(t)
	counted := func() [2]int32 { return [2]int32{b.runs["First"].Load(), b.runs["Second"].Load()} }

	t.Run("without a hook everything passes", func(t *testing.T) {
		require.Equal(t, []int32{1, 1}, b.tries(b.began("move/plain", patient)))
		require.Equal(t, [2]int32{1, 1}, counted())
	})

	t.Run("a delivery that is held has done nothing, and others pass meanwhile", func(t *testing.T) {
		was := counted()
		held, release := make(chan gate.Event, 1), make(chan struct{})
		b.gate.Set(func(_ context.Context, e gate.Event) bool {
			if e.When == gate.Delivery && e.Activity == "Second" && e.WorkflowID == "move/held" {
				held <- e
				<-release
			}
			return true
		})
		run := b.began("move/held", patient)
		require.Equal(t, gate.Event{When: gate.Delivery, Activity: "Second", WorkflowID: "move/held", Attempt: 1}, <-held)
		require.Equal(t, []int32{1, 1}, b.tries(b.began("move/other", patient)))
		require.Equal(t, [2]int32{was[0] + 2, was[1] + 1}, counted(), "the Second of the one that is held has not run")
		close(release)
		require.Equal(t, []int32{1, 1}, b.tries(run))
		require.Equal(t, [2]int32{was[0] + 2, was[1] + 2}, counted())
	})

	t.Run("a delivery that is dropped comes again", func(t *testing.T) {
		was := counted()
		b.gate.Set(func(_ context.Context, e gate.Event) bool {
			return e.When != gate.Delivery || e.Activity != "Second" || e.Attempt > 1
		})
		require.Equal(t, []int32{1, 2}, b.tries(b.began("move/undelivered", hasty)))
		require.Equal(t, [2]int32{was[0] + 1, was[1] + 1}, counted(), "the first try never reached the worker")
	})

	t.Run("a completion that is dropped leaves the effect, and the activity runs again", func(t *testing.T) {
		was := counted()
		var refused atomic.Int32
		b.gate.Set(func(_ context.Context, e gate.Event) bool {
			if e.When == gate.Completion && e.Activity == "First" && e.Attempt == 1 {
				refused.Add(1)
				return false
			}
			return true
		})
		require.Equal(t, []int32{2, 1}, b.tries(b.began("move/unanswered", hasty)))
		require.Equal(t, [2]int32{was[0] + 2, was[1] + 1}, counted())
		require.Positive(t, refused.Load())
	})

	t.Run("a completion that is dropped once is repeated by the worker, and the activity does not run again", func(t *testing.T) {
		was := counted()
		var refused atomic.Bool
		b.gate.Set(func(_ context.Context, e gate.Event) bool {
			return e.When != gate.Completion || e.Activity != "First" || !refused.CompareAndSwap(false, true)
		})
		require.Equal(t, []int32{1, 1}, b.tries(b.began("move/answered-late", patient)))
		require.Equal(t, [2]int32{was[0] + 1, was[1] + 1}, counted())
		require.True(t, refused.Load())
	})

	t.Run("a hook that is taken away acts no more", func(t *testing.T) {
		b.gate.Set(nil)
		require.Equal(t, []int32{1, 1}, b.tries(b.began("move/after", patient)))
	})
}
