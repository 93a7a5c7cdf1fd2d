package freeze

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/lab/pg/gate"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/workflows/move"
)

func TestMain(m *testing.M) { os.Exit(pairtest.Run(m)) }

const tenant = 1

// whole has every statement tried, as make test-freeze does. Without it those are that change or
// decide something, which takes a minute.
var whole = os.Getenv("DROVER_FREEZE") == "whole"

// statement is one inside a freeze: the nth with this text at a side.
type statement struct {
	at  migration.Side
	sql string
	nth int
}

func (s statement) String() string {
	name := strings.Join(strings.Fields(s.sql), " ")
	if i := strings.Index(name, "drover."); i >= 0 {
		name = name[i:]
	}
	if i := strings.IndexByte(name, '('); i > 0 && strings.HasPrefix(name, "drover.") {
		name = name[:i]
	}
	return fmt.Sprintf("%s #%d on %s", name[:min(len(name), 40)], s.nth, s.at)
}

// decides says that it is a step of the protocol itself, and not its rehearsal.
func (s statement) decides() bool { return s.nth > 1 && strings.Contains(s.sql, "drover.") }

// bench is a customer whose worker reaches both servers through gates.
type bench struct {
	*pairtest.Rig
	gates map[migration.Side]*gate.Gate
	gated *engine.Pair
	token int64
	acked int64 // writes that the application was acknowledged
}

func newBench(t *testing.T) *bench {
	b := &bench{Rig: pairtest.New(t), gates: map[migration.Side]*gate.Gate{}}
	b.Prepared(1)
	var sides []*engine.Server
	for _, x := range b.Pair.Both() {
		dsn := map[migration.Side]string{migration.OnPrem: b.Src.DSN(b.DB), migration.AWS: b.Dst.DSN(b.DB)}[x.Side]
		a, err := engine.ParseDSN(dsn)
		require.NoError(t, err)
		g, err := gate.Start(net.JoinHostPort(a.Host, strconv.Itoa(a.Port)))
		require.NoError(t, err)
		t.Cleanup(g.Close)
		b.gates[x.Side] = g
		a.Host, a.Port = g.Address()
		a.SSLMode = "disable"
		s, err := engine.Connect(t.Context(), x.Side, a, a, nil)
		require.NoError(t, err)
		sides = append(sides, s)
	}
	b.gated = engine.NewPair(b.DB, migration.Dataset{Name: "orders", Postgres: &pairtest.Orders}, sides[0], sides[1])
	t.Cleanup(b.gated.Close)
	return b
}

// Open gives the activities their pair.
func (b *bench) Open(context.Context, string, migration.Dataset, migration.Target) (*engine.Pair, error) {
	return b.gated, nil
}

// Half says that both sides answer.
func (*bench) Half(context.Context, string, migration.Dataset, migration.Target) (*engine.Pair, error) {
	return nil, engine.ErrBothAnswer
}

// doctor finds nothing wrong.
type doctor struct{}

func (*doctor) FindMachines(context.Context, health.DestinationRequest) ([]any, error) {
	return nil, nil
}

// hands are the activities of a worker. The workflow's run id, which owns a try, is no UUID in a
// test.
type hands struct {
	freeze   *freeze.Activities
	postgres *postgres.Activities
	owner    string
}

func (h *hands) FreezeCustomer(ctx context.Context, req freeze.Request) (freeze.Result, error) {
	req.Try.Owner = h.owner
	return h.freeze.FreezeCustomer(ctx, req)
}

func (h *hands) OpenTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	req.Try.Owner = h.owner
	return h.postgres.OpenTenant(ctx, req)
}

func (h *hands) UnfenceTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	req.Try.Owner = h.owner
	return h.postgres.UnfenceTenant(ctx, req)
}

func (h *hands) PoisonTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	req.Try.Owner = h.owner
	return h.postgres.PoisonTenant(ctx, req)
}

func (h *hands) ReopenTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	req.Try.Owner = h.owner
	return h.postgres.ReopenTenant(ctx, req)
}

// move plays one Move, as the workflow does.
func (b *bench) move(from migration.Side) migration.MoveResult {
	b.Helper()
	b.token += 10
	d := migration.Dataset{Name: "orders", Postgres: &migration.Postgres{Site: "dc1", Target: "prod"}}
	slice := migration.CustomerSlice{
		Customer: migration.Customer{ID: "acme", Tenant: tenant}, Databases: []migration.Dataset{d},
		Policy: migration.Policy{FreezeBudget: migration.Duration(20 * time.Second), Patience: migration.Duration(time.Second), Tries: 1,
			MaxLag: migration.Duration(20 * time.Second)},
	}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(3 * time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	env.RegisterWorkflow(move.Move)
	env.RegisterActivity(&hands{freeze.New(b, nil, nil, nil), postgres.New(b), uuid.NewString()})
	env.RegisterActivity(&doctor{})
	env.ExecuteWorkflow(move.Move, move.Input{Slice: slice, From: from, To: from.Other(), Token: b.token})
	require.True(b, env.IsWorkflowCompleted())
	require.NoError(b, env.GetWorkflowError())
	var r migration.MoveResult
	require.NoError(b, env.GetWorkflowResult(&r))
	return r
}

// write is one at home, which the application is acknowledged.
func (b *bench) write(home migration.Side) {
	b.Helper()
	b.Must(home, "UPDATE acct SET n = n + 1 WHERE tenant_id = $1", tenant)
	b.acked++
}

// sound holds both servers against the invariants, and the ledger against home.
func (b *bench) sound(r migration.MoveResult) {
	b.Helper()
	h, err := b.Pair.Home(b.Context(), tenant)
	require.NoError(b, err)
	require.True(b, h.Settled(), "%+v after %+v", h, r)
	require.Equal(b, r.Home, h.Home(), "%+v", r)
	b.Sound()
	require.Equal(b, b.acked, b.Num(h.Home(), "SELECT n FROM acct WHERE tenant_id = $1", tenant))
}

// home brings the customer to a side.
func (b *bench) home(side migration.Side) {
	b.Helper()
	h, err := b.Pair.Home(b.Context(), tenant)
	require.NoError(b, err)
	if h.Home() != side {
		r := b.move(h.Home())
		require.Equal(b, migration.MoveDone, r.Outcome, r.Reason)
	}
}

// heard has the gates tell every statement from the freeze's rehearsal on, in its order, and lets
// do decide about its two moments.
func (b *bench) heard(do func(statement, gate.When) bool) {
	var mu sync.Mutex
	begun, seen := false, map[statement]int{}
	for side, g := range b.gates {
		g.Set(func(e gate.Event) bool {
			key := statement{at: side, sql: e.SQL}
			mu.Lock()
			begun = begun || strings.Contains(e.SQL, "drover.fence($1")
			if e.When == gate.Before {
				seen[key]++
			}
			key.nth = seen[key]
			ours := begun
			mu.Unlock()
			return !ours || do(key, e.When)
		})
	}
}

func (b *bench) silent() {
	for _, g := range b.gates {
		g.Set(nil)
	}
}

// statements are those of a freeze from one side to which nothing happens. A poll counts twice at
// most.
func (b *bench) statements(from migration.Side) (out []statement) {
	b.Helper()
	b.home(from)
	var mu sync.Mutex
	b.heard(func(s statement, w gate.When) bool {
		mu.Lock()
		defer mu.Unlock()
		if w == gate.Before && s.nth <= 2 {
			out = append(out, s)
		}
		return true
	})
	defer b.silent()
	b.write(from)
	r := b.move(from)
	require.Equal(b, migration.MoveDone, r.Outcome, r.Reason)
	b.sound(r)
	return out
}

// A connection that is lost at any statement of a freeze, before its effect or after it, leaves the
// customer open on one side, with everything.
func TestAConnectionLostAtAnyStatementOfAFreeze(t *testing.T) {
	b := newBench(t)
	for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
		all, hit := b.statements(from), 0
		require.Greater(t, len(all), 10)
		if !whole {
			all = slices.DeleteFunc(all, func(s statement) bool { return !s.decides() })
			require.Len(t, all, 4, "fence, arrived, seal, open: %v", all)
		}
		for _, at := range all {
			for _, when := range []gate.When{gate.Before, gate.After} {
				t.Run(fmt.Sprintf("from %s: %s, %s", from, at, when), func(t *testing.T) {
					b.T = t
					b.home(from)
					b.write(from)
					var once sync.Once
					b.heard(func(s statement, w gate.When) bool {
						pass := true
						if s == at && w == when {
							once.Do(func() { pass, hit = false, hit+1 })
						}
						return pass
					})
					r := b.move(from)
					b.silent()
					b.sound(r)
				})
			}
		}
		b.T = t
		require.Greater(t, hit, len(all), "of two moments of each statement; a poll does not always come twice")
	}
}

// A statement that hangs is cut off after seconds, whatever it has done.
func TestAStatementThatHangsIsCutOff(t *testing.T) {
	b := newBench(t)
	for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
		for _, name := range []string{"drover.fence($1", "drover.seal($1", "drover.open($1"} {
			for _, when := range []gate.When{gate.Before, gate.After} {
				if !whole && (from == migration.AWS) != (name == "drover.open($1") {
					continue
				}
				t.Run(fmt.Sprintf("from %s: %s, %s", from, name, when), func(t *testing.T) {
					b.T = t
					b.home(from)
					b.write(from)
					hang := make(chan struct{})
					var hit atomic.Bool
					b.heard(func(s statement, w gate.When) bool {
						if strings.Contains(s.sql, name) && s.nth == 2 && w == when { // the first is the rehearsal's
							hit.Store(true)
							<-hang
							return false
						}
						return true
					})
					begun := time.Now()
					r := b.move(from)
					require.Less(t, time.Since(begun), 30*time.Second)
					b.silent()
					close(hang)
					require.True(t, hit.Load())
					b.sound(r)
				})
			}
		}
		b.T = t
	}
}
