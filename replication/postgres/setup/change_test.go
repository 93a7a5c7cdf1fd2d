package setup_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

func change(text string) setup.Change {
	sum := sha256.Sum256([]byte(text))
	return setup.Change{Digest: hex.EncodeToString(sum[:]), File: "add.sql", Text: text, By: "ann", Why: "CHG-3010"}
}

func changed(r *pairtest.Rig, text string) {
	r.Helper()
	found, err := setup.CheckChange(r.Context(), r.Pair, change(text))
	require.NoError(r, err)
	require.Empty(r, found)
	require.NoError(r, setup.ApplyChange(r.Context(), r.Pair, change(text), func(string) {}))
}

// moved is a pair with one tenant at home on each side.
func moved(r *pairtest.Rig) *pairtest.Rig {
	r.Helper()
	r.Rows(2)
	r.Prepare(2)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	return r
}

func TestWhatAReleaseAddsIsOnBothSidesAndReplicatedEachWay(t *testing.T) {
	r := moved(pairtest.New(t))
	ddl := `
ALTER TABLE orders ADD COLUMN note text, ADD COLUMN grade int NOT NULL DEFAULT 7;
CREATE INDEX ON orders (tenant_id, note);
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id int NOT NULL, at timestamptz DEFAULT now(), words text);
CREATE TABLE events_d PARTITION OF events FOR VALUES FROM ('2040-01-01') TO ('2050-01-01');
CREATE VIEW long_notes AS SELECT * FROM notes WHERE length(words) > 100;
COMMENT ON TABLE notes IS 'of customers; by anybody';`
	changed(r, ddl)
	none, err := r.Pair.Changes(t.Context())
	require.NoError(t, err)
	require.Empty(t, none, "all of it takes part")
	for tenant, side := range map[int]migration.Side{1: d, 2: s} {
		r.Must(side, "UPDATE orders SET note = 'n' WHERE tenant_id = $1", tenant)
		r.Must(side, "INSERT INTO notes (tenant_id, words) VALUES ($1, 'x'), ($1, 'y')", tenant)
		r.Must(side, "UPDATE notes SET words = 'z' WHERE tenant_id = $1 AND words = 'x'", tenant)
		r.Must(side, "INSERT INTO events (ts, tenant_id) VALUES ('2041-01-01', $1)", tenant)
		require.Equal(t, pairtest.Refused, r.Exec(side.Other(), "INSERT INTO notes (tenant_id) VALUES ($1)", tenant))
		require.Equal(t, "DR003", r.Exec(side, "TRUNCATE events_d"))
		r.Until("it arrives", func() bool {
			return r.Num(side.Other(), "SELECT count(*) FROM notes WHERE tenant_id = $1", tenant) == 2 &&
				r.Num(side.Other(), "SELECT count(*) FROM notes WHERE tenant_id = $1 AND words = 'z'", tenant) == 1 &&
				r.Num(side.Other(), "SELECT count(*) FROM events WHERE tenant_id = $1 AND ts > '2040-01-01'", tenant) == 1
		})
	}
	require.EqualValues(t, 0, r.Num(s, "SELECT count(*) FROM notes WHERE id > 1000000 AND tenant_id = 2"), "each side gives ids of its own")
	require.EqualValues(t, 2, r.Num(s, "SELECT count(*) FROM notes WHERE id > 1000000 AND tenant_id = 1"))
	r.Move(d, 1, pairtest.Try(3, 1))
	r.Move(s, 2, pairtest.Try(1, 2))
	r.Sound()

	changed(r, ddl)
	require.EqualValues(t, 1, r.Num(s, "SELECT count(*) FROM drover.schema_change"), "a file is made once")
	require.NoError(t, setup.TakeIn(t.Context(), r.Pair, nil))
}

func TestWhatRowsUnderWayCouldBreakIsRefusedAndTouchesNothing(t *testing.T) {
	r := moved(pairtest.New(t))
	before := r.Num(s, "SELECT count(*) FROM pg_attribute")
	for _, c := range []struct{ ddl, why string }{
		{"DROP TABLE orders", "table public.orders: it goes"},
		{"ALTER TABLE orders RENAME TO purchases", "table public.orders: it goes, or gets another name"},
		{"ALTER TABLE orders DROP COLUMN body", "column body goes"},
		{"ALTER TABLE orders RENAME COLUMN body TO words", "column body goes"},
		{"ALTER TABLE order_items ALTER qty TYPE bigint", "column qty changes its type from integer to bigint"},
		{"ALTER TABLE orders ALTER amount SET NOT NULL", "column amount would refuse NULL"},
		{"ALTER TABLE audit ALTER tenant_id DROP NOT NULL", "column tenant_id tells customers apart, and would take NULL"},
		{"ALTER TABLE orders ADD CHECK (amount > 0)", "rows under way could break what it adds"},
		{"CREATE UNIQUE INDEX ON order_items (token)", "rows under way could break what it adds"},
		{"ALTER TABLE orders ADD made uuid DEFAULT gen_random_uuid()", "it is written anew"},
		{"ALTER TABLE orders ADD seen timestamptz DEFAULT now()", "a default has to be one value, and no function"},
		{"ALTER TABLE audit REPLICA IDENTITY NOTHING", "it is written anew, or loses what its rows are told apart by"},
		{"ALTER TABLE events DETACH PARTITION events_a", "it is written anew, or loses what its rows are told apart by"},
		{"ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "row security"},
		{"ALTER TABLE orders DISABLE TRIGGER ALL", "it changes what Drover has made: trigger zzzz_drover_guard"},
		{"DROP TRIGGER zzzz_drover_guard ON orders", "it changes what Drover has made"},
		{"DROP SCHEMA drover CASCADE", ""},
		{"ALTER TABLE drover.fence ADD x int", "it changes what Drover has made"},
		{"CREATE TABLE drover.mine (a int)", "it adds to what Drover has made"},
		{"CREATE OR REPLACE FUNCTION drover.is_home(t bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
			"it changes what Drover has made: function"},
		{"CREATE TABLE loose (id int PRIMARY KEY)", "new table public.loose: it has no column that tells customers apart"},
		{"CREATE TABLE n (tenant_id int, id int PRIMARY KEY)", "column tenant_id tells customers apart, and takes NULL"},
		{"CREATE TABLE n (tenant_id text NOT NULL)", "tells customers apart by integers, and is text"},
		{"CREATE UNLOGGED TABLE n (tenant_id int NOT NULL)", "it is not logged"},
		{"CREATE TABLE n AS SELECT tenant_id FROM orders; ALTER TABLE n ALTER tenant_id SET NOT NULL",
			"has rows, which both sides would have"},
		{"ALTER TABLE nowhere ADD a int", `line 1: ERROR: relation "nowhere" does not exist`},
		{"CREATE TABLE n (tenant_id int NOT NULL);\nCREATE TABLE n (tenant_id int NOT NULL)", `line 2: ERROR: relation "n" already exists`},
		{"CREATE TABLE n (tenant_id int NOT NULL); COMMIT", "leave COMMIT out"},
		{"", "it has no statement"},
	} {
		ddl, why := c.ddl, c.why
		t.Run(ddl, func(t *testing.T) {
			found, err := setup.CheckChange(t.Context(), r.Pair, change(ddl))
			require.NoError(t, err)
			require.NotEmpty(t, found)
			require.Contains(t, found[0].Reason, why)
			require.ErrorIs(t, setup.ApplyChange(t.Context(), r.Pair, change(ddl), func(string) {}), setup.ErrNotTakenIn)
		})
	}
	require.Equal(t, before, r.Num(s, "SELECT count(*) FROM pg_attribute"))
	r.Sound()
}

// The server took one side's commit, and the worker died before the other's.
func TestAChangeThatOneSideHasIsFinishedOnTheOther(t *testing.T) {
	r := moved(pairtest.New(t))
	ddl := "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id int NOT NULL, words text DEFAULT 'x')"
	require.ErrorIs(t, setup.MakeOnOne(t.Context(), r.Pair, change(ddl), d), nil)
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM drover.schema_change"))
	require.Equal(t, "42P01", r.Exec(s, "SELECT FROM notes"))
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		all.Go(func() { errs[i] = setup.ApplyChange(t.Context(), r.Pair, change(ddl), func(string) {}) })
	}
	all.Wait()
	require.NoError(t, setup.ApplyChange(t.Context(), r.Pair, change(ddl), func(string) {}), "%v", errors.Join(errs...))
	r.Must(d, "INSERT INTO notes (tenant_id) VALUES (1)")
	r.Until("it arrives", func() bool { return r.Num(s, "SELECT count(*) FROM notes") == 1 })
	r.Sound()
}

// AWS has committed a change, and premises refuse it: which side has it is said, and what to do.
func TestAChangeThatPremisesRefuseAfterAWSTookItSaysWhoHasIt(t *testing.T) {
	const (
		ddl  = "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id int NOT NULL, words text)"
		half = "; the change is made on AWS and not on premises, and nobody moves until both are alike: take away what refuses it on " +
			"premises and give the same file again, which goes on there alone, or undo it on AWS by hand and `drover schema take-in`"
	)
	r := moved(pairtest.New(t))
	r.Must(s, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full' USING ERRCODE = '53100'; END $$;
		CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON drover.schema_change DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
			EXECUTE FUNCTION refuse()`)
	err := setup.ApplyChange(t.Context(), r.Pair, change(ddl), func(string) {})
	require.ErrorContains(t, err, "the disk is full")
	require.ErrorContains(t, err, half, "at its commit")
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM drover.schema_change"))
	require.EqualValues(t, 0, r.Num(s, "SELECT count(*) FROM drover.schema_change"))
	w, err := r.Pair.Watch(t.Context())
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(w.Schema), "table public.notes", "nobody moves")

	r.Must(s, "DROP TRIGGER refuse ON drover.schema_change; CREATE TABLE notes (id int PRIMARY KEY)")
	found, err := setup.CheckChange(t.Context(), r.Pair, change(ddl))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Contains(t, found[0].Reason, `relation "notes" already exists`)
	require.Contains(t, found[0].Reason, half, "before it is tried again")
	err = setup.ApplyChange(t.Context(), r.Pair, change(ddl), func(string) {})
	require.ErrorIs(t, err, setup.ErrNotTakenIn)
	require.ErrorContains(t, err, half)

	r.Must(s, "DROP TABLE notes")
	changed(r, ddl)
	r.Must(d, "INSERT INTO notes (tenant_id) VALUES (1)")
	r.Until("it arrives", func() bool { return r.Num(s, "SELECT count(*) FROM notes") == 1 })
	found, err = setup.CheckChange(t.Context(), r.Pair, change("DROP TABLE orders"))
	require.NoError(t, err)
	require.NotContains(t, found[0].Reason, "the change is made", "neither side has it")
	r.Sound()
}

// A customer's transaction holds the table: the change gives way again and again, and everybody
// else writes within seconds.
func TestNobodyWaitsLongForAChangeThatIsInSomebodysWay(t *testing.T) {
	r := moved(pairtest.New(t))
	holder := r.App(s)
	_, err := holder.Exec(t.Context(), "BEGIN; UPDATE acct SET n = 1 WHERE tenant_id = 2")
	require.NoError(t, err)
	made := make(chan error, 1)
	go func() {
		made <- setup.ApplyChange(t.Context(), r.Pair, change("ALTER TABLE acct ADD COLUMN note text"), func(string) {})
	}()
	var longest time.Duration
	for begun := time.Now(); time.Since(begun) < 5*time.Second; {
		at := time.Now()
		r.Must(s, "INSERT INTO acct VALUES ($1, 0)", 100+time.Since(begun).Milliseconds())
		longest = max(longest, time.Since(at))
	}
	require.Less(t, longest, 4*time.Second)
	select {
	case err := <-made:
		t.Fatalf("it was made while a writer held the table: %v", err)
	default:
	}
	_, err = holder.Exec(t.Context(), "COMMIT")
	require.NoError(t, err)
	require.NoError(t, <-made)
	r.Must(d, "UPDATE acct SET note = 'n' WHERE tenant_id = 1")
	r.Until("it arrives", func() bool { return r.Num(s, "SELECT count(*) FROM acct WHERE note = 'n'") == 1 })

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = holder.Exec(t.Context(), "BEGIN; UPDATE acct SET n = 1 WHERE tenant_id = 2")
	require.NoError(t, err)
	_, err = setup.CheckChange(ctx, r.Pair, change("ALTER TABLE acct ADD COLUMN other text"))
	require.Error(t, err, "nobody knows")
}

func TestWhatWasMadeByHandIsSaidAndTakenInOnceItIsAlike(t *testing.T) {
	r := moved(pairtest.New(t))
	ddl := "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id int NOT NULL, words text)"
	r.Must(s, ddl)
	r.Must(s, "INSERT INTO notes (tenant_id, words) VALUES (2, 'before')")
	w, err := r.Pair.Watch(t.Context())
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(w.Schema), "table public.notes is only on premises")
	found, err := setup.CheckByHand(t.Context(), r.Pair)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Contains(t, found[0].Reason, "table public.notes is on one side only")
	r.Must(d, ddl)
	found, err = setup.CheckByHand(t.Context(), r.Pair)
	require.NoError(t, err)
	require.Empty(t, found)
	w, err = r.Pair.Watch(t.Context())
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(w.Schema), "table public.notes on premises is not guarded")
	require.NoError(t, setup.TakeIn(t.Context(), r.Pair, nil))
	r.Until("its rows are copied", func() bool { return r.Num(d, "SELECT count(*) FROM notes WHERE words = 'before'") == 1 })
	w, err = r.Pair.Watch(t.Context())
	require.NoError(t, err)
	require.Empty(t, w.Schema)
}
