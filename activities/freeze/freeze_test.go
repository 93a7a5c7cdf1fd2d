package freeze_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// Two databases on two servers are shared by all tests, each of which has a customer of its own.
var (
	servers = map[migration.Side]*pg.Server{}
	pairs   = map[string]*engine.Pair{}
	tenants atomic.Int64
)

const customers = 40

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	o := pg.Options{Bin: tooltest.Path("pg/bin")}
	if _, err := os.Stat(filepath.Join(o.Bin, "postgres")); err != nil {
		fmt.Fprintln(os.Stderr, "no PostgreSQL binaries in "+o.Bin+": make setup")
		return m.Run() // tests that need them skip
	}
	_ = os.Setenv(setup.BinEnv, o.Bin)
	dir, err := os.MkdirTemp("", "drover-freeze-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		panic(err)
	}
	o.Dir = dir
	ctx := context.Background()
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		o.Name = string(side)
		s, err := pg.Start(ctx, o)
		if err != nil {
			panic(err)
		}
		defer s.Close()
		servers[side] = s
	}
	for _, name := range []string{"orders", "billing"} {
		p, err := database(ctx, name)
		if err != nil {
			panic(err)
		}
		defer p.Close()
		pairs[name] = p
	}
	return m.Run()
}

func database(ctx context.Context, name string) (*engine.Pair, error) {
	var sides []*engine.Server
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		s := servers[side]
		if err := s.CreateDatabase(ctx, name); err != nil {
			return nil, err
		}
		a, err := engine.ParseDSN(s.DSN(name))
		if err != nil {
			return nil, err
		}
		x, err := engine.Connect(ctx, side, a, a, nil)
		if err != nil {
			return nil, err
		}
		sides = append(sides, x)
	}
	if err := servers[migration.OnPrem].Exec(ctx, name,
		fmt.Sprintf("%s; INSERT INTO acct SELECT g, g FROM generate_series(1, %d) g", pg.Schema, customers)); err != nil {
		return nil, err
	}
	p := engine.NewPair("p-"+name, migration.Dataset{Name: name, Postgres: &migration.Postgres{
		Column: "tenant_id", Tables: []migration.Table{{Name: "ref_currency", Reference: migration.OnPrem}},
	}}, sides[0], sides[1])
	all := make([]int64, customers)
	for i := range all {
		all[i] = int64(i + 1)
	}
	if err := setup.Prepare(ctx, p, all, nil); err != nil {
		return nil, err
	}
	return p, p.AwaitSync(ctx, func(string) {})
}

// world is a customer of both databases, at one site, and of a file tree.
type world struct {
	*testing.T
	trees *trees
	slice migration.CustomerSlice
	env   *testsuite.TestActivityEnvironment
	do    *freeze.Activities
	token int64

	asked   int                 // how often the machines of the destination have been
	unwell  []migration.Finding // what they say
	refuses int                 // so many questions to them fail
}

// CheckDestination answers for the machines of the destination.
func (w *world) CheckDestination(_ context.Context, _ migration.CustomerSlice, side migration.Side,
	at []health.Machines) ([]migration.Finding, error) {
	require.Equal(w, migration.AWS, side)
	require.Equal(w, "web", at[0].Workload)
	if w.asked++; w.asked <= w.refuses {
		return nil, errors.New("connection reset by peer")
	}
	return w.unwell, nil
}

func (w *world) Open(_ context.Context, _ string, d migration.Dataset, _ migration.Target) (*engine.Pair, error) {
	return pairs[d.Name], nil
}

// trees are passes that do as they are told.
type trees struct {
	begun     []bool // warm or not
	gone      error  // of the store, before a pass has begun
	predicted time.Duration
	final     func(ctx context.Context, allowed func(context.Context) error) error
	closed    int
}

func (x *trees) Begin(_ context.Context, _ freeze.Tree, warm bool) (freeze.Pass, error) {
	x.begun = append(x.begun, warm)
	if x.gone != nil {
		return nil, x.gone
	}
	return x, nil
}

func (x *trees) Predicted() time.Duration { return x.predicted }
func (x *trees) Close()                   { x.closed++ }
func (x *trees) Final(ctx context.Context, allowed func(context.Context) error) (int64, error) {
	if x.final == nil {
		return 3, allowed(ctx)
	}
	return 3, x.final(ctx, allowed)
}

func newWorld(t *testing.T) *world {
	tooltest.Dir(t, "pg/bin/postgres")
	w := &world{T: t, trees: &trees{}}
	for _, name := range []string{"orders", "billing"} {
		w.slice.Databases = append(w.slice.Databases,
			migration.Dataset{Name: name, Postgres: &migration.Postgres{Site: "dc1", Target: "prod"}})
	}
	w.slice.Customer = migration.Customer{ID: "acme", Tenant: tenants.Add(1)}
	w.slice.Files = []migration.Dataset{{Name: "attachments", Files: &migration.Files{Site: "dc1", Target: "prod", FencedBy: "orders"}}}
	w.slice.Policy = migration.Policy{FreezeBudget: migration.Duration(20 * time.Second), Patience: migration.Duration(2 * time.Second)}
	var suite testsuite.WorkflowTestSuite
	w.env = suite.NewTestActivityEnvironment()
	w.env.SetTestTimeout(2 * time.Minute)
	w.do = freeze.New(w, w.trees, w, &hooks.Caller{Secrets: secrets{}})
	w.env.RegisterActivity(w.do)
	return w
}

// exec runs a statement past the guard, in which %d is the customer's tenant.
func (w *world) exec(side migration.Side, database, sql string) {
	w.Helper()
	require.NoError(w, servers[side].Exec(w.Context(), database, "SET session_replication_role = replica; "+
		strings.ReplaceAll(sql, "%d", strconv.FormatInt(w.slice.Customer.Tenant, 10))))
}

// request is the next try of a whole freeze.
func (w *world) request(from migration.Side) freeze.Request {
	w.token++
	return freeze.Request{
		Spec: migration.SpecRef{Plan: "p"}, Slice: w.slice, From: from, Try: migration.Try{Token: w.token, Owner: uuid.NewString()},
		Site:  "dc1",
		First: migration.StepFencing, Last: migration.StepOpening,
	}
}

func (w *world) freeze(req freeze.Request) freeze.Result {
	w.Helper()
	v, err := w.env.ExecuteActivity(w.do.FreezeCustomer, req)
	require.NoError(w, err)
	var r freeze.Result
	require.NoError(w, v.Get(&r))
	return r
}

// home is where all databases say that the customer is; "" where they do not agree or are in the
// middle of a try.
func (w *world) home() (side migration.Side) {
	w.Helper()
	for i, d := range w.slice.Databases {
		h, err := pairs[d.Name].Home(w.Context(), w.slice.Customer.Tenant)
		require.NoError(w, err)
		if !h.Settled() || i > 0 && h.Home() != side {
			return ""
		}
		side = h.Home()
	}
	return side
}

// settle is what a workflow does after an end in doubt.
func (w *world) settle(from migration.Side) {
	w.Helper()
	w.token++
	try := migration.Try{Token: w.token, Owner: uuid.NewString()}
	for _, d := range w.slice.Databases {
		_, err := pairs[d.Name].Claim(w.Context(), from, w.slice.Customer.Tenant, try)
		require.NoError(w, err)
	}
}

func TestACustomerFreezesOnceAndIsHomedOnTheOtherSideInEveryDatabase(t *testing.T) {
	w := newWorld(t)
	w.trees.predicted = 40 * time.Millisecond
	for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
		req := w.request(from)
		r := w.freeze(req)
		require.Empty(t, r.Reason)
		require.Equal(t, migration.StepOpening, r.Step)
		require.True(t, r.RestOpen)
		require.Positive(t, r.Opened.Sub(r.Fenced))
		require.Less(t, r.Opened.Sub(r.Fenced), time.Minute)
		require.EqualValues(t, 2, r.Rows, "an account in each database")
		require.EqualValues(t, 3, r.Objects)
		require.Len(t, r.Checked, 3, "two databases and a tree")
		for _, c := range r.Checked[:2] {
			require.EqualValues(t, 1, c.Rows)
			require.Len(t, c.Sum, 64)
			require.NotEmpty(t, c.OnPrem)
			require.NotEmpty(t, c.AWS)
		}
		require.EqualValues(t, 3, r.Checked[2].Objects)
		require.False(t, r.Verified.IsZero())
		require.False(t, r.Sealed.Before(r.Verified))
		require.NotEmpty(t, r.Drover)
		require.EqualValues(t, 40*time.Millisecond+engine.StepsTake, r.Predicted, "as the warm pass predicts it")
		require.Positive(t, r.Took.Mark)
		require.Equal(t, from.Other(), w.home())
		again := w.freeze(req)
		require.Equal(t, migration.StepFencing, again.Step, "run twice, the second changes nothing")
		require.Contains(t, again.Reason, "answered \"sealed\"")
		require.Equal(t, from.Other(), w.home())
	}
	require.Equal(t, []bool{true, true, true, true}, w.trees.begun)
	require.Equal(t, 4, w.trees.closed)
}

// Before anything is touched every database and every machine is asked; what fails is asked again.
func TestACustomerIsCheckedBeforeItIsTouched(t *testing.T) {
	w := newWorld(t)
	checked := func() freeze.Result {
		t.Helper()
		req := w.request(migration.OnPrem)
		req.First, req.Machines = migration.StepChecking, []health.Machines{{Workload: "web"}}
		req.Note = &migration.Note{N: req.Try.Token, Words: "moving"}
		return w.freeze(req)
	}
	untouched := func(r freeze.Result) {
		t.Helper()
		require.Equal(t, migration.StepChecking, r.Step)
		require.Zero(t, r.Fenced)
		require.Empty(t, w.trees.begun, "no pass was begun")
		require.Equal(t, migration.OnPrem, w.home())
	}
	w.unwell, w.refuses = []migration.Finding{{Severity: migration.Blocker, Subject: "web"}}, 2
	r := checked()
	require.Equal(t, w.unwell, r.Findings)
	require.Equal(t, 3, w.asked)
	untouched(r)

	w.unwell = nil
	w.slice.Policy.FreezeBudget = migration.Duration(time.Millisecond)
	r = checked()
	require.Len(t, migration.Blockers(r.Findings), 2, "one of each database")
	require.Equal(t, "postgres-freeze", r.Findings[0].Check)
	untouched(r)

	w.slice.Policy.FreezeBudget = migration.Duration(20 * time.Second)
	r = checked()
	require.Empty(t, r.Reason)
	require.Positive(t, r.Predicted)
	require.Equal(t, migration.StepOpening, r.Step)
	require.Equal(t, migration.AWS, w.home())
	h, err := pairs["orders"].Home(t.Context(), w.slice.Customer.Tenant)
	require.NoError(t, err)
	require.Equal(t, "moving", h.Note(migration.OnPrem).Words, "of the stay that has ended")

	r = checked() // from premises, which it has left
	require.Equal(t, "postgres-home", migration.Blockers(r.Findings)[0].Check)
	require.Equal(t, migration.AWS, w.home())
}

func TestAFreezeThatEndsBeforeTheSealLeavesTheOriginToItsLease(t *testing.T) {
	w := newWorld(t)
	fails := func(step migration.MoveStep, why string) {
		t.Helper()
		r := w.freeze(w.request(migration.OnPrem))
		require.Equal(t, step, r.Step)
		require.Contains(t, r.Reason, why)
		require.False(t, r.Doubtful())
		w.settle(migration.OnPrem)
		require.Equal(t, migration.OnPrem, w.home())
	}
	w.trees.predicted = time.Minute
	fails(migration.StepChecking, "the last pass over attachments would take 1m0s, and the budget is 20s")
	w.trees.predicted = 0
	w.trees.final = func(context.Context, func(context.Context) error) error { return errors.New("S3 is gone") }
	fails(migration.StepDraining, "last pass over attachments: S3 is gone")
	w.trees.final = nil
	w.exec(migration.AWS, "billing", "UPDATE acct SET n = 77 WHERE tenant_id = %d")
	fails(migration.StepDraining, "verify billing: the sides differ: table public.acct")
	w.exec(migration.AWS, "billing", "UPDATE acct SET n = %d WHERE tenant_id = %d")
	w.exec(migration.AWS, "billing", "ALTER SUBSCRIPTION "+pairs["billing"].Names.Forward+" DISABLE")
	defer w.exec(migration.AWS, "billing", "ALTER SUBSCRIPTION "+pairs["billing"].Names.Forward+" ENABLE")
	w.slice.Policy.FreezeBudget = migration.Duration(time.Second)
	fails(migration.StepDraining, "drain billing: the mark did not arrive within the freeze budget")
}

// A store that is gone costs nobody a freeze: the warm pass comes before the fence.
func TestAStoreThatIsGoneIsFoundOutBeforeTheFence(t *testing.T) {
	w := newWorld(t)
	w.trees.gone = errors.New("S3 is gone")
	r := w.freeze(w.request(migration.OnPrem))
	require.Equal(t, migration.StepChecking, r.Step)
	require.Contains(t, r.Reason, "pass over attachments: S3 is gone")
	require.Zero(t, r.Fenced)
	require.Equal(t, []bool{true}, w.trees.begun)
	for _, d := range w.slice.Databases {
		h, err := pairs[d.Name].Home(t.Context(), w.slice.Customer.Tenant)
		require.NoError(t, err)
		require.Equal(t, migration.Open, h.OnPrem.State)
		require.Zero(t, h.OnPrem.Token, "no try has touched it")
	}
}

// The last pass asks for each effect whether the fence of its own try stands.
func TestTheLastPassWritesOnlyUnderItsOwnFence(t *testing.T) {
	w := newWorld(t)
	var under, after error
	w.trees.final = func(ctx context.Context, allowed func(context.Context) error) error {
		under = allowed(ctx)
		w.settle(migration.OnPrem)
		after = allowed(ctx)
		return after
	}
	r := w.freeze(w.request(migration.OnPrem))
	require.NoError(t, under)
	require.ErrorContains(t, after, "no longer stands")
	require.Equal(t, migration.StepDraining, r.Step)
}

// A cancel before the seal ends it; from the seal on it goes to its end.
func TestACancelStopsAFreezeBeforeTheSealAndNoLater(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.trees.final = func(context.Context, func(context.Context) error) error {
		cancel()
		return nil
	}
	stop := func(actx context.Context, req freeze.Request) (freeze.Result, error) {
		actx, end := context.WithCancel(actx)
		defer end()
		context.AfterFunc(ctx, end)
		return w.do.FreezeCustomer(actx, req)
	}
	w.env.RegisterActivity(stop)
	v, err := w.env.ExecuteActivity(stop, w.request(migration.OnPrem))
	require.NoError(t, err)
	var r freeze.Result
	require.NoError(t, v.Get(&r))
	require.Equal(t, migration.StepDraining, r.Step)
	require.Contains(t, r.Reason, "canceled")
	w.settle(migration.OnPrem)
	require.Equal(t, migration.OnPrem, w.home())
}

// A customer whose data lies at several sites has an activity at each for each step.
func TestTheStepsOneByOneAreTheSameFreeze(t *testing.T) {
	w := newWorld(t)
	w.slice.Databases[1].Postgres.Site = "dc2"
	req := w.request(migration.OnPrem)
	for _, step := range []migration.MoveStep{migration.StepFencing, migration.StepDraining, migration.StepSealing, migration.StepOpening} {
		for _, site := range []string{"dc1", "dc2"} {
			if step == migration.StepOpening && site == "dc2" {
				continue // the workflow opens what comes after the first
			}
			req.Site, req.First, req.Last = site, step, step
			r := w.freeze(req)
			require.Empty(t, r.Reason, "%s at %s", step, site)
			require.Equal(t, step, r.Step)
		}
	}
	require.Equal(t, []bool{true, false}, w.trees.begun, "a warm pass before the fence, none after it")
	r, err := pairs["billing"].Freeze(engine.Attempt{From: migration.OnPrem, Tenant: w.slice.Customer.Tenant,
		Try: req.Try}).Open(t.Context())
	require.NoError(t, err)
	require.Equal(t, migration.WordOpen, r.Word)
	require.Equal(t, migration.AWS, w.home())
}

// While a customer's writers keep it from its fence, others have their freeze.
func TestABusyFenceGivesTheTurnAway(t *testing.T) {
	w := newWorld(t)
	w.slice.Databases, w.slice.Files = w.slice.Databases[:1], nil
	tx, err := pairs["orders"].OnPrem.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE public.acct SET n = n + 1 WHERE tenant_id = $1", w.slice.Customer.Tenant)
	require.NoError(t, err)
	done := make(chan freeze.Result)
	req := w.request(migration.OnPrem)
	go func() { done <- w.freeze(req) }()
	locks := func(granted bool) bool {
		var n int
		require.NoError(t, pairs["orders"].OnPrem.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "+
			"AND classid = 724 AND objid = $2::int4::oid AND mode = 'ExclusiveLock' AND granted = $1", granted,
			w.slice.Customer.Tenant).Scan(&n))
		return n > 0
	}
	require.Eventually(t, func() bool { return locks(false) }, 20*time.Second, time.Millisecond, "the fence waits for the writer")
	give, err := pairs["orders"].Turn().Take(t.Context())
	require.NoError(t, err, "the turn is free while it waits for its next attempt")
	require.NoError(t, tx.Rollback(t.Context()))
	give()
	r := <-done
	require.Empty(t, r.Reason)
	require.Equal(t, migration.AWS, w.home())
}
