package postgres_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// strayed is a pair of which premises have forgotten that tenant 1 moved to AWS, and took writes
// beside it, until an audit closed them again.
func strayed(r *pairtest.Rig, writes ...string) *pairtest.Rig {
	r.Helper()
	r.Rows(2)
	r.Prepare(2)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	watch(r)
	r.Script(s, "UPDATE drover.fence SET state = 'open' WHERE tenant = 1")
	for _, sql := range writes {
		r.Must(s, sql)
	}
	require.Len(r, watch(r).Stale, 1)
	return r
}

func apartOf(r *pairtest.Rig, tenant int64) postgres.Apart {
	r.Helper()
	a, err := r.Pair.Apart(r.Context(), tenant)
	require.NoError(r, err)
	return a
}

// strays are rows of every kind of table: an identity and a generated column, no key at all,
// partitions, and a key that begins with the tenant.
var strays = []string{
	`INSERT INTO orders (tenant_id, token, amount, body) VALUES (1, gen_random_uuid(), 7.5, '{"a": [1, null, "it''s"]}')`,
	`INSERT INTO orders (tenant_id, amount) SELECT 1, g FROM generate_series(1, 3) g`,
	`INSERT INTO audit VALUES (1, 'infinity', NULL, E'two\nlines, "quoted", \\ and {braces}'), (1, now(), NULL, 'same'), (1, now(), NULL, '')`,
	`INSERT INTO events (ts, tenant_id, doc, raw) VALUES ('2025-03-01', 1, '{"n": 1.10}', '\x00ff5c27')`,
	`INSERT INTO blobs (tenant_id, data) VALUES (1, '\xdeadbeef')`,
}

func TestWhatOneSideAloneHasIsCarriedHomeOnce(t *testing.T) {
	r := strayed(pairtest.New(t), strays...)
	a := apartOf(r, 1)
	require.Empty(t, a.Why)
	require.Equal(t, s, a.Side)
	require.Equal(t, 9, a.New(), "%+v", a.Tables)
	out, broken, err := r.Pair.ApartNow(t.Context())
	require.NoError(t, err)
	require.Len(t, out, 1)
	require.Empty(t, broken)

	done, err := r.Pair.CarryOver(t.Context(), 1, "ann", "CHG-7")
	require.NoError(t, err)
	require.Len(t, done, 1)
	require.Equal(t, 9, done[0].Rows)
	require.Contains(t, done[0].Words, "table public.orders: 4 rows: id=")
	require.EqualValues(t, 4, r.Num(d, "SELECT count(*) FROM orders WHERE tenant_id = 1 AND created_at > (SELECT at FROM drover.beat "+
		"WHERE tenant = 1 AND pub = $1)", r.Pair.Names.Forward))
	require.EqualValues(
		t,
		1,
		r.Num(d, `SELECT count(*) FROM orders WHERE tenant_id = 1 AND body = '{"a": [1, null, "it''s"]}' AND total = 9`),
	)
	require.EqualValues(t, 1, r.Num(d, `SELECT count(*) FROM events WHERE tenant_id = 1 AND raw = '\x00ff5c27' AND doc->>'n' = '1.10'`))
	require.EqualValues(
		t,
		1,
		r.Num(d, `SELECT count(*) FROM audit WHERE ts = 'infinity' AND msg = E'two\nlines, "quoted", \\ and {braces}'`),
	)
	require.Contains(t, watch(r).Stale[0].Writes, "of these, carried over by ann (CHG-7)", "status says who carried what over")

	r.Until("replication has brought them back", func() bool { return apartOf(r, 1).Alike() })
	again, err := r.Pair.CarryOver(t.Context(), 1, "ann", "CHG-7")
	require.NoError(t, err)
	require.Empty(t, again)
	r.Move(d, 1, pairtest.Try(3, 1)) // and its sides are alike again
	require.EqualValues(t, 0, r.Num(s, "SELECT count(*) FROM drover.carried"), "no row is kept beside its table")
	r.Sound()
}

func TestARowThatBothSidesChangedIsShownAndLeftAsItIs(t *testing.T) {
	r := strayed(pairtest.New(t), "UPDATE acct SET n = 7 WHERE tenant_id = 1",
		"INSERT INTO blobs (tenant_id, data) VALUES (1, 'x')")
	r.Must(d, "UPDATE tenants SET name = 'at home' WHERE tenant_id = 1")
	r.Must(d, "INSERT INTO orders (tenant_id, amount) VALUES (1, 9)")
	r.Until("what the home writes goes on", func() bool {
		return r.Num(s, "SELECT count(*) FROM orders WHERE tenant_id = 1 AND amount = 9") == 1
	})
	a := apartOf(r, 1)
	require.Empty(t, a.Why)
	require.Equal(t, 1, a.New())
	require.Contains(t, a.Tables[0].String(), "table public.acct: 1 rows that its home has not, or has with another content: its one row")
	done, err := r.Pair.CarryOver(t.Context(), 1, "ann", "CHG-7")
	require.NoError(t, err)
	require.Equal(t, 1, done[0].Rows)
	require.EqualValues(t, 0, r.Num(d, "SELECT n FROM acct WHERE tenant_id = 1"), "an update is not carried over")
	require.EqualValues(t, 7, r.Num(s, "SELECT n FROM acct WHERE tenant_id = 1"))
	a = apartOf(r, 1)
	require.False(t, a.Alike())
	require.Zero(t, a.New())
}

// Whoever dies between the two sides leaves the rows written down, and whoever carries over next
// brings them home, also where home is elsewhere by then.
func TestACarryingOverThatWasCutOffIsFinishedByTheNext(t *testing.T) {
	for _, home := range []migration.Side{d, s} {
		t.Run("home "+string(home), func(t *testing.T) {
			r := strayed(pairtest.New(t), strays...)
			require.NoError(t, r.Pair.TakeOut(t.Context(), 1, "ann", "CHG-7"))
			_, broken, err := r.Pair.ApartNow(t.Context())
			require.NoError(t, err)
			require.Contains(t, strings.Join(broken, "\n"), "9 rows were taken out on premises and are not known to be at home")
			if home == s {
				r.Move(d, 1, pairtest.Try(3, 1))
				require.ErrorIs(t, setup.DropAll(t.Context(), r.Pair, nil), setup.ErrBetween, "nothing takes them away")
			}
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() { _, _ = r.Pair.CarryOver(t.Context(), 1, "bob", "again") })
			}
			all.Wait()
			_, err = r.Pair.CarryOver(t.Context(), 1, "bob", "again")
			require.NoError(t, err)
			require.EqualValues(
				t,
				3,
				r.Num(home, "SELECT count(*) FROM audit WHERE tenant_id = 1 AND (ts = 'infinity' OR msg IN ('same', ''))"),
			)
			require.EqualValues(t, 1, r.Num(home, `SELECT count(*) FROM blobs WHERE data = '\xdeadbeef'`))
			r.Until("both sides have them", func() bool { return apartOf(r, 1).Alike() })
			r.Sound()
		})
	}
}

func TestNothingIsCarriedOverWhereThatIsNotSound(t *testing.T) {
	order := "INSERT INTO orders (tenant_id, amount) VALUES (1, 5000)"
	for _, x := range []struct {
		name   string
		before func(r *pairtest.Rig)
		stray  string
		after  func(r *pairtest.Rig)
		says   string
	}{
		{"a delete at home that has not come", nil, order, func(r *pairtest.Rig) {
			r.Script(s, "ALTER SUBSCRIPTION "+r.Pair.Names.Back+" DISABLE")
			r.Until("its slot is free", func() bool {
				return r.Num(d, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND active", r.Pair.Names.Back) == 0
			})
			r.Must(d, "DELETE FROM acct WHERE tenant_id = 1")
			r.Script(d, "SELECT pg_replication_slot_advance('"+r.Pair.Names.Back+"', pg_current_wal_lsn())")
			r.Script(s, "ALTER SUBSCRIPTION "+r.Pair.Names.Back+" ENABLE")
		}, "nothing tells a new row from one that was deleted at home"},
		{"a row that the home does not take", nil, order, func(r *pairtest.Rig) {
			r.Script(d, "ALTER TABLE orders ADD CONSTRAINT few CHECK (amount < 1000)")
		}, `violates check constraint "few"`},
		{"a row that refers to one that is gone", func(r *pairtest.Rig) {
			r.Script(s, "CREATE TABLE parent (tenant_id int NOT NULL, id int PRIMARY KEY); CREATE TABLE child (tenant_id int NOT NULL, "+
				"id int PRIMARY KEY, parent int REFERENCES parent); INSERT INTO parent VALUES (1, 1)")
		}, "INSERT INTO child VALUES (1, 1, 1)", func(r *pairtest.Rig) {
			r.Must(d, "DELETE FROM parent WHERE id = 1")
		}, "1 of them refer by child_parent_fkey to rows that are not at home"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := pairtest.New(t)
			if x.before != nil {
				x.before(r)
			}
			strayed(r, x.stray)
			x.after(r)
			there := apartOf(r, 1)
			_, err := r.Pair.CarryOver(t.Context(), 1, "ann", "CHG-7")
			require.ErrorIs(t, err, postgres.ErrNotSound)
			require.ErrorContains(t, err, x.says)
			require.Equal(t, there.New(), apartOf(r, 1).New(), "nothing was touched")
			require.EqualValues(t, 0, r.Num(s, "SELECT count(*) FROM drover.carrying"))
		})
	}
}

func TestNobodyIsCarriedOverWhileItMoves(t *testing.T) {
	r := strayed(pairtest.New(t), strays[0])
	require.Equal(t, migration.WordFenced, r.Fence(d, 1, pairtest.Try(3, 1), pairtest.Patience))
	_, err := r.Pair.CarryOver(t.Context(), 1, "ann", "CHG-7")
	require.ErrorIs(t, err, postgres.ErrUnderWay)
}

func TestWithoutCommitTimestampsNothingTellsWhereARowCameFrom(t *testing.T) {
	o := pairtest.Options
	o.Name, o.Settings = "forgetful", map[string]string{"track_commit_timestamp": "off"}
	src, err := pg.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	r := strayed(pairtest.NewOn(t, src, pairtest.AWS), strays[0])
	a := apartOf(r, 1)
	require.Contains(t, a.Why, "track_commit_timestamp is off")
	require.Contains(t, a.Tables[0].String(), "1 rows that its home has not")
	_, err = r.Pair.CarryOver(t.Context(), 1, "ann", "CHG-7")
	require.NoError(t, err, "there is nothing that it could carry over")
}

// The server on premises was restored to a day before the Move: it has forgotten the seal, what it
// had sent, and what came from AWS.
func TestWhatARestoredServerTookIsCarriedHome(t *testing.T) {
	src, dst := ownServers(t)
	r := pairtest.NewOn(t, src, dst)
	r.Rows(2)
	r.Prepare(2)
	r.Synced()
	require.Empty(t, watch(r).Doubts)
	require.NoError(t, src.Stop(pg.Fast))
	require.NoError(t, src.Backup())
	require.NoError(t, src.Restart(t.Context()))
	r.Pair.OnPrem.Reset() // connections that the stop has ended fail once
	r.Until("beats again", func() bool { _, err := r.Pair.Lag(t.Context()); return err == nil })
	r.Must(s, "CREATE TABLE filler AS SELECT g, repeat('x', 1000) t FROM generate_series(1, 5000) g")
	r.Move(s, 1, pairtest.Try(1, 1))
	require.Empty(t, watch(r).Doubts)
	require.NoError(t, src.Stop(pg.Fast))
	require.NoError(t, src.Restore())
	require.NoError(t, src.Restart(t.Context()))
	r.Pair.OnPrem.Reset()
	r.Must(s, strays[0]) // it takes what it takes
	require.Len(t, watch(r).Doubts, 1)
	_, err := r.Pair.CarryOver(t.Context(), 1, "ann", "CHG-7")
	require.ErrorIs(t, err, postgres.ErrDoubtedServer)

	states, err := r.Pair.Servers(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.Pair.Agree(t.Context(), s, states[0].Now, "ann", "restored from Monday's backup"))
	require.Empty(t, watch(r).Doubts)
	require.Equal(t, migration.AWS, home(r, 1).Home())
	// Until its log is longer than it was, AWS takes nothing of it.
	require.Contains(t, apartOf(r, 1).Why, "nothing arrives from on premises now")
	r.Must(s, "CREATE TABLE filler AS SELECT g, repeat('x', 1000) t FROM generate_series(1, 20000) g")
	r.Until("it is sound", func() bool { return apartOf(r, 1).Why == "" })
	done, err := r.Pair.CarryOver(t.Context(), 1, "ann", "CHG-7")
	require.NoError(t, err)
	require.Equal(t, 1, done[0].Rows)
	require.EqualValues(t, 1, r.Num(d, `SELECT count(*) FROM orders WHERE tenant_id = 1 AND amount = 7.5`))
}
