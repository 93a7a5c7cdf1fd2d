package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestNothingIsFencedWhileADirectionIsBroken(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	for _, from := range []migration.Side{s, d} {
		t.Run("from "+string(from), func(t *testing.T) {
			sub := r.Pair.Names.Outgoing(from)
			r.Must(from.Other(), "ALTER SUBSCRIPTION "+sub+" DISABLE")
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := r.Pair.Lag(ctx)
			require.ErrorIs(t, err, postgres.ErrNoBeat)
			require.ErrorContains(t, err, "from "+string(from)+" to "+string(from.Other()))
			require.ErrorContains(t, err, sub)

			ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 300 * time.Millisecond})
			require.NoError(t, err)
			require.Equal(t, []string{"postgres-beat"}, pairtest.Checks(ready.Findings))
			require.Equal(t, migration.Blocker, ready.Findings[0].Severity)
			require.Contains(t, ready.Findings[0].Reason, "from "+string(from)+" to "+string(from.Other()))

			r.Must(from.Other(), "ALTER SUBSCRIPTION "+sub+" ENABLE")
			r.Until("it flows again", func() bool {
				ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
				require.NoError(t, err)
				return len(ready.Findings) == 0
			})
		})
	}
}

// Whoever is on AWS needs the way home alone: it comes home also where the way out is lost for
// good. Nobody sets out then.
func TestWhoIsOnAWSComesHomeThoughTheWayOutIsLost(t *testing.T) {
	r := pairtest.New(t).Prepared(2)
	r.Move(s, 1, pairtest.Try(1, 1))
	sub := r.Pair.Names.Forward
	r.Script(d, "ALTER SUBSCRIPTION "+sub+" DISABLE; ALTER SUBSCRIPTION "+sub+" SET (slot_name = NONE); DROP SUBSCRIPTION "+sub)
	limits := postgres.Limits{Lease: 5 * time.Second, MaxLag: 2 * time.Second}
	ready, err := r.Pair.Ready(t.Context(), d, 1, limits)
	require.NoError(t, err)
	require.Empty(t, migration.Blockers(ready.Findings))
	r.Move(d, 1, pairtest.Try(3, 1))
	r.Must(s, "UPDATE acct SET n = n + 1 WHERE tenant_id = 1")
	_, err = r.Pair.Ready(t.Context(), s, 2, limits)
	require.ErrorIs(t, err, postgres.ErrNotPrepared)
}

func TestNothingIsFencedWhileADirectionIsSlowerThanThePlanAllows(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	for _, from := range []migration.Side{s, d} {
		t.Run("from "+string(from), func(t *testing.T) {
			// Whoever holds the heartbeat's row makes the beat wait.
			tx, err := r.App(from.Other()).Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "SELECT FROM drover.beat WHERE pub = $1 AND tenant = 0 FOR UPDATE", r.Pair.Names.Outgoing(from))
			require.NoError(t, err)
			const allowed = 500 * time.Millisecond
			begun := time.Now()
			type answer struct {
				postgres.Readiness
				error
			}
			asked := make(chan answer, 1)
			go func() {
				limits := postgres.Limits{Lease: 10 * time.Second, MaxLag: allowed}
				ready, err := r.Pair.Ready(context.WithoutCancel(t.Context()), s, 1, limits)
				asked <- answer{ready, err}
			}()
			r.Until("the beat is late", func() bool {
				return time.Since(begun) > allowed+100*time.Millisecond &&
					r.Num(from.Other(), "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication %worker' "+
						"AND wait_event_type = 'Lock' AND datname = current_database()") == 1
			})
			require.NoError(t, tx.Rollback(t.Context()))
			got := <-asked
			require.NoError(t, got.error)
			require.Equal(t, []string{"postgres-lag"}, pairtest.Checks(got.Findings))
			require.Equal(t, migration.Blocker, got.Findings[0].Severity)
			require.Contains(t, got.Findings[0].Reason, postgres.Direction(from))
		})
	}
}

func TestNothingIsFencedWhileATableIsHeldAgainstItsPublication(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	for _, side := range []migration.Side{s, d} {
		tx, err := r.App(side).Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE") // as VACUUM and CREATE INDEX CONCURRENTLY do
		require.NoError(t, err)
		var found []migration.Finding
		r.Until("it has held it for a second", func() bool {
			ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
			require.NoError(t, err)
			found = ready.Findings
			return len(found) > 0
		})
		require.Equal(t, []string{"postgres-table-lock"}, pairtest.Checks(found))
		require.Contains(t, found[0].Reason, r.Pair.Side(side).Where()+" holds table public.orders for ")
		require.Contains(t, found[0].Reason, "(LOCK)")
		require.NoError(t, tx.Rollback(t.Context()))
		ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
		require.NoError(t, err)
		require.Empty(t, ready.Findings)
	}
}

// Each change is made on a side or both after replication was set up; Prepare takes in what is
// alike on both.
func TestNothingIsFencedAfterAChangeOfTheSchemaUntilItIsTakenIn(t *testing.T) {
	both := []migration.Side{s, d}
	for _, c := range []struct {
		name, sql string
		at        []migration.Side
		says      string
		undo      string // "": Prepare takes it in
	}{
		{"a new table", "CREATE TABLE notes (id uuid PRIMARY KEY, tenant_id int NOT NULL, body text)", both, "table public.notes on " +
			"premises is not guarded", ""},
		{"a new table on one side", "CREATE TABLE notes (id uuid PRIMARY KEY, tenant_id int NOT NULL)", both[:1],
			"table public.notes is only on premises", "DROP TABLE notes"},
		{"a new table on the other side", "CREATE TABLE notes (id uuid PRIMARY KEY, tenant_id int NOT NULL)", both[1:],
			"table public.notes is only on AWS", "DROP TABLE notes"},
		{"a new table of nobody's", "CREATE TABLE jobs (id int PRIMARY KEY)", both, "table public.jobs on premises is neither a " +
			"customer's nor named in the plan", "DROP TABLE jobs"},
		{"a new partition", "CREATE TABLE events_d PARTITION OF events FOR VALUES FROM ('2040-01-01') TO ('2041-01-01')", both,
			"table public.events_d on AWS is not identified by a key with tenant_id", ""},
		{"a new column on one side", "ALTER TABLE acct ADD note text", both[:1], "column note of table public.acct is only on premises",
			"ALTER TABLE acct DROP note"},
		{"a guard taken away", "DROP TRIGGER zzzz_drover_guard ON acct", both[1:], "table public.acct on AWS is not guarded", ""},
		{"an identity taken away", "ALTER TABLE order_items REPLICA IDENTITY DEFAULT", both[:1], "table public.order_items on premises " +
			"is not identified by a key with tenant_id", ""},
		{"a table made anew", "DROP TABLE blobs; CREATE TABLE blobs (tenant_id int NOT NULL, id uuid, token uuid, data bytea, PRIMARY " +
			"KEY (tenant_id, id))", both, "table public.blobs on premises is not subscribed to", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := pairtest.New(t).Prepared(2)
			r.Move(s, 2, pairtest.Try(1, 1))
			ready := func() []migration.Finding {
				ready, err := r.Pair.Ready(t.Context(), s, 1, postgres.Limits{Lease: 5 * time.Second, MaxLag: 5 * time.Second})
				require.NoError(t, err)
				return ready.Findings
			}
			require.Empty(t, ready())
			for _, side := range c.at {
				r.Must(side, c.sql)
			}
			found := ready()
			require.Equal(t, []string{"postgres-schema"}, pairtest.Checks(found))
			require.Contains(t, found[0].Reason, c.says)
			for _, side := range c.at {
				if c.undo != "" {
					r.Must(side, c.undo)
				}
			}
			if c.undo == "" {
				r.Prepare(2)
				r.Synced()
			}
			require.Empty(t, ready())
			r.Move(s, 1, pairtest.Try(1, 2))
			r.Move(d, 2, pairtest.Try(2, 3))
			r.Sound()
		})
	}
}

func TestATableThatIsTakenInLaterGoesBothWaysAndIsGuarded(t *testing.T) {
	r := pairtest.New(t).Prepared(2)
	r.Move(s, 2, pairtest.Try(1, 1))
	for _, side := range []migration.Side{s, d} {
		r.Must(side, "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id int NOT NULL)")
		r.Must(side, "CREATE TABLE ref_color (name text PRIMARY KEY)")
	}
	// Before it is taken in, each customer writes where it is at home.
	r.Must(s, "INSERT INTO notes (tenant_id) VALUES (1)")
	r.Must(d, "INSERT INTO notes (tenant_id) VALUES (2)")
	r.Must(s, "INSERT INTO ref_color VALUES ('red')")
	again := pairtest.Orders
	again.Tables = append([]migration.Table{{Name: "ref_color", Reference: migration.OnPrem}}, pairtest.Orders.Tables...)
	r.Pair.Dataset = again
	r.Prepare(2)
	r.Synced()
	for _, side := range []migration.Side{s, d} {
		require.EqualValues(t, 2, r.Num(side, "SELECT count(*) FROM notes"), side)
		require.EqualValues(t, 1, r.Num(side, "SELECT count(*) FROM ref_color"), side)
	}
	require.Equal(t, pairtest.Refused, r.Exec(d, "INSERT INTO notes (tenant_id) VALUES (1)"))
	require.Equal(t, pairtest.Refused, r.Exec(s, "INSERT INTO notes (tenant_id) VALUES (2)"))
	r.Must(s, "INSERT INTO notes (tenant_id) VALUES (1)")
	r.Must(d, "INSERT INTO notes (tenant_id) VALUES (2)")
	r.Move(s, 1, pairtest.Try(1, 2))
	r.Move(d, 2, pairtest.Try(2, 3))
	r.Sound()
}

func TestADroppedTableStopsNoMoveUnderWay(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	require.Equal(t, migration.WordFenced, r.Fence(s, 1, pairtest.Try(1, 1), 10*time.Second))
	for _, side := range []migration.Side{s, d} {
		r.Must(side, "DROP TABLE audit")
	}
	require.Equal(t, migration.WordFenced, r.Word(pairtest.StepsOn(r.Pair).AwaitMark(t.Context(), d, 1, pairtest.Try(1, 1),
		10*time.Second)))
	require.Equal(t, migration.WordSealed, r.Seal(s, 1, pairtest.Try(1, 1)))
	require.Equal(t, migration.WordOpen, r.OpenAt(d, 1, pairtest.Try(1, 1)))
	r.Sound()
}
