package setup_test

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/preflight"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

func TestPrepareMayBeCutOffAnywhereAndRunAgain(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	// Cut off after each part in turn.
	for parts := 1; parts <= 11; parts++ {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		err := setup.Prepare(ctx, r.Pair, []int64{1, 2, 3}, func(string) {
			if seen++; seen > parts {
				cancel()
			}
		})
		cancel()
		if parts < 11 {
			require.Error(t, err, "part %d", parts)
		} else {
			require.NoError(t, err)
		}
		requireHomeOnPremises(r, parts)
	}
	r.Synced()
	r.Prepare(3)
	r.Sound()
	r.Move(s, 2, pairtest.Try(1, 1))
	r.Prepare(3)
	r.Sound()
	h, err := r.Pair.Home(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, migration.AWS, h.Home(), "preparing again moves nobody")
}

// requireHomeOnPremises asks what an application may ask as soon as the function is there: a tenant
// of the plan and a newcomer are at home on premises, however far Prepare came.
func requireHomeOnPremises(r *pairtest.Rig, parts int) {
	r.Helper()
	for _, side := range []migration.Side{s, d} {
		if r.Num(side, "SELECT count(*) FROM pg_namespace WHERE nspname = 'drover'") == 0 {
			continue
		}
		for _, tenant := range []int{2, 1000} {
			is := r.Num(side, fmt.Sprintf("SELECT drover.is_home(%d)::int", tenant))
			require.Equal(r, side == migration.OnPrem, is == 1, "tenant %d on %s after %d parts", tenant, side, parts)
		}
	}
}

func TestAnOrphanedSlotDoesNotStopTheNextPrepare(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "INSERT INTO acct VALUES (1, 1)")
	cutOffAt(r, "the subscription on premises")
	r.Must(d, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", r.Pair.Names.Back)
	r.Prepare(1)
	r.Synced()
}

// bare says that nothing of Drover's is left in either database.
func bare(t *testing.T, r *pairtest.Rig) {
	t.Helper()
	for _, side := range []migration.Side{s, d} {
		require.Zero(t, r.Num(side, "SELECT count(*) FROM pg_namespace WHERE nspname = 'drover'"))
		require.Zero(t, r.Num(side, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzzz_drover%'"))
		require.Zero(t, r.Num(side, "SELECT count(*) FROM pg_publication"))
		require.Zero(t, r.Num(side, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"))
		require.Zero(t, r.Num(side, "SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = "+
			"current_database())"))
	}
}

// shape is what a Prepare may change of the application's tables on premises.
func shape(r *pairtest.Rig) (is string) {
	r.Helper()
	require.NoError(r, r.Query(s, &is, `SELECT string_agg(concat_ws(' ', relname, relkind, relreplident), ',' ORDER BY relname)
		FROM pg_class WHERE relnamespace = 'public'::regnamespace`))
	return is
}

func TestDropLeavesPremisesAsTheyWereHoweverFarPrepareCame(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	r.Must(s, "ALTER TABLE orders REPLICA IDENTITY FULL")
	before := shape(r)
	changed := false
	for parts := 1; parts <= 11; parts++ {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		_ = setup.Prepare(ctx, r.Pair, []int64{1, 2, 3}, func(string) {
			if seen++; seen > parts {
				cancel()
			}
		})
		cancel()
		changed = changed || shape(r) != before
		require.NoError(t, setup.DropAll(t.Context(), r.Pair, nil), "after %d parts", parts)
		require.Equal(t, before, shape(r), "after %d parts", parts)
		bare(t, r)
		r.Must(d, "DROP SCHEMA public CASCADE")
		r.Must(d, "CREATE SCHEMA public")
	}
	require.True(t, changed)
}

func TestAnIndexThatWasMadeAndNeverUsedGoes(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(1)
	before := shape(r)
	cutOffAt(r, "replica identities on premises")
	// As a worker leaves it that is killed between the index and what is written down of it.
	r.Must(s, "CREATE UNIQUE INDEX orders_drover_ri ON orders (tenant_id, id)")
	require.NoError(t, setup.DropAll(t.Context(), r.Pair, nil))
	require.Equal(t, before, shape(r))
}

func TestDropLeavesTheDatabasesAsTheyWere(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(3)
	before := shape(r)
	r.Prepare(3)
	r.Synced()
	r.Move(s, 2, pairtest.Try(1, 1))
	require.ErrorIs(t, setup.DropAll(t.Context(), r.Pair, nil), setup.ErrNotHome)
	r.Move(d, 2, pairtest.Try(2, 1))
	require.NoError(t, setup.DropAll(t.Context(), r.Pair, nil))
	require.NoError(t, setup.DropAll(t.Context(), r.Pair, nil), "again")
	require.Equal(t, before, shape(r))
	bare(t, r)
	require.Empty(t, r.Exec(s, "INSERT INTO acct VALUES (77, 1)"), "nobody is refused any more")
	h, err := r.Pair.Home(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, migration.OnPrem, h.Home(), "a database without Drover is home to all")
}

func TestAnAbortedRunsIdsAreNotGivenAgain(t *testing.T) {
	r := pairtest.New(t)
	r.Rows(1)
	r.Prepare(1)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Must(d, "INSERT INTO orders (tenant_id, amount) VALUES (1, 9)")
	r.Move(d, 1, pairtest.Try(2, 1))
	require.NoError(t, setup.DropAll(t.Context(), r.Pair, nil))
	last := r.Num(s, "SELECT max(id) FROM orders")
	require.Greater(t, last, int64(1_000_000_000_000))
	require.NoError(t, r.Dst.Exec(t.Context(), r.DB, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
	r.Prepare(1)
	r.Synced()
	r.Move(s, 1, pairtest.Try(3, 1))
	r.Must(d, "INSERT INTO orders (tenant_id, amount) VALUES (1, 9)")
	require.Greater(t, r.Num(d, "SELECT max(id) FROM orders"), last)
}

// What an application asks by itself, as Hibernate does, gives no id twice either.
func TestASequenceThatNoColumnOwnsGivesOtherIdsOnAWS(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "CREATE SEQUENCE hibernate_sequence INCREMENT 50; CREATE SEQUENCE turns MAXVALUE 7 CYCLE; SELECT "+
		"nextval('hibernate_sequence'), nextval('turns')")
	r.Prepared(1)
	first := r.Num(d, "SELECT nextval('hibernate_sequence')")
	require.Greater(t, first, int64(1_000_000_000_000))
	r.Prepare(1)
	require.Equal(t, first+50, r.Num(d, "SELECT nextval('hibernate_sequence')"), "set apart once")
	require.EqualValues(t, 51, r.Num(s, "SELECT nextval('hibernate_sequence')"), "premises go on as before")
	require.EqualValues(t, 1, r.Num(d, "SELECT nextval('turns')"), "numbers that come round again are no ids")
}

func TestAnOlderWorkerLeavesANewerInstallationAlone(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	r.Must(s, "UPDATE drover.installed SET version = 1000, digest = ''")
	require.ErrorIs(t, setup.Install(t.Context(), r.Pair, r.Pair.OnPrem), setup.ErrNewerInstalled)
}

func TestAPasswordThatIsRotatedWhileCustomersMove(t *testing.T) {
	r := pairtest.New(t)
	m := r.Planned()
	p := m.Opened()
	ctx := t.Context()
	r.Rows(1)
	r.Prepare(1)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))

	m.Rotate("rotated-secret")
	for _, x := range p.Both() {
		x.Reset() // what the servers have ended the pool may not know yet
		require.NoError(t, x.Pool.Ping(ctx), "a new connection %s", x.Where())
	}
	r.Synced()
	r.Move(d, 1, pairtest.Try(2, 1))
	r.Move(s, 1, pairtest.Try(3, 1))
	r.Move(d, 1, pairtest.Try(4, 1))
	require.NoError(t, setup.DumpSchema(ctx, p, filepath.Join(t.TempDir(), "schema")))

	// Who prepares again need not wait for a beat to be late.
	m.Rotate("rotated-again")
	for _, x := range p.Both() {
		x.Reset()
	}
	r.Prepare(1)
	r.Synced()

	m.Vault.Set("awssm://orders", "hunter2")
	p.AWS.Reset()
	require.NoError(t, p.AWS.Pool.Ping(ctx), "a secret that cannot be read leaves what was known last")
	_, err := preflight.Check(ctx, p, []int64{1}, preflight.Moves{})
	require.ErrorContains(t, err, `log in to the database on AWS: the secret awssm://orders is not JSON {"username": .., "password": ..}`)
	require.NotContains(t, err.Error(), "hunter2")
	m.Keep(r.Dst, "wrong-secret")
	p.AWS.Reset()
	err = p.AWS.Pool.Ping(ctx)
	require.Equal(t, "28P01", pairtest.Code(err))
	m.Keep(r.Dst, "rotated-again")
	require.NoError(t, p.AWS.Pool.Ping(ctx), "the secret was put right")
	for _, secret := range []string{"rotated-secret", "rotated-again", "wrong-secret"} {
		require.NotContains(t, err.Error()+r.Src.Log()+r.Dst.Log(), secret)
	}
	require.NoError(t, setup.DropAll(ctx, p, nil))
}

func TestThePlanIsEnoughToConnectAsARoleThatIsNoSuperuser(t *testing.T) {
	r := pairtest.New(t)
	ctx := t.Context()
	m := r.Planned()
	p := m.Opened()
	again, err := m.Open(ctx, r.DB, m.Dataset, migration.Target{Name: "prod"})
	require.NoError(t, err)
	require.Same(t, p, again)
	u, err := url.Parse(m.Vault.Secrets["env://ORDERS"])
	require.NoError(t, err)
	password, _ := u.User.Password()
	peer, err := p.OnPrem.Peer(ctx)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", peer, peer, peer), password)

	found, err := preflight.Check(ctx, p, []int64{1}, preflight.Moves{})
	require.NoError(t, err)
	require.Empty(t, migration.Blockers(found))
	r.Rows(1)
	r.Prepare(1)
	r.Synced()
	r.Move(s, 1, pairtest.Try(1, 1))
	r.Move(d, 1, pairtest.Try(2, 1))
	require.NotContains(t, r.Src.Log()+r.Dst.Log(), password)
	require.NoError(t, setup.DropAll(ctx, p, nil))
}
