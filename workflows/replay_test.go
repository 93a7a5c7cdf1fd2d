package workflows_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows"
	"github.com/drover-migration/drover/workflows/work"
)

// Today's code goes the way of recorded histories, and says on it what each activity, timer and
// child is for: an operator reads that in the Temporal UI without opening an event.
func TestRecordedHistoriesReplayAndEveryCommandSaysWhatItIsFor(t *testing.T) {
	files, err := filepath.Glob("testdata/replay/*.json.gz")
	require.NoError(t, err)
	require.NotEmpty(t, files, "there is nothing to hold today's code to")
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			said := &summaries{}
			r, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
				DataConverter: codec.DataConverter(), FailureConverter: codec.FailureConverter(),
				Interceptors: []interceptor.WorkerInterceptor{said},
			})
			require.NoError(t, err)
			workflows.Register(r)
			require.NoError(t, r.ReplayWorkflowHistory(nil, history(t, name)))
			require.Positive(t, said.n, "no command was looked at")
			require.Empty(t, said.mute, "these say nothing")
			require.Empty(t, said.astray, "these are on a queue of the other kind of worker")
		})
	}
}

func history(t *testing.T, name string) *historypb.History {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	unpacked, err := gzip.NewReader(f)
	require.NoError(t, err)
	h, err := client.HistoryFromJSON(unpacked, client.HistoryJSONOptions{})
	require.NoError(t, err)
	return h
}

// summaries looks at the commands of workflows on their way to the server.
type summaries struct {
	interceptor.WorkerInterceptorBase
	n      int
	mute   []string // commands that say nothing
	astray []string // activities on a queue whose worker does not know them
}

// nextToData are the activities of a site's worker. All others are the main worker's, which is the
// only one with rights to the load balancer.
var nextToData = func() map[string]bool {
	out := map[string]bool{}
	for _, of := range []any{work.Postgres, work.Files, work.Freezer, work.Disks, work.VSphere} {
		for m := range reflect.TypeOf(of).Methods() {
			out[m.Name] = true
		}
	}
	return out
}()

func (s *summaries) InterceptWorkflow(_ workflow.Context,
	next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &inbound{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, s: s}
}

type inbound struct {
	interceptor.WorkflowInboundInterceptorBase
	s *summaries
}

func (i *inbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&outbound{WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: out}, s: i.s})
}

type outbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	s *summaries
}

func (o *outbound) says(what, summary string) {
	o.s.n++
	if summary == "" {
		o.s.mute = append(o.s.mute, what)
	}
}

func (o *outbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	o.says("activity "+name, options.Summary)
	if strings.HasPrefix(options.TaskQueue, migration.SiteQueue("")) != nextToData[name] {
		o.s.astray = append(o.s.astray, name+" on "+options.TaskQueue)
	}
	return o.Next.ExecuteActivity(ctx, name, args...)
}

func (o *outbound) ExecuteChildWorkflow(ctx workflow.Context, name string, args ...any) workflow.ChildWorkflowFuture {
	o.says("child "+name, workflow.GetChildWorkflowOptions(ctx).StaticSummary)
	return o.Next.ExecuteChildWorkflow(ctx, name, args...)
}

func (o *outbound) NewTimer(ctx workflow.Context, d time.Duration) workflow.Future {
	o.says("a timer of "+d.String(), "")
	return o.Next.NewTimer(ctx, d)
}

func (o *outbound) NewTimerWithOptions(ctx workflow.Context, d time.Duration, options workflow.TimerOptions) workflow.Future {
	o.says("a timer of "+d.String(), options.Summary)
	return o.Next.NewTimerWithOptions(ctx, d, options)
}

func (o *outbound) Sleep(ctx workflow.Context, d time.Duration) error {
	o.says("a sleep of "+d.String(), "")
	return o.Next.Sleep(ctx, d)
}

func (o *outbound) AwaitWithTimeout(ctx workflow.Context, d time.Duration, until func() bool) (bool, error) {
	o.says("a wait of "+d.String(), "")
	return o.Next.AwaitWithTimeout(ctx, d, until)
}

func (o *outbound) AwaitWithOptions(ctx workflow.Context, options workflow.AwaitOptions, until func() bool) (bool, error) {
	o.says("a wait of "+options.Timeout.String(), options.TimerOptions.Summary)
	return o.Next.AwaitWithOptions(ctx, options, until)
}
