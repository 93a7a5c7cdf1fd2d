package kill

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/lab/process"
	"github.com/drover-migration/drover/migration"
)

// steps of a Move, as activities. The worker dies when each has had its effect and has not said so.
var steps = []string{"CheckTenant", "FenceTenant", "DrainTenant", "FinalFiles", "SealTenant", "OpenTenant", "ReconcileRoute", "VerifyRoute"}

// settleLimit is far more than a killed Move takes to be tried again and to end.
const settleLimit = 90 * time.Second

func TestAKilledWorkerChangesNothingAboutTheOutcome(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	b := newBench(ctx, t)
	traffic, err := b.lab.StartLoad(ctx, 30)
	require.NoError(t, err)
	b.submit(ctx)
	id := b.lab.Shape.Customers()[0].ID
	b.settled(ctx, id, migration.AWS)

	for _, step := range steps {
		for _, to := range []migration.Side{migration.OnPrem, migration.AWS} {
			t.Run(fmt.Sprintf("after %s on the way to %s", step, to), func(t *testing.T) {
				killed := b.killAfter(step)
				b.send(ctx, t, id, to)
				select {
				case <-killed:
				case <-time.After(settleLimit):
					require.Fail(t, "the step was never reached")
				}
				b.startWorker(t)
				b.settled(ctx, id, to)
				b.consistent(ctx, t)
			})
		}
	}
	for _, step := range []string{"FenceTenant", "SealTenant", "OpenTenant"} {
		for _, to := range []migration.Side{migration.OnPrem, migration.AWS} {
			t.Run(fmt.Sprintf("terminated by hand after %s on the way to %s", step, to), func(t *testing.T) {
				terminated := b.terminateAfter(ctx, t, step)
				b.send(ctx, t, id, to)
				select {
				case <-terminated:
				case <-time.After(settleLimit):
					require.Fail(t, "the step was never reached")
				}
				b.settled(ctx, id, to)
				b.consistent(ctx, t)
			})
		}
	}
	// A client whose worker was killed between the commit and the route may have waited longer than it is willing to: such a request was
	// not acknowledged, and the ledger says so. What was acknowledged is what must be there.
	sum := traffic.Stop()
	t.Logf("%d writes acknowledged, %d requests given up", sum.AckedWrites, sum.FailedRequests)
	truth, err := b.lab.Verify(ctx)
	require.NoError(t, err)
	require.Empty(t, truth.Violations)
	require.Positive(t, truth.RowsVerified)
}

// bench is a lab whose only worker reaches Temporal through a gate.
type bench struct {
	t      *testing.T
	lab    *lab.Lab
	gate   *gate.Gate
	client *client.Client
	drover string

	mu     sync.Mutex
	worker *process.Process
	starts int
}

func newBench(ctx context.Context, t *testing.T) *bench {
	t.Helper()
	tools, err := filepath.Abs("../../.cache")
	require.NoError(t, err)
	if d := os.Getenv("DROVER_TOOLS"); d != "" {
		tools = d
	}
	bin := binaries(t)
	l, err := lab.Start(ctx, lab.Options{Tools: tools, Dir: filepath.Join(t.TempDir(), "lab"), Self: filepath.Join(bin, "lab"), Shape: lab.SmallShape(3)})
	require.NoError(t, err)
	t.Cleanup(l.Close)
	g, err := gate.Start("127.0.0.1:0", l.TemporalAddress())
	require.NoError(t, err)
	t.Cleanup(g.Close)
	b := &bench{t: t, lab: l, gate: g, drover: filepath.Join(bin, "drover")}
	b.client, err = l.Client(ctx)
	require.NoError(t, err)
	require.NoError(t, b.client.EnsureSearchAttributes(ctx, "default"))
	b.startWorker(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.WorkerLog(40))
		}
	})
	return b
}

// binaries are the shipped ones: from DROVER_BIN, or built here.
func binaries(t *testing.T) string {
	t.Helper()
	if d := os.Getenv("DROVER_BIN"); d != "" {
		return d
	}
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", dir+"/", "../../cmd/drover", "../../cmd/lab").CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

func (b *bench) startWorker(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starts++
	w, err := b.lab.StartWorker(fmt.Sprintf("worker-%03d", b.starts), b.drover, b.gate.Address(), "--site", "dc1")
	require.NoError(t, err)
	b.worker = w
}

// killAfter arms the gate: the worker is killed when a Move's step is about to answer, and the answer is lost.
func (b *bench) killAfter(step string) <-chan struct{} {
	killed := make(chan struct{})
	var once sync.Once
	b.gate.Set(func(_ context.Context, e gate.Event) bool {
		if e.When != gate.Completion || e.Activity != step || !strings.HasPrefix(e.WorkflowID, "move/") {
			return true
		}
		pass := true
		once.Do(func() {
			pass = false
			b.mu.Lock()
			b.worker.Kill()
			b.mu.Unlock()
			b.gate.Set(nil)
			close(killed)
		})
		return pass
	})
	return killed
}

// terminateAfter arms the gate: the Move is terminated when a step of it is about to answer. Its Customer has to repair.
func (b *bench) terminateAfter(ctx context.Context, t *testing.T, step string) <-chan struct{} {
	c, err := temporalclient.DialContext(ctx, temporalclient.Options{HostPort: b.lab.TemporalAddress(), Logger: hclog.NewNullLogger()})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	done := make(chan struct{})
	var once sync.Once
	b.gate.Set(func(ctx context.Context, e gate.Event) bool {
		if e.When == gate.Completion && e.Activity == step && strings.HasPrefix(e.WorkflowID, "move/") {
			once.Do(func() {
				if err := c.TerminateWorkflow(ctx, e.WorkflowID, "", "test"); err != nil {
					t.Errorf("terminate %s: %v", e.WorkflowID, err)
				}
				b.gate.Set(nil)
				close(done)
			})
		}
		return true
	})
	return done
}

func (b *bench) submit(ctx context.Context) {
	b.t.Helper()
	cmd := exec.CommandContext(ctx, b.drover, "submit", b.lab.Plan, "--by", "lead")
	cmd.Env = b.lab.Environ()
	out, err := cmd.CombinedOutput()
	require.NoError(b.t, err, string(out))
}

// send asks for the customer on a side: back home, or away again.
func (b *bench) send(ctx context.Context, t *testing.T, id string, to migration.Side) {
	t.Helper()
	at := client.Aim{Plan: b.lab.Shape.Name, Customer: id}
	k := migration.Command{By: "operator", Reason: "test"}
	var err error
	if to == migration.OnPrem {
		_, err = b.client.Rollback(ctx, at, k)
	} else {
		_, err = b.client.Retry(ctx, at, k)
	}
	require.NoError(t, err)
}

// settled waits until the customer rests where it was sent.
func (b *bench) settled(ctx context.Context, id string, at migration.Side) {
	b.t.Helper()
	want := migration.PhaseSoaking
	if at == migration.OnPrem {
		want = migration.PhaseRolledBack
	}
	var last migration.CustomerStatus
	deadline := time.Now().Add(settleLimit)
	for time.Now().Before(deadline) {
		if s, err := b.client.Customer(ctx, b.lab.Shape.Name, id); err == nil {
			if last = s; s.Phase == want && s.Home == at {
				return
			}
			require.NotEqual(b.t, migration.PhaseHeld, s.Phase, s.Reason)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, e := range last.Timeline[max(0, len(last.Timeline)-12):] {
		b.t.Logf("%s %s (%s %s)", e.At.Format("15:04:05.000"), e.What, e.By, e.Why)
	}
	require.Failf(b.t, "not settled", "customer %s is %s on %s, wants %s: %s", id, last.Phase, last.Home, at, last.Reason)
}

// consistent asks both databases: at most one open side and one direction for every tenant, and exactly one where nobody moves.
func (b *bench) consistent(ctx context.Context, t *testing.T) {
	t.Helper()
	homes, err := b.lab.OpenSides(ctx)
	require.NoError(t, err)
	for _, c := range b.lab.Shape.Customers() {
		require.Len(t, homes[c.Tenant], 1, "customer %s is open on %v", c.ID, homes[c.Tenant])
	}
}
