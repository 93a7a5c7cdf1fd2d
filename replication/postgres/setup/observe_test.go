package setup_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// observe is what was found of the writers so far.
func observe(r *pairtest.Rig, routed ...string) setup.Observing {
	r.Helper()
	o, err := setup.Observe(r.Context(), r.Pair, routed, func(string) {})
	require.NoError(r, err)
	return o
}

// of are the findings of a kind.
func of(o setup.Observing, kind migration.ObservedKind) (out []migration.Observed) {
	for _, f := range o.Findings {
		if f.Kind == kind {
			out = append(out, f)
		}
	}
	return out
}

func resolve(r *pairtest.Rig, id, by, why string) {
	r.Helper()
	is, err := setup.ResolveObserved(r.Context(), r.Pair, id, by, why)
	require.NoError(r, err)
	require.True(r, is)
}

// as is a session of the application under a name.
func as(r *pairtest.Rig, name string) *pgx.Conn {
	r.Helper()
	c := r.App(s)
	_, err := c.Exec(r.Context(), "SELECT set_config('application_name', $1, false)", name)
	require.NoError(r, err)
	return c
}

func must(r *pairtest.Rig, c *pgx.Conn, sql string, args ...any) {
	r.Helper()
	_, err := c.Exec(r.Context(), sql, args...)
	require.NoError(r, err, sql)
}

// client is the address by which the tests' sessions come.
func client(r *pairtest.Rig) (at string) {
	r.Helper()
	require.NoError(r, r.Query(s, &at, "SELECT coalesce(host(inet_client_addr()), 'local')"))
	return at
}

func TestObservingRefusesNothingAndFindsEachKindOfWriter(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	require.False(t, observe(r).Over)
	must(r, as(r, "web-01"), "UPDATE acct SET n = n + 1 WHERE tenant_id = 2")
	must(r, as(r, "web-02"), "UPDATE acct SET n = n + 1 WHERE tenant_id = 3")
	must(r, as(r, "billing-1732"), "UPDATE acct SET n = n + 4711 WHERE tenant_id IN (1, 2, 3) AND 'secret' <> $1", "x")
	loop := as(r, "closing")
	must(r, loop, "BEGIN")
	for tenant := 1; tenant <= 3; tenant++ {
		must(r, loop, "UPDATE acct SET n = 0 WHERE tenant_id = $1", tenant)
	}
	must(r, loop, "COMMIT")
	for tenant := 1; tenant <= 3; tenant++ {
		must(r, loop, "UPDATE orders SET ver = 0 WHERE tenant_id = $1", tenant) // each in a transaction of its own
	}
	must(r, as(r, "move"), "UPDATE acct SET tenant_id = 4 WHERE tenant_id = 3")
	must(r, as(r, "load"), "INSERT INTO audit SELECT 2, now(), NULL, 'one tenant' FROM generate_series(1, 100)")
	must(r, as(r, "purge"), "TRUNCATE orders, events_a")
	must(r, as(r, "dba"), "ALTER TABLE acct ADD note text DEFAULT 'confidential'")
	must(r, as(r, "dba"), "CREATE TEMPORARY TABLE mine (a int)")
	must(r, as(r, "dba"), "DROP TABLE events_c")

	o := observe(r)
	require.True(t, o.NamesDDL)
	many := map[string]migration.Observed{}
	for _, f := range of(o, migration.ObservedMany) {
		require.NotEmpty(t, f.Role)
		require.Positive(t, f.Noted)
		many[f.Application+" "+f.Operation] = f
	}
	require.Len(t, many, 3, "%v", many)
	job := many["billing-# UPDATE"]
	require.Equal(t, 3, job.Customers)
	require.Equal(t, "public.acct", job.Table)
	require.Equal(t, "update acct set n = n + ? where tenant_id in (?..) and ? <> ?", job.Statement)
	require.Equal(t, 2, many["closing UPDATE"].Customers, "as many as it had written for when it was noted")
	require.Equal(t, 2, many["move UPDATE"].Customers, "the customer that the row goes from, too")
	var truncated []string
	for _, f := range of(o, migration.ObservedTruncate) {
		require.Equal(t, "purge", f.Application)
		truncated = append(truncated, f.Table)
	}
	slices.Sort(truncated)
	require.Equal(t, []string{"public.events_a", "public.orders"}, truncated)
	var changed []string
	for _, f := range of(o, migration.ObservedDDL) {
		require.Equal(t, "dba", f.Application)
		changed = append(changed, f.Operation+" "+f.Table)
	}
	slices.Sort(changed)
	require.Equal(t, []string{"ALTER TABLE public.acct", "DROP TABLE public.events_c"}, changed)

	var unrouted []string
	for _, f := range of(o, migration.ObservedUnrouted) {
		require.Equal(t, client(r), f.Client)
		unrouted = append(unrouted, f.Application)
	}
	slices.Sort(unrouted)
	require.Equal(t, []string{"billing-#", "closing", "load", "move", "web-#"}, unrouted)
	require.Empty(t, of(observe(r, "192.0.2.1", client(r)), migration.ObservedUnrouted), "those whom the plan routes are no finding")

	// Times and digests hold any digits by chance: only what came from a writer is searched.
	var kept string
	require.NoError(t, r.Query(s, &kept, "SELECT string_agg(concat_ws(' ', role, app, shape, rel, op), ' ') FROM drover_observe.finding"))
	require.Contains(t, kept, "billing-#")
	for _, secret := range []string{"secret", "confidential", "4711", "1732", "one tenant"} {
		require.NotContains(t, kept, secret)
	}
}

func TestATableWhoseColumnIsRenamedOrDroppedMeanwhileIsStillWritten(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(2)
	observe(r)
	must(r, as(r, "dba"), "ALTER TABLE acct RENAME COLUMN tenant_id TO account_id")
	must(r, as(r, "web-01"), "UPDATE acct SET n = n + 1 WHERE account_id = 1")
	must(r, as(r, "dba"), "ALTER TABLE acct DROP COLUMN account_id CASCADE")
	must(r, as(r, "web-01"), "UPDATE acct SET n = n + 1")
	r.Must(s, "SELECT drover_observe.fold()")
	require.EqualValues(t, 2, r.Num(s, "SELECT noted FROM drover_observe.finding WHERE kind = 'missed'"), "what is not seen is counted")
}

func TestAShapeHasNoValues(t *testing.T) {
	r := pairtest.New(t)
	observe(r)
	for q, want := range map[string]string{
		"UPDATE t SET a = 'it''s me' WHERE b = 1.5e-3":                    "update t set a = ? where b = ?-?",
		`INSERT INTO "Odd Name" VALUES (1, E'a\'b', N'c'), (2, 'x', 'y')`: `insert into "Odd Name" values (?..)..`,
		"SELECT f($1, $2) -- for bob@example.com\n, x":                    "select f(?..) , x",
		"/* ann */ DELETE FROM t WHERE d = $$bob$$ AND e = 1":             "delete from t where d =",
		"DELETE FROM t WHERE d = $q$bob$q$ AND e = 1":                     "delete from t where d =",
		"SELECT 1 /* a /* b */ bob */ , 2":                                "select ?",
		"SELECT 'never closed":                                            "select",
		"SELECT 'c:\\dir\\', 'bob'":                                       "select ?..",
		"SELECT a_1.b$2, x1e5, U&'bob', B'01', x'ff', 0xff, 1_000":        "select a_1.b$2, x1e5, u&?..",
		"SELECT '" + strings.Repeat("bob ", 1000) + "'":                   "select",
	} {
		var is string
		require.NoError(t, r.Query(s, &is, "SELECT drover_observe.shape($1)", q))
		require.Equal(t, want, is, q)
	}
	c := r.App(s)
	must(r, c, "SET standard_conforming_strings = off")
	var is string
	require.NoError(t, c.QueryRow(t.Context(), "SELECT drover_observe.shape($1)", `SELECT 'a\' bob', 2`).Scan(&is))
	require.Equal(t, "select ?..", is)
}

func TestWhatIsObservedIsBounded(t *testing.T) {
	r := pairtest.New(t)
	observe(r)
	job := as(r, "job")
	for n := range 200 { // one shape
		must(r, job, fmt.Sprintf("INSERT INTO audit SELECT t, now(), NULL, 'x%d' FROM generate_series(1, 2) AS x(t)", n))
	}
	require.LessOrEqual(t, r.Num(s, "SELECT count(*) FROM drover_observe.note"), int64(2*2), "of a session in a minute or two")
	require.Len(t, of(observe(r), migration.ObservedMany), 1)
	require.Zero(t, r.Num(s, "SELECT count(*) FROM drover_observe.note"))

	// More than there is room for, as of sessions that last a statement.
	r.Must(s, "SELECT setval('drover_observe.room', 9999)")
	for n := range 4 {
		must(r, as(r, fmt.Sprint("night-", string(rune('a'+n)))), "INSERT INTO audit SELECT t, now() FROM generate_series(1, 2) t")
	}
	require.EqualValues(t, 1, r.Num(s, "SELECT count(*) FROM drover_observe.note WHERE kind = 'many'"))
	o := observe(r)
	require.Len(t, of(o, migration.ObservedMissed), 1, "%v", o.Findings)
	require.EqualValues(t, 3, of(o, migration.ObservedMissed)[0].Noted)
	resolve(r, "missed", "ann", "the backup's sessions")
	require.NotNil(t, of(observe(r), migration.ObservedMissed)[0].Resolved)

	r.Must(s, `INSERT INTO drover_observe.note (id, kind, role, app, client, shape, rel, op, tenants)
		SELECT 'n' || g, 'many', 'r', 'a', 'c', g::text, '', '', 2 FROM generate_series(1, 700) g`)
	o = observe(r)
	require.Len(t, of(o, migration.ObservedMany), 500)
	again := of(o, migration.ObservedMissed)[0]
	require.Greater(t, again.Noted, int64(200))
	require.Nil(t, again.Resolved, "more is missed than what somebody has resolved")
}

// What one session does in a minute hides nothing that it does after it.
func TestEachShapeOfABusySessionIsFoundOrCounted(t *testing.T) {
	r := pairtest.New(t)
	observe(r)
	job := as(r, "job")
	insert := func(n int) {
		must(r, job, fmt.Sprintf("INSERT INTO audit SELECT t, now(), NULL, 'x' FROM generate_series(1, 2) AS x%d(t)", n))
	}
	shapes := func() (n int, rest int) {
		o := observe(r)
		require.Empty(t, of(o, migration.ObservedMissed))
		for _, f := range of(o, migration.ObservedMany) {
			if f.Statement == "(one of many)" {
				rest++
			} else {
				n++
			}
		}
		return n, rest
	}
	for n := range 60 {
		insert(n)
	}
	n, rest := shapes()
	require.Equal(t, 60, n)
	require.Zero(t, rest)
	// More than it can tell apart in a minute, and so in one of two: the rest is a finding of the
	// table.
	for n := 60; n < 540; n++ {
		insert(n)
	}
	_, rest = shapes()
	require.Equal(t, 1, rest)

	// Nothing is left of what a session may remember: it is counted.
	missed := func() int64 {
		for _, f := range of(observe(r), migration.ObservedMissed) {
			return f.Noted
		}
		return 0
	}
	for n := 0; missed() == 0 && n < 5; n++ { // once more where a minute ended in between
		must(r, job, `SELECT set_config('drover.noted', (extract(epoch FROM clock_timestamp())::bigint / 60)::text || repeat(' x ', 2000),
			false)`)
		must(r, job, "TRUNCATE audit")
	}
	require.EqualValues(t, 1, missed())

	// A crash empties what is not yet folded.
	r.Must(s, "TRUNCATE drover_observe.note, drover_observe.alive")
	require.EqualValues(t, 2, missed())
	require.EqualValues(t, 2, missed(), "once")
}

func TestAServerWithoutMD5IsObserved(t *testing.T) {
	require.NotContains(t, postgres.ObserveSQL()+postgres.MoveSQL(), "md5(", "it is installed in FIPS mode too")
	r := pairtest.New(t)
	wide := strings.Repeat("w", 60)
	r.Must(s, fmt.Sprintf("CREATE TABLE wide (%q int)", wide))
	m := r.Planned()
	m.Dataset.Postgres.Tables = append(slices.Clone(m.Dataset.Postgres.Tables), migration.Table{Name: "wide", Column: wide})
	m.Opened()
	r.Must(s, "REVOKE EXECUTE ON FUNCTION pg_catalog.md5(text), pg_catalog.md5(bytea) FROM PUBLIC") // what FIPS refuses to all
	require.False(t, observe(r).NamesDDL)
	must(r, as(r, "job"), "INSERT INTO audit SELECT t, now() FROM generate_series(1, 2) t")
	r.Must(s, "ALTER TABLE acct ADD note text")
	o := observe(r)
	require.Len(t, of(o, migration.ObservedMany), 1)
	require.Len(t, of(o, migration.ObservedDDL), 1)
	require.Len(t, of(o, migration.ObservedUnrouted), 1)
	require.Empty(t, of(o, migration.ObservedMissed))
}

func TestATableThatIsNeverFreeKeepsNoOtherFromItsTurn(t *testing.T) {
	r := pairtest.New(t)
	writer := r.App(s)
	must(r, writer, "BEGIN")
	must(r, writer, "INSERT INTO acct VALUES (1, 1)") // the first of all
	_, err := setup.Observe(t.Context(), r.Pair, nil, func(string) {})
	require.ErrorContains(t, err, `cover table "public"."acct": it was written at each try`)
	must(r, as(r, "job"), "INSERT INTO audit SELECT t, now() FROM generate_series(1, 2) t")
	_, err = setup.Observe(t.Context(), r.Pair, nil, func(string) {})
	require.Error(t, err)
	o, err := setup.ReadObservation(t.Context(), r.Pair, nil)
	require.NoError(t, err)
	require.Len(t, of(o, migration.ObservedMany), 1, "the others are observed, and what was noted is read")
	require.Zero(t, o.Since, "its time has not begun")
	must(r, writer, "COMMIT")
	require.NotZero(t, observe(r).Since)
}

func TestTriggersOfAnOlderVersionOrOfAnotherColumnAreReplaced(t *testing.T) {
	r := pairtest.New(t)
	observe(r)
	for name, older := range map[string]string{
		"an older version's": "zzzz_drover_seen_insert AFTER INSERT ON audit FOR EACH STATEMENT EXECUTE FUNCTION " +
			"drover_observe.seen_truncate('0123', 'tenant_id')",
		"one without a version": "zzzz_drover_seen_insert AFTER INSERT ON audit FOR EACH STATEMENT EXECUTE FUNCTION " +
			"drover_observe.seen_truncate()",
	} {
		t.Run(name, func(t *testing.T) {
			r.Must(s, "DELETE FROM drover_observe.finding")
			r.Must(s, "CREATE OR REPLACE TRIGGER "+older)
			r.Must(s, "UPDATE drover_observe.observation SET digest = '0123'")
			observe(r)
			must(r, as(r, "job"), "INSERT INTO audit SELECT t, now() FROM generate_series(1, 2) t")
			o := observe(r)
			require.Len(t, of(o, migration.ObservedMany), 1)
			require.Empty(t, of(o, migration.ObservedTruncate))
		})
	}
	before := r.Num(s, "SELECT sum(xmin::text::bigint) FROM pg_trigger WHERE tgname LIKE 'zzzz\\_drover\\_seen%'")
	observe(r)
	require.Equal(t, before, r.Num(s, "SELECT sum(xmin::text::bigint) FROM pg_trigger WHERE tgname LIKE 'zzzz\\_drover\\_seen%'"),
		"what is there as it should be is let be")
}

func TestAnObservationHasEndedBeforeItsTriggersGo(t *testing.T) {
	r := pairtest.New(t)
	observe(r)
	writer := r.App(s)
	must(r, writer, "BEGIN")
	must(r, writer, "INSERT INTO acct VALUES (1, 1)")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- setup.EndObservation(ctx, r.Pair) }()
	r.Until("it waits for the table", func() bool {
		return r.Num(s, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'acct'::regclass") > 0
	})
	require.True(t, observe(r).Over, "who observes meanwhile makes nothing anew")
	cancel()
	require.Error(t, <-done)
	must(r, writer, "COMMIT")
	require.NoError(t, setup.EndObservation(t.Context(), r.Pair), "once more, it goes on")
	require.Zero(t, r.Num(s, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzzz\\_drover\\_seen%'"))
}

func TestAWriterNeitherFailsNorWaitsForAnotherBecauseItIsObserved(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	observe(r)
	first := as(r, "job")
	must(r, first, "BEGIN")
	must(r, first, "INSERT INTO audit SELECT t, now() FROM generate_series(1, 2) t") // noted, and not committed
	for _, level := range []string{"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"} {
		c := as(r, "job")
		must(r, c, "SET lock_timeout = '1s'")
		must(r, c, "BEGIN ISOLATION LEVEL "+level)
		must(r, c, "SELECT 1 FROM acct")
		observe(r) // what it has seen already is another than what stands there
		must(r, c, "INSERT INTO audit SELECT t, now() FROM generate_series(1, 2) t")
		must(r, c, "COMMIT")
	}
	must(r, first, "COMMIT")
	require.Len(t, of(observe(r), migration.ObservedMany), 1)

	// Many at once, each in sessions of its own, beside whoever folds.
	pool, err := pgxpool.New(t.Context(), r.Src.DSN(r.DB))
	require.NoError(t, err)
	defer pool.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for n := range 50 {
				tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead,
					pgx.Serializable}[w%3]})
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				_, err = tx.Exec(ctx, "SELECT set_config('application_name', $1, true)", fmt.Sprint("w", string(rune('a'+n%20))))
				if err == nil { // nobody else writes these
					_, err = tx.Exec(ctx, "INSERT INTO blobs (tenant_id, data) VALUES ($1, 'x'), ($1 + 1, 'y')", 100*w)
				}
				if err == nil {
					err = tx.Commit(ctx)
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	for range 5 {
		observe(r)
	}
	wg.Wait()
	require.EqualValues(t, 600, r.Num(s, "SELECT count(*) FROM blobs WHERE tenant_id < 600 AND data IN ('x', 'y')")-
		r.Num(s, "SELECT 100"), "and those that were there")
	require.GreaterOrEqual(t, len(of(observe(r), migration.ObservedMany)), 20)
}

func TestOddTablesAndCopiesAreObservedAsAnyOther(t *testing.T) {
	r := pairtest.New(t)
	long := strings.Repeat("ä", 31)
	r.Must(s, `CREATE TABLE "user Accounts" ("tenantId" smallint, "a""b" text)`)
	r.Must(s, fmt.Sprintf(`CREATE TABLE wide (%q bigint, a text)`, long))
	r.Must(s, `CREATE TABLE parts (tenant_id int, k int) PARTITION BY LIST (k)`)
	r.Must(s, `CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)`)
	d := pairtest.Orders
	d.Tables = append(slices.Clone(d.Tables), migration.Table{Name: "user Accounts", Column: "tenantId"},
		migration.Table{Name: "wide", Column: long})
	old := r.Pair
	r.Pair = r.Over(d)
	t.Cleanup(func() { r.Pair.Close(); r.Pair = old })
	observe(r)
	c := as(r, "job")
	n, err := c.CopyFrom(t.Context(), pgx.Identifier{"user Accounts"}, []string{"tenantId", `a"b`}, pgx.CopyFromRows([][]any{{1, "x"},
		{2, "y"}}))
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	must(r, c, `INSERT INTO wide VALUES (1, 'x'), (9000000000, 'y')`)
	must(r, c, `INSERT INTO parts VALUES (1, 1), (2, 1)`)
	must(r, c, `INSERT INTO parts_1 VALUES (3, 1), (4, 1)`)
	must(r, c, `INSERT INTO parts VALUES (NULL, 1)`)
	r.Must(s, `CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2)`)
	observe(r) // it is covered from now on
	must(r, c, `INSERT INTO parts_2 VALUES (5, 2), (6, 2)`)
	o := observe(r)
	var tables []string
	for _, f := range of(o, migration.ObservedMany) {
		tables = append(tables, f.Table)
	}
	slices.Sort(tables)
	require.Equal(t, []string{`public."user Accounts"`, "public.parts", "public.parts_1", "public.parts_2", "public.wide"}, tables)
	require.Len(t, of(o, migration.ObservedNobody), 1)
	require.Equal(t, "public.parts", of(o, migration.ObservedNobody)[0].Table)
}

func TestAnObservationGoesWithoutATraceAndIsNotMadeAnew(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	before := shape(r)
	o := observe(r)
	require.NotZero(t, o.Since)
	must(r, as(r, "job"), "INSERT INTO audit SELECT t, now() FROM generate_series(1, 2) t")
	o = observe(r)
	id := of(o, migration.ObservedMany)[0].ID
	resolve(r, id, "ann", "it goes before the first batch")
	resolve(r, id, "bob", "another reason")
	is, err := setup.ResolveObserved(t.Context(), r.Pair, "none", "ann", "x")
	require.NoError(t, err)
	require.False(t, is)

	d := pairtest.Orders
	other := postgres.NewPair("another", migration.Dataset{Name: "orders", Postgres: &d}, r.Pair.OnPrem, r.Pair.AWS)
	_, err = setup.Observe(t.Context(), other, nil, func(string) {})
	require.ErrorIs(t, err, postgres.ErrOtherPlan)
	require.NoError(t, setup.DropAll(t.Context(), other, nil))
	require.EqualValues(t, 1, r.Num(s, "SELECT count(*) FROM pg_namespace WHERE nspname = 'drover_observe'"), "it is another plan's")

	c, err := r.Pair.Examine(t.Context(), 0)
	require.NoError(t, err)
	require.Zero(t, c.Standing)
	kinds := map[string]int{}
	for _, m := range c.Made {
		require.Empty(t, m.Left, "%v is in use", m)
		kinds[m.Kind]++
	}
	require.Equal(t, 1, kinds["schema"])
	require.Equal(t, 2, kinds["event trigger"])
	require.NotZero(t, kinds["trigger"])

	cutOffAt(r, "the subscription on premises")
	require.Zero(t, r.Num(s, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzzz\\_drover\\_seen%'"), "Prepare ends it")
	require.Zero(t, r.Num(s, "SELECT count(*) FROM pg_event_trigger"))
	require.NoError(t, setup.TakeBack(t.Context(), r.Pair, func(string) {}))
	o = observe(r)
	require.True(t, o.Over, "what was observed once is not observed again")
	require.NotZero(t, o.Ended)
	require.Empty(t, of(o, migration.ObservedDDL), "that the triggers go is no change of a table")
	f := of(o, migration.ObservedMany)[0]
	require.Equal(t, "ann", f.Resolved.By)
	require.Equal(t, "it goes before the first batch", f.Resolved.Why)

	for range 2 {
		require.NoError(t, setup.DropAll(t.Context(), r.Pair, nil))
		bare(t, r)
		require.Zero(t, r.Num(s, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'drover%'"))
		require.Equal(t, before, shape(r))
	}
	require.False(t, observe(r).Over, "after an abort all begins anew")
}

func TestARoleThatMayMakeNoEventTriggerIsToldWhatHasChanged(t *testing.T) {
	r := pairtest.New(t)
	m := r.Planned()
	m.Opened()
	o := observe(r)
	require.False(t, o.NamesDDL)
	require.Empty(t, of(o, migration.ObservedDDL))
	r.Must(s, "ALTER TABLE acct ADD note text")
	r.Must(s, "DROP TABLE events_c")
	o = observe(r)
	var said []string
	for _, f := range of(o, migration.ObservedDDL) {
		require.Empty(t, f.Role)
		said = append(said, f.Table+" "+f.Operation)
	}
	slices.Sort(said)
	require.Equal(t, []string{"public.acct changed", "public.events_c dropped"}, said)
	o = observe(r)
	require.Len(t, of(o, migration.ObservedDDL), 2, "once each")
	writer := as(r, "job")
	must(r, writer, "INSERT INTO audit SELECT t, now() FROM generate_series(1, 2) t")
	require.Len(t, of(observe(r), migration.ObservedMany), 1)
}
