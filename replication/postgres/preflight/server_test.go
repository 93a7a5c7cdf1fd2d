package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// found is what Check says, "severity check subject".
func found(r *pairtest.Rig, p *postgres.Pair) (out []string) {
	r.Helper()
	list, err := Check(r.Context(), p, []int64{1}, Moves{})
	require.NoError(r, err)
	for _, f := range list {
		require.NotEmpty(r, f.Remedy, f.Check)
		out = append(out, fmt.Sprintf("%s %s %s", f.Severity, f.Check, f.Subject))
	}
	return out
}

// about keeps what is said of some checks.
func about(found []string, check ...string) []string {
	return slices.DeleteFunc(slices.Clone(found), func(f string) bool { return !slices.Contains(check, strings.Fields(f)[1]) })
}

func TestCheckNamesWhatAServerIsNotSetUpFor(t *testing.T) {
	tooltest.Dir(t, "pg/bin/postgres")
	o := pairtest.Options
	o.Name = "plain"
	o.Settings = map[string]string{"wal_level": "replica", "max_replication_slots": "1", "max_wal_senders": "1",
		"max_logical_replication_workers": "2",
		"max_slot_wal_keep_size":          "1GB", "wal_retrieve_retry_interval": "5s", "max_active_replication_origins": "1"}
	if !strings.Contains(serverVersion(t), "PostgreSQL 18") {
		delete(o.Settings, "max_active_replication_origins") // before 18, max_replication_slots stands for it
	} else {
		o.Settings["idle_replication_slot_timeout"] = "1h"
	}
	plain, err := pg.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	require.NoError(t, plain.Exec(t.Context(), "postgres", "SELECT pg_create_physical_replication_slot('standby')"))
	standby, err := pgx.Connect(t.Context(), plain.DSN("postgres")+"&replication=true")
	require.NoError(t, err)
	t.Cleanup(func() { _ = standby.Close(context.Background()) })

	settings := []string{"postgres-wal-level", "postgres-slots", "postgres-senders", "postgres-workers", "postgres-origins",
		"postgres-slot-wal", "postgres-retry-interval", "postgres-version"}
	for _, x := range []struct {
		where    string
		src, dst *pg.Server
		want     []string
	}{
		{"on premises", plain, pairtest.AWS, []string{"wal-level", "slots", "senders", "workers"}},
		{"on AWS", pairtest.OnPrem, plain, []string{"wal-level", "slots", "senders", "origins", "workers"}},
	} {
		t.Run(x.where, func(t *testing.T) {
			r := pairtest.NewOn(t, x.src, x.dst)
			var want []string
			for _, w := range x.want {
				want = append(want, "blocker postgres-"+w+" database orders "+x.where)
			}
			for _, w := range []string{"slot-wal", "retry-interval"} {
				want = append(want, "warning postgres-"+w+" database orders "+x.where)
			}
			if o.Settings["idle_replication_slot_timeout"] != "" {
				want = append(want, "warning postgres-slot-wal database orders "+x.where)
			}
			require.ElementsMatch(t, want, about(found(r, r.Pair), settings...), "the other server has what it needs")
		})
	}
}

func serverVersion(t *testing.T) (v string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), pairtest.OnPrem.DSN("postgres"))
	require.NoError(t, err)
	defer func() { _ = c.Close(context.Background()) }()
	require.NoError(t, c.QueryRow(t.Context(), "SELECT version()").Scan(&v))
	return v
}

func TestCheckNamesAVersionWhoseRowFiltersCannotBeTrusted(t *testing.T) {
	r := pairtest.New(t)
	c := &survey{Pair: r.Pair, asking: "version"}
	require.NoError(t, c.read(t.Context()))
	c.versions[s] = 160009
	require.NoError(t, side(version)(t.Context(), c))
	require.Equal(t, []string{"postgres-version"}, pairtest.Checks(c.found))
	require.Equal(t, migration.Blocker, c.found[0].Severity)
	require.Equal(t, "database orders on premises", c.found[0].Subject)
	require.Contains(t, c.found[0].Reason, "16.9")
	require.Contains(t, c.found[0].Remedy, "16.10")
}

func TestCheckNamesThePrivilegesThatARoleLacks(t *testing.T) {
	r := pairtest.New(t)
	ctx := t.Context()
	require.NoError(t, r.Dst.Exec(ctx, r.DB, pg.Schema))
	role := r.DB + "_nobody"
	sides := map[*pg.Server]*postgres.Server{}
	for side, at := range map[migration.Side]*pg.Server{s: r.Src, d: r.Dst} {
		password, err := at.CreateRole(ctx, role, "")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, at.Exec(context.Background(), "postgres", "DROP ROLE "+role)) })
		a, err := postgres.ParseDSN(at.DSNAs(role, password, r.DB))
		require.NoError(t, err)
		sides[at], err = postgres.Connect(ctx, side, a, a, nil)
		require.NoError(t, err)
	}
	p := postgres.NewPair(r.DB, migration.Dataset{Name: "orders", Postgres: &pairtest.Orders}, sides[r.Src], sides[r.Dst])
	defer p.Close()
	list := found(r, p)
	for _, where := range []string{"on premises", "on AWS"} {
		for _, want := range []string{
			"blocker postgres-privilege-create role " + role + " " + where, "blocker postgres-privilege-subscribe role " + role + " " +
				where,
			"blocker postgres-privilege-sequence sequence public.order_items_id_seq of table public.order_items on premises",
			"blocker postgres-privilege-owner table public.acct " + where, "blocker postgres-privilege-owner table public.ref_currency " +
				where,
			"warning postgres-privilege-stats role " + role + " " + where, "blocker postgres-connectivity database orders " + where +
				" -> ",
		} {
			require.True(t, slices.ContainsFunc(list, func(f string) bool { return strings.HasPrefix(f, want) }), "want %q in:\n%s", want,
				strings.Join(list, "\n"))
		}
	}
	require.Empty(t, about(found(r, r.Pair), "postgres-privilege-create", "postgres-privilege-subscribe", "postgres-privilege-owner",
		"postgres-privilege-stats", "postgres-connectivity"), "a superuser may all of it")
}

func TestCheckWantsNoRowsWhereTheFirstCopyGoes(t *testing.T) {
	r := pairtest.New(t)
	require.NoError(t, r.Dst.Exec(t.Context(), r.DB, pg.Schema+"; CREATE TABLE log (id int); INSERT INTO log VALUES (1)"))
	require.Empty(t, about(found(r, r.Pair), "postgres-target-not-empty"), "a table of nobody's is not copied to")
	r.Must(d, "INSERT INTO acct VALUES (1, 1)")
	r.Must(d, "INSERT INTO ref_currency VALUES ('EUR', 1)")
	r.Must(d, "INSERT INTO events (ts, tenant_id) VALUES ('2024-05-05', 1)")
	require.Equal(t, []string{"blocker postgres-target-not-empty table public.acct on AWS", "blocker postgres-target-not-empty table " +
		"public.events on AWS",
		"blocker postgres-target-not-empty table public.ref_currency on AWS"}, about(found(r, r.Pair), "postgres-target-not-empty"))
	r.Must(d, "TRUNCATE acct, ref_currency, events")
	r.Must(s, "INSERT INTO acct VALUES (1, 1)")
	r.Prepare(1)
	r.Synced()
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM acct"))
	require.Empty(t, about(found(r, r.Pair), "postgres-target-not-empty"), "what the first copy brought")
}

func TestCheckWantsAnIndexThatBeginsWithTheTenant(t *testing.T) {
	r := pairtest.New(t)
	for _, x := range []struct {
		name, sql string
		warns     bool
	}{
		{"no index", "", true},
		{"one that begins with another column", "CREATE INDEX ON t (n, tenant_id)", true},
		{"one of some rows", "CREATE INDEX ON t (tenant_id) WHERE n > 0", true},
		{"one that begins with it", "CREATE INDEX ON t (tenant_id, n)", false},
		{"a key, since Prepare makes one with the tenant", "ALTER TABLE t ADD PRIMARY KEY (u)", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			r.Must(s, "CREATE TABLE t (tenant_id int NOT NULL, n int, u uuid)")
			defer r.Must(s, "DROP TABLE t")
			r.Must(s, x.sql)
			got := about(found(r, r.Pair), "postgres-tenant-index")
			if !x.warns {
				require.Empty(t, got)
				return
			}
			require.Equal(t, []string{"warning postgres-tenant-index table public.t"}, got)
		})
	}
}

// A policy that hides rows is common where tenants share tables, and FORCE holds their owner to it
// as well.
func TestCheckNamesTablesWhoseRowsTheRoleMayNotSee(t *testing.T) {
	r := pairtest.New(t)
	m := r.Planned()
	p := m.Opened()
	policy := func(table string) {
		r.Must(s, "ALTER TABLE "+table+" ENABLE ROW LEVEL SECURITY")
		r.Must(s, "CREATE POLICY own ON "+table+" USING (tenant_id = current_setting('app.tenant', true)::int)")
	}
	policy("acct")
	require.Empty(t, about(found(r, p), "postgres-row-security"), "the owner sees all")
	r.Must(s, "ALTER TABLE acct FORCE ROW LEVEL SECURITY")
	policy("events_a")
	r.Must(s, "ALTER TABLE events_a FORCE ROW LEVEL SECURITY")
	want := func(side string) []string {
		return []string{"blocker postgres-row-security table public.acct " + side, "blocker postgres-row-security table public.events " +
			side}
	}
	require.ElementsMatch(t, append(want("on premises"), want("on AWS")...), about(found(r, p), "postgres-row-security"),
		"the schema that comes to AWS forces it there, too")
	r.Must(s, "ALTER ROLE "+m.Role+" BYPASSRLS")
	require.ElementsMatch(t, want("on AWS"), about(found(r, p), "postgres-row-security"))
	r.Must(d, "ALTER ROLE "+m.Role+" BYPASSRLS")
	require.Empty(t, about(found(r, p), "postgres-row-security"))
	r.Rows(1)
	r.Prepare(1)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Move(d, 1, pairtest.Try(2, 1))
}

func TestCheckRelatesTheMovesAtATimeToTheConnectionsThatThereAre(t *testing.T) {
	few := ownServer(t, "few")
	require.NoError(t, few.Exec(t.Context(), "postgres", "ALTER SYSTEM SET max_connections = 20"))
	require.NoError(t, few.Stop(pg.Fast))
	require.NoError(t, few.Restart(t.Context()))
	r := pairtest.NewOn(t, few, pairtest.AWS)
	says := func(m Moves) []string {
		list, err := Check(t.Context(), r.Pair, []int64{1}, m)
		require.NoError(t, err)
		var out []string
		for _, f := range list {
			if f.Check == "postgres-connections" {
				out = append(out, fmt.Sprintf("%s %s: %s", f.Severity, f.Subject, f.Reason))
			}
		}
		return out
	}
	take := func(n int) {
		for range n {
			c, err := pgx.Connect(t.Context(), few.DSN("postgres"))
			require.NoError(t, err)
			t.Cleanup(func() { _ = c.Close(context.Background()) })
		}
	}
	require.Empty(t, says(Moves{Going: 4, Back: 8}), "20, less 3 for superusers, are enough for 12 and the freeze")
	take(3)
	require.Empty(t, says(Moves{Going: 1, Back: 2}))
	require.Equal(t, []string{"warning database orders on premises: 14 connections are free, and a worker takes 16 while 4 customers go " +
		"and 8 come back at a time: a Move that waits for one is late, or given up"}, says(Moves{Going: 4, Back: 8}))
	take(10)
	require.Equal(t, []string{"blocker database orders on premises: 4 connections are free, and one Move needs 5"},
		says(Moves{Going: 1, Back: 2}))
}
