package postgres

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
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
)

// The tests run on two real servers, shared by all; each test has its own databases. DROVER_TEST_PG_BIN names the binaries of another
// version than the laboratory's.

var onprem, aws *pg.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

// serverOptions are those of the rig's servers, for a test that wants another one.
var serverOptions pg.Options

func run(m *testing.M) int {
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
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		panic(err)
	}
	_ = os.Setenv(BinEnv, o.Bin)
	o.Dir = dir
	serverOptions = o
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, x := range []struct {
		at   **pg.Server
		name string
	}{{&onprem, "onprem"}, {&aws, "aws"}} {
		o.Name = x.name
		s, err := pg.Start(ctx, o)
		if err != nil {
			panic(err)
		}
		defer s.Close()
		*x.at = s
	}
	return m.Run()
}

// rig is a fresh pair of databases with the orders application's schema on premises.
type rig struct {
	*testing.T
	pair *Pair
	db   string
	src  *pg.Server
	dst  *pg.Server
}

var rigs atomic.Int64

// orders is the plan's dataset.
var orders = migration.Postgres{Site: "dc1", RDS: "orders", Target: "prod", Column: "tenant_id", Tables: []migration.Table{{Name: "ref_currency", Reference: migration.OnPrem}}}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, onprem, aws)
}

func newRigOn(t *testing.T, src, dst *pg.Server) *rig {
	t.Helper()
	tooltest.Dir(t, "pg/bin/postgres")
	r := &rig{T: t, db: fmt.Sprintf("app%d", rigs.Add(1)), src: src, dst: dst}
	ctx := t.Context()
	for _, s := range []*pg.Server{r.src, r.dst} {
		require.NoError(t, s.CreateDatabase(ctx, r.db))
	}
	require.NoError(t, r.src.Exec(ctx, r.db, pg.Schema))
	require.NoError(t, r.src.Exec(ctx, r.db, "INSERT INTO ref_currency SELECT 'C' || g, g FROM generate_series(1, 50) g"))
	r.pair = r.open(orders)
	t.Cleanup(r.destroy)
	return r
}

func (r *rig) open(d migration.Postgres) *Pair {
	ctx := r.Context()
	a, err := ParseDSN(r.src.DSN(r.db))
	require.NoError(r, err)
	b, err := ParseDSN(r.dst.DSN(r.db))
	require.NoError(r, err)
	s, err := Connect(ctx, migration.OnPrem, a, a, nil)
	require.NoError(r, err)
	t, err := Connect(ctx, migration.AWS, b, b, nil)
	require.NoError(r, err)
	return NewPair(r.db, migration.Dataset{Name: "orders", Postgres: &d}, s, t)
}

// destroy leaves no slot: the servers have room for few.
func (r *rig) destroy() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(r, errors.Join(r.pair.unsubscribe(ctx, r.pair.AWS, r.pair.OnPrem), r.pair.unsubscribe(ctx, r.pair.OnPrem, r.pair.AWS)))
	r.pair.Close()
	for _, s := range []*pg.Server{r.src, r.dst} {
		require.NoError(r, s.Exec(ctx, "postgres", "DROP DATABASE "+r.db+" WITH (FORCE)"))
	}
}

// prepared sets both directions up for tenants 1 to n, each with an account row.
func (r *rig) prepared(n int) *rig {
	r.Helper()
	r.must(migration.OnPrem, "INSERT INTO acct SELECT g, 0 FROM generate_series(1, $1) g", n)
	r.prepare(n)
	r.synced()
	return r
}

func (r *rig) prepare(n int) {
	r.Helper()
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	require.NoError(r, r.pair.Prepare(r.Context(), ids, nil))
}

func (r *rig) synced() {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	require.NoError(r, r.pair.AwaitSync(ctx, func(string) {}))
}

const patience = 20 * time.Second

func (r *rig) until(what string, is func() bool) {
	r.Helper()
	require.Eventually(r, is, patience, 5*time.Millisecond, what)
}

// app is a session of the application: its own search path, none of Drover's settings.
func (r *rig) app(side migration.Side) *pgx.Conn {
	s := map[migration.Side]*pg.Server{migration.OnPrem: r.src, migration.AWS: r.dst}[side]
	c, err := pgx.Connect(r.Context(), s.DSN(r.db))
	require.NoError(r, err)
	r.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// exec runs a statement of the application and answers its error's SQLSTATE, "" for none.
func (r *rig) exec(side migration.Side, sql string, args ...any) string {
	r.Helper()
	return code(r.query(side, nil, sql, args...))
}

func (r *rig) must(side migration.Side, sql string, args ...any) {
	r.Helper()
	require.NoError(r, r.query(side, nil, sql, args...))
}

func (r *rig) query(side migration.Side, into any, sql string, args ...any) error {
	c := r.app(side)
	defer func() { _ = c.Close(context.Background()) }()
	if into == nil {
		_, err := c.Exec(r.Context(), sql, args...)
		return err
	}
	return c.QueryRow(r.Context(), sql, args...).Scan(into)
}

// script runs several statements as the superuser.
func (r *rig) script(side migration.Side, sql string) {
	r.Helper()
	server := map[migration.Side]*pg.Server{migration.OnPrem: r.src, migration.AWS: r.dst}[side]
	require.NoError(r, server.Exec(r.Context(), r.db, sql))
}

func (r *rig) num(side migration.Side, sql string, args ...any) (n int64) {
	r.Helper()
	require.NoError(r, r.query(side, &n, sql, args...))
	return n
}

func code(err error) string {
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

const (
	refused = "DR001"
)

func owner(n int) string { return "aaaaaaaa-0000-0000-0000-" + strings.Repeat("0", 11) + fmt.Sprint(n) }

// try is token k of owner n.
func try(k int64, n int) migration.Try { return migration.Try{Token: k, Owner: owner(n)} }

func (r *rig) word(s Step, err error) migration.Word {
	r.Helper()
	require.NoError(r, err)
	return s.Word
}

func (r *rig) fence(side migration.Side, tenant int64, k migration.Try, lease time.Duration) migration.Word {
	r.Helper()
	return r.word(r.pair.Fence(r.Context(), side, tenant, k, lease))
}

func (r *rig) seal(side migration.Side, tenant int64, k migration.Try) migration.Word {
	r.Helper()
	return r.word(r.pair.Seal(r.Context(), side, tenant, k))
}

func (r *rig) openAt(side migration.Side, tenant int64, k migration.Try) migration.Word {
	r.Helper()
	return r.word(r.pair.Open(r.Context(), side, tenant, k))
}

// move takes a tenant to the other side without a fault.
func (r *rig) move(from migration.Side, tenant int64, k migration.Try) {
	r.Helper()
	ctx := r.Context()
	require.Equal(r, migration.WordFenced, r.fence(from, tenant, k, 10*time.Second))
	require.Equal(r, migration.WordFenced, r.word(r.pair.AwaitMark(ctx, from.Other(), tenant, k, 10*time.Second)))
	v, err := r.pair.Verify(ctx, tenant)
	require.NoError(r, err)
	require.Empty(r, v.Differences)
	require.Equal(r, migration.WordSealed, r.seal(from, tenant, k))
	require.Equal(r, migration.WordOpen, r.openAt(from.Other(), tenant, k))
}

func (r *rig) sound() {
	r.Helper()
	broken, err := r.pair.Audit(r.Context())
	require.NoError(r, err)
	require.Empty(r, broken)
}

const (
	s = migration.OnPrem
	d = migration.AWS
)
