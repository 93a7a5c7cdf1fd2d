// Package pairtest is two real servers with the orders application on one of them, for the tests of
// replication/postgres and of the packages below it. It is for tests only.
package pairtest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// The tests run on two real servers, shared by all; each test has its own databases.
// DROVER_TEST_PG_BIN names the binaries of another version than the laboratory's.

// The two servers while Run runs.
var (
	OnPrem *pg.Server
	AWS    *pg.Server
)

// Options are those of the two servers, for a test that wants another one.
var Options pg.Options

// Run starts the servers and runs a package's tests: what TestMain exits with.
func Run(m *testing.M) int {
	flag.Parse()
	o := pg.Options{Bin: os.Getenv("DROVER_TEST_PG_BIN")}
	if o.Bin == "" {
		o.Bin = tooltest.Path("pg/bin")
	}
	if _, err := os.Stat(filepath.Join(o.Bin, "postgres")); err != nil {
		fmt.Fprintln(os.Stderr, "no PostgreSQL binaries in "+o.Bin+": make setup")
		return m.Run() // tests that need them skip
	}
	dir, err := os.MkdirTemp("", "drover-pg-test-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		panic(err)
	}
	_ = os.Setenv(setup.BinEnv, o.Bin)
	o.Dir = dir
	Options = o
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, x := range []struct {
		at   **pg.Server
		name string
	}{{&OnPrem, "onprem"}, {&AWS, "aws"}} {
		o.Name = x.name
		s, err := pg.Start(ctx, o)
		if err != nil {
			panic(err)
		}
		defer func() { _ = s.Close() }()
		*x.at = s
	}
	return m.Run()
}

// Rig is a fresh pair of databases with the orders application's schema on premises.
type Rig struct {
	*testing.T
	Pair *postgres.Pair
	DB   string     // of both servers
	Src  *pg.Server // on premises
	Dst  *pg.Server // AWS
}

var rigs atomic.Int64

// Orders is the plan's dataset.
var Orders = migration.Postgres{Site: "dc1", RDS: "orders", Target: "prod", Column: "tenant_id",
	Tables: []migration.Table{{Name: "ref_currency", Reference: migration.OnPrem}}}

// New is a fresh pair on the two servers.
func New(t *testing.T) *Rig {
	t.Helper()
	return NewOn(t, OnPrem, AWS)
}

// NewOn is a fresh pair on two given servers.
func NewOn(t *testing.T, src, dst *pg.Server) *Rig {
	t.Helper()
	tooltest.Dir(t, "pg/bin/postgres")
	r := &Rig{T: t, DB: fmt.Sprintf("app%d", rigs.Add(1)), Src: src, Dst: dst}
	ctx := t.Context()
	for _, s := range []*pg.Server{r.Src, r.Dst} {
		require.NoError(t, s.CreateDatabase(ctx, r.DB))
	}
	require.NoError(t, r.Src.Exec(ctx, r.DB, pg.Schema))
	require.NoError(t, r.Src.Exec(ctx, r.DB, "INSERT INTO ref_currency SELECT 'C' || g, g FROM generate_series(1, 50) g"))
	r.Pair = r.Over(Orders)
	t.Cleanup(r.destroy)
	return r
}

// Over is a pair over the two databases for a dataset.
func (r *Rig) Over(d migration.Postgres) *postgres.Pair {
	ctx := r.Context()
	a, err := postgres.ParseDSN(r.Src.DSN(r.DB))
	require.NoError(r, err)
	b, err := postgres.ParseDSN(r.Dst.DSN(r.DB))
	require.NoError(r, err)
	s, err := postgres.Connect(ctx, migration.OnPrem, a, a, nil)
	require.NoError(r, err)
	t, err := postgres.Connect(ctx, migration.AWS, b, b, nil)
	require.NoError(r, err)
	return postgres.NewPair(r.DB, migration.Dataset{Name: "orders", Postgres: &d}, s, t)
}

// destroy leaves no slot: the servers have room for few.
func (r *Rig) destroy() {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	r.Pair.Close()
	for _, s := range []*pg.Server{r.Src, r.Dst} {
		require.NoError(r, s.Exec(ctx, r.DB, `DO $$ DECLARE n name; BEGIN
			FOR n IN SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database
			WHERE datname = current_database()) LOOP
			  EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', n); EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', n);
			  EXECUTE format('DROP SUBSCRIPTION %I', n);
			END LOOP; END $$`))
	}
	for _, s := range []*pg.Server{r.Src, r.Dst} {
		require.EventuallyWithT(r, func(t *assert.CollectT) {
			require.NoError(t, s.Exec(ctx, r.DB, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
				WHERE database = current_database() AND active_pid IS NOT NULL;
				SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`))
		}, Patience, 50*time.Millisecond)
		require.NoError(r, s.Exec(ctx, "postgres", "DROP DATABASE "+r.DB+" WITH (FORCE)"))
	}
}

// Prepared sets both directions up for tenants 1 to n, each with an account row.
func (r *Rig) Prepared(n int) *Rig {
	r.Helper()
	r.Must(migration.OnPrem, "INSERT INTO acct SELECT g, 0 FROM generate_series(1, $1) g", n)
	r.Prepare(n)
	r.Synced()
	return r
}

// Prepare sets both directions up for tenants 1 to n.
func (r *Rig) Prepare(n int) {
	r.Helper()
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	require.NoError(r, setup.Prepare(r.Context(), r.Pair, ids, nil))
}

// Synced waits for the first copies and a beat in each direction.
func (r *Rig) Synced() {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), Patience)
	defer cancel()
	require.NoError(r, r.Pair.AwaitSync(ctx, func(string) {}))
}

// Patience is how long a test waits for what must happen.
const Patience = 20 * time.Second

// Until waits for a condition.
func (r *Rig) Until(what string, is func() bool) {
	r.Helper()
	require.Eventually(r, is, Patience, 5*time.Millisecond, what)
}

// App is a session of the application: its own search path, none of Drover's settings.
func (r *Rig) App(side migration.Side) *pgx.Conn {
	s := map[migration.Side]*pg.Server{migration.OnPrem: r.Src, migration.AWS: r.Dst}[side]
	c, err := pgx.Connect(r.Context(), s.DSN(r.DB))
	require.NoError(r, err)
	r.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// Exec runs a statement of the application and answers its error's SQLSTATE, "" for none.
func (r *Rig) Exec(side migration.Side, sql string, args ...any) string {
	r.Helper()
	return Code(r.Query(side, nil, sql, args...))
}

// Must runs a statement of the application, which has to succeed.
func (r *Rig) Must(side migration.Side, sql string, args ...any) {
	r.Helper()
	require.NoError(r, r.Query(side, nil, sql, args...))
}

// Query runs a statement of the application and reads its one row into a place; nil: it has none.
func (r *Rig) Query(side migration.Side, into any, sql string, args ...any) error {
	c := r.App(side)
	defer func() { _ = c.Close(context.Background()) }()
	if into == nil {
		_, err := c.Exec(r.Context(), sql, args...)
		return err
	}
	return c.QueryRow(r.Context(), sql, args...).Scan(into)
}

// Num is the number that a statement of the application answers.
func (r *Rig) Num(side migration.Side, sql string, args ...any) (n int64) {
	r.Helper()
	require.NoError(r, r.Query(side, &n, sql, args...))
	return n
}

// Code is a server's SQLSTATE, "" without an error.
func Code(err error) string {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &pg):
		return pg.Code
	default:
		return err.Error()
	}
}

// Refused is what the guard answers to who writes on the side that is not home.
const Refused = "DR001"

// Owner is the n-th owner of a try.
func Owner(n int) string { return "aaaaaaaa-0000-0000-0000-" + strings.Repeat("0", 11) + fmt.Sprint(n) }

// Try is token k of owner n.
func Try(k int64, n int) migration.Try { return migration.Try{Token: k, Owner: Owner(n)} }

// Word is the word of a step, which has to be answered.
func (r *Rig) Word(s postgres.Step, err error) migration.Word {
	r.Helper()
	require.NoError(r, err)
	return s.Word
}

// Steps are those of a freeze one by one, each on any connection, as late and repeated calls come.
type Steps struct{ pair *postgres.Pair }

// StepsOn are those on a pair.
func StepsOn(p *postgres.Pair) Steps { return Steps{p} }

// Fence refuses writes at once.
func (x Steps) Fence(ctx context.Context, from migration.Side, tenant int64, k migration.Try, lease time.Duration) (postgres.Step, error) {
	return x.FencePatiently(ctx, from, tenant, k, lease, 0)
}

// FencePatiently lets writes wait.
func (x Steps) FencePatiently(ctx context.Context, from migration.Side, tenant int64, k migration.Try, lease,
	patience time.Duration) (postgres.Step, error) {
	return x.pair.Freeze(postgres.Attempt{From: from, Tenant: tenant, Try: k, Lease: lease, Patience: patience}).Fence(ctx)
}

// AwaitMark waits for the mark at the destination.
func (x Steps) AwaitMark(ctx context.Context, to migration.Side, tenant int64, k migration.Try,
	limit time.Duration) (postgres.Step, error) {
	return x.pair.Freeze(postgres.Attempt{From: to.Other(), Tenant: tenant, Try: k}).AwaitMark(ctx, limit)
}

// Seal seals the origin.
func (x Steps) Seal(ctx context.Context, from migration.Side, tenant int64, k migration.Try) (postgres.Step, error) {
	return x.pair.Freeze(postgres.Attempt{From: from, Tenant: tenant, Try: k}).Seal(ctx)
}

// Open opens the destination.
func (x Steps) Open(ctx context.Context, to migration.Side, tenant int64, k migration.Try) (postgres.Step, error) {
	return x.pair.Freeze(postgres.Attempt{From: to.Other(), Tenant: tenant, Try: k}).Open(ctx)
}

// Fence fences a tenant.
func (r *Rig) Fence(side migration.Side, tenant int64, k migration.Try, lease time.Duration) migration.Word {
	r.Helper()
	return r.Word(StepsOn(r.Pair).Fence(r.Context(), side, tenant, k, lease))
}

// Seal seals a tenant.
func (r *Rig) Seal(side migration.Side, tenant int64, k migration.Try) migration.Word {
	r.Helper()
	return r.Word(StepsOn(r.Pair).Seal(r.Context(), side, tenant, k))
}

// OpenAt opens a tenant.
func (r *Rig) OpenAt(side migration.Side, tenant int64, k migration.Try) migration.Word {
	r.Helper()
	return r.Word(StepsOn(r.Pair).Open(r.Context(), side, tenant, k))
}

// Move takes a tenant to the other side without a fault.
func (r *Rig) Move(from migration.Side, tenant int64, k migration.Try) {
	r.Helper()
	ctx := r.Context()
	require.Equal(r, migration.WordFenced, r.Fence(from, tenant, k, 10*time.Second))
	require.Equal(r, migration.WordFenced, r.Word(StepsOn(r.Pair).AwaitMark(ctx, from.Other(), tenant, k, 10*time.Second)))
	v, err := r.Pair.Verify(ctx, tenant)
	require.NoError(r, err)
	require.Empty(r, v.Differences)
	require.Equal(r, migration.WordSealed, r.Seal(from, tenant, k))
	require.Equal(r, migration.WordOpen, r.OpenAt(from.Other(), tenant, k))
}

// Sound holds both databases against the invariants.
func (r *Rig) Sound() {
	r.Helper()
	broken, err := r.Pair.Audit(r.Context())
	require.NoError(r, err)
	require.Empty(r, broken)
}

// Checks are the names of the checks that found something.
func Checks(f []migration.Finding) (out []string) {
	for _, x := range f {
		out = append(out, x.Check)
	}
	return out
}

// Script runs several statements as the superuser.
func (r *Rig) Script(side migration.Side, sql string) {
	r.Helper()
	server := map[migration.Side]*pg.Server{migration.OnPrem: r.Src, migration.AWS: r.Dst}[side]
	require.NoError(r, server.Exec(r.Context(), r.DB, sql))
}

// OnPremises is the server on premises, connected to another database of it.
func (r *Rig) OnPremises(db string) *postgres.Server {
	r.Helper()
	a, err := postgres.ParseDSN(r.Src.DSN(db))
	require.NoError(r, err)
	s, err := postgres.Connect(r.Context(), migration.OnPrem, a, a, nil)
	require.NoError(r, err)
	return s
}
