package kill

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/process"
	"github.com/drover-migration/drover/migration"
)

// bench is a lab under load whose only worker reaches Temporal through a gate.
type bench struct {
	t      *testing.T
	lab    *lab.Lab
	dir    string // of the lab
	gate   *gate.Gate
	client *client.Client
	server temporalclient.Client // what the Temporal UI can do
	drover string
	load   *load.Load

	mu     sync.Mutex
	worker *process.Process
	dead   bool     // it was killed
	flags  []string // of the next worker
	starts int
}

func newBench(ctx context.Context, t *testing.T, shape lab.Shape, flags ...string) *bench {
	t.Helper()
	return newBenchIn(ctx, t, lab.Options{Shape: shape}, flags...)
}

func newBenchIn(ctx context.Context, t *testing.T, o lab.Options, flags ...string) *bench {
	t.Helper()
	b := newQuietBench(ctx, t, o, flags...)
	var err error
	b.load, err = b.lab.StartLoad(ctx, 30)
	require.NoError(t, err)
	return b
}

// newQuietBench is a bench without load.
func newQuietBench(ctx context.Context, t *testing.T, o lab.Options, flags ...string) *bench {
	t.Helper()
	tools, bin := tooltest.Dir(t, "bin/temporal", "pg/bin/postgres"), tooltest.Binaries(t)
	o.Tools, o.Dir, o.Self = tools, filepath.Join(t.TempDir(), "lab"), filepath.Join(bin, "lab")
	l, err := lab.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(l.Close)
	g, err := gate.Start("127.0.0.1:0", l.TemporalAddress())
	require.NoError(t, err)
	t.Cleanup(g.Close)
	b := &bench{t: t, lab: l, dir: o.Dir, gate: g, drover: filepath.Join(bin, "drover"), flags: flags}
	b.client, err = l.Client(ctx)
	require.NoError(t, err)
	require.NoError(t, b.client.EnsureSearchAttributes(ctx, "default"))
	b.server, err = temporalclient.DialContext(ctx, temporalclient.Options{HostPort: l.TemporalAddress(), Logger: hclog.NewNullLogger()})
	require.NoError(t, err)
	t.Cleanup(b.server.Close)
	b.startWorker(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(b.underWay() + l.WorkerLog(40) + "\nhistories: " + b.keepHistories())
		}
	})
	return b
}

// underWay lists the open workflows with what they wait for.
func (b *bench) underWay() string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	page, err := b.server.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: "ExecutionStatus = 'Running'"})
	if err != nil {
		return err.Error() + "\n"
	}
	var out strings.Builder
	for _, x := range page.GetExecutions() {
		id := x.GetExecution().GetWorkflowId()
		fmt.Fprintln(&out, id)
		d, err := b.server.DescribeWorkflowExecution(ctx, id, "")
		if err != nil {
			continue
		}
		for _, a := range d.GetPendingActivities() {
			var said string
			for _, p := range a.GetHeartbeatDetails().GetPayloads() {
				said += " " + string(p.GetData())
			}
			fmt.Fprintf(&out, "  %s %s, attempt %d, for %s:%s\n", a.GetActivityType().GetName(), a.GetState(), a.GetAttempt(),
				time.Since(a.GetLastStartedTime().AsTime()).Round(time.Second), said)
		}
	}
	return out.String()
}

func (b *bench) startWorker(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starts++
	w, err := b.lab.StartWorker(fmt.Sprintf("worker-%03d", b.starts), b.drover, b.gate.Address(),
		append([]string{"--site", "dc1"}, b.flags...)...)
	require.NoError(t, err)
	b.worker = w
}

// running starts a worker where the last was killed.
func (b *bench) running(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	dead := b.dead
	b.dead = false
	b.mu.Unlock()
	if dead {
		b.startWorker(t)
	}
}

// after arms the gate: do runs when a Move's step is about to answer, once, and says whether the
// answer passes.
func (b *bench) after(step string, do func(gate.Event) bool) <-chan struct{} {
	return b.afterThe(1, step, do)
}

// afterThe is after, for the nth answer.
func (b *bench) afterThe(nth int32, step string, do func(gate.Event) bool) <-chan struct{} {
	done := make(chan struct{})
	var heard atomic.Int32
	b.gate.Set(func(_ context.Context, e gate.Event) bool {
		if e.When != gate.Completion || e.Activity != step || !strings.HasPrefix(e.WorkflowID, "move/") {
			return true
		}
		if heard.Add(1) != nth {
			return true
		}
		defer close(done)
		defer b.gate.Set(nil)
		return do(e)
	})
	return done
}

// killAfter kills the worker when a step is about to answer, and the answer is lost.
func (b *bench) killAfter(step string) <-chan struct{} { return b.after(step, b.kill) }

func (b *bench) kill(gate.Event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.worker.Kill()
	b.dead = true
	return false
}

func (b *bench) reached(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(settleLimit):
		require.Fail(t, "the step was never reached")
	}
}

// nothingLost ends the load and compares the books. A client whose worker was killed between the
// commit and the route may have waited longer than it is willing to: such a request was not
// acknowledged, and the ledger says so. What was acknowledged is what must be there.
func (b *bench) nothingLost(ctx context.Context, t *testing.T) {
	t.Helper()
	sum := b.load.Stop()
	t.Logf("%d writes acknowledged, %d requests given up", sum.AckedWrites, sum.FailedRequests)
	truth, err := b.lab.Verify(ctx)
	require.NoError(t, err)
	require.Positive(t, sum.AckedWrites, "nobody wrote, so that nothing could be lost")
	require.Empty(t, truth.Violations)
	require.Positive(t, truth.RowsVerified)
}

func (b *bench) submit(ctx context.Context) {
	b.t.Helper()
	cmd := exec.CommandContext(ctx, b.drover, "submit", b.lab.Plan, "--by", "lead")
	cmd.Env = b.lab.Environ()
	out, err := cmd.CombinedOutput()
	require.NoError(b.t, err, string(out))
}

// send asks for the customer on a side: back home, or away again. It asks again when it is refused:
// an Update that a workflow gets in one task with the event that ends a phase is judged by the
// phase before, while a query in that moment tells of the one after.
func (b *bench) send(ctx context.Context, t *testing.T, id string, to migration.Side) {
	t.Helper()
	at := client.Aim{Plan: b.lab.Shape.Name, Customer: id}
	k := migration.Command{By: "operator", Reason: "test"}
	var err error
	require.True(t, eventually(func() bool {
		if to == migration.OnPrem {
			_, err = b.client.Rollback(ctx, at, k)
		} else {
			_, err = b.client.Retry(ctx, at, k)
		}
		return err == nil
	}), "%v", err)
}

// settled waits until the customer rests where it was sent.
func (b *bench) settled(ctx context.Context, id string, at migration.Side) {
	b.t.Helper()
	want := migration.CustomerSoaking
	if at == migration.OnPrem {
		want = migration.CustomerRolledBack
	}
	var last migration.CustomerStatus
	if eventually(func() bool {
		s, err := b.client.Customer(ctx, b.lab.Shape.Name, id)
		if err != nil {
			return false
		}
		require.NotEqual(b.t, migration.CustomerHeld, s.Phase, s.Reason)
		last = s
		return s.Phase == want && s.Home == at
	}) {
		return
	}
	for _, e := range last.Timeline[max(0, len(last.Timeline)-12):] {
		b.t.Logf("%s %s (%s %s)", e.At.Format("15:04:05.000"), e.What, e.By, e.Why)
	}
	require.Failf(b.t, "not settled", "customer %s is %s on %s, wants %s: %s", id, last.Phase, last.Home, at, last.Reason)
}

// consistent asks both databases: at most one open side and one direction for every tenant, and
// exactly one where nobody moves.
func (b *bench) consistent(ctx context.Context, t *testing.T) {
	t.Helper()
	homes, err := b.lab.OpenSides(ctx)
	require.NoError(t, err)
	for _, c := range b.lab.Shape.Customers() {
		require.Len(t, homes[c.Tenant], 1, "customer %s is open on %v", c.ID, homes[c.Tenant])
	}
}

// eventually looks again until it is so, or for settleLimit.
func eventually(ok func() bool) bool {
	for deadline := time.Now().Add(settleLimit); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}
