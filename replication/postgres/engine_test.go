package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
)

// rows gives every table rows of the first n tenants.
func (r *rig) rows(n int) {
	r.Helper()
	for _, sql := range []string{
		"INSERT INTO tenants SELECT g, 't' || g, '{}' FROM generate_series(1, $1::int) g",
		"INSERT INTO acct SELECT g, 0 FROM generate_series(1, $1::int) g",
		"INSERT INTO orders (tenant_id, token, amount, body) SELECT 1 + g % $1::int, gen_random_uuid(), g / 7.0, jsonb_build_object('n', g) FROM generate_series(1, 200) g",
		"INSERT INTO order_items (tenant_id, order_id, sku, qty) SELECT 1 + g % $1::int, g, md5(g::text), 1 FROM generate_series(1, 200) g",
		"INSERT INTO events (ts, tenant_id, doc, raw) SELECT '2024-06-01'::timestamptz + g * interval '3 days', 1 + g % $1::int, '{}', decode(md5(g::text), 'hex') FROM generate_series(1, 200) g",
		"INSERT INTO audit SELECT 1 + g % $1::int, now(), NULL, 'm' || g FROM generate_series(1, 100) g",
		"INSERT INTO blobs (tenant_id, data) SELECT 1 + g % $1::int, 'x' FROM generate_series(1, 100) g",
	} {
		r.must(s, sql, n)
	}
}

func TestEveryTableGoesThereAndBackWithItsChanges(t *testing.T) {
	r := newRig(t)
	r.rows(4)
	r.prepare(3) // tenant 4 is nobody's customer
	r.synced()
	lag, err := r.pair.Lag(t.Context())
	require.NoError(t, err)
	require.Less(t, lag.Forward, 5*time.Second)
	require.Less(t, lag.Back, 5*time.Second)
	require.EqualValues(t, 50, r.num(d, "SELECT count(*) FROM ref_currency"))
	require.EqualValues(t, 0, r.num(d, "SELECT count(*) FROM orders WHERE tenant_id = 4"), "who does not move is not copied")
	require.Empty(t, r.exec(s, "INSERT INTO orders (tenant_id, amount) VALUES (4, 1)"), "and may write")

	ready, err := r.pair.Ready(t.Context(), s, 1, 5*time.Second, 5*time.Second)
	require.NoError(t, err)
	require.Empty(t, ready.Findings)
	require.Positive(t, ready.Predicted)
	r.move(s, 1, try(1, 1))
	for _, sql := range []string{
		"UPDATE orders SET ver = ver + 1 WHERE tenant_id = 1", "DELETE FROM order_items WHERE tenant_id = 1 AND id % 3 = 0",
		"UPDATE events SET doc = '{\"a\": 1}' WHERE tenant_id = 1", "UPDATE audit SET msg = msg || '!' WHERE tenant_id = 1",
		"INSERT INTO orders (tenant_id, amount) VALUES (1, 9)", "INSERT INTO order_items (tenant_id, sku) VALUES (1, 'x')",
		"UPDATE events SET ts = ts + interval '400 days' WHERE tenant_id = 1 AND ts < '2025-01-01'", // to another partition
	} {
		require.Empty(t, r.exec(d, sql), sql)
	}
	require.EqualValues(t, 1, r.num(d, "SELECT count(*) FROM orders WHERE id >= 1000000000000"), "ids of AWS's own range")
	require.EqualValues(t, 1, r.num(d, "SELECT count(*) FROM order_items WHERE id >= 1500000000"))
	r.move(d, 1, try(2, 2))
	r.move(s, 1, try(3, 3))
	r.sound()

	ready, err = r.pair.Ready(t.Context(), s, 1, 5*time.Second, 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, []string{"postgres-home"}, checks(ready.Findings), "it is not there any more")
	require.Contains(t, ready.How, "beat")
	ready, err = r.pair.Ready(t.Context(), s, 2, time.Millisecond, 5*time.Second)
	require.NoError(t, err)
	require.Equal(t, []string{"postgres-freeze"}, checks(ready.Findings), "the budget is too small")
}

func TestATenantColumnOfAnyIntegerTypeIsGuardedAndMoves(t *testing.T) {
	r := newRig(t)
	for _, kind := range []string{"smallint", "bigint"} {
		r.must(s, fmt.Sprintf("CREATE TABLE of_%[1]s (tenant_id %[1]s NOT NULL, id int NOT NULL, note text, PRIMARY KEY (tenant_id, id))", kind))
		r.must(s, fmt.Sprintf("INSERT INTO of_%s SELECT g, 1, 'first' FROM generate_series(1, 2) g", kind))
	}
	r.prepared(2)
	for _, kind := range []string{"smallint", "bigint"} {
		for _, sql := range []string{"INSERT INTO of_%s VALUES (1, 2, 'x')", "UPDATE of_%s SET note = 'y' WHERE tenant_id = 1", "DELETE FROM of_%s WHERE tenant_id = 1 AND id = 1"} {
			require.Empty(t, r.exec(s, fmt.Sprintf(sql, kind)), kind)
		}
	}
	r.move(s, 1, try(1, 1))
	for _, kind := range []string{"smallint", "bigint"} {
		require.Equal(t, "DR001", r.exec(s, fmt.Sprintf("INSERT INTO of_%s VALUES (1, 3, 'x')", kind)), kind)
		require.Empty(t, r.exec(d, fmt.Sprintf("INSERT INTO of_%s VALUES (1, 3, 'x')", kind)), kind)
	}
	r.move(d, 1, try(2, 2))
	for _, kind := range []string{"smallint", "bigint"} {
		require.EqualValues(t, 2, r.num(s, fmt.Sprintf("SELECT count(*) FROM of_%s WHERE tenant_id = 1", kind)), kind)
	}
	r.sound()
}

// One freeze that took long, for whatever reason, must not be the last: the way back is a Move as well.
func TestASlowFreezeDoesNotBlockTheNextOne(t *testing.T) {
	r := newRig(t).prepared(1)
	r.pair.recent.took = []time.Duration{10 * time.Second}
	ready, err := r.pair.Ready(t.Context(), s, 1, 5*time.Second, 5*time.Second)
	require.NoError(t, err)
	require.Empty(t, ready.Findings)
	require.Equal(t, 10*time.Second, ready.Predicted)
}

func TestADirectionThatDoesNotFlowIsNamedBeforeAMove(t *testing.T) {
	r := newRig(t).prepared(1)
	r.synced()
	for _, c := range []struct {
		at    *pg.Server
		from  migration.Side
		names string
	}{{r.dst, s, "beat from onprem to aws: no beat arrived"}, {r.src, d, "beat from aws to onprem: no beat arrived"}} {
		sub := r.pair.Names.Outgoing(c.from)
		require.NoError(t, c.at.Exec(t.Context(), r.db, "ALTER SUBSCRIPTION "+sub+" DISABLE"))
		ready, err := r.pair.Ready(t.Context(), s, 1, 5*time.Second, 100*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, []string{"postgres-beat"}, checks(ready.Findings))
		require.Contains(t, ready.Findings[0].Reason, c.names)
		require.NoError(t, c.at.Exec(t.Context(), r.db, "ALTER SUBSCRIPTION "+sub+" ENABLE"))
		r.synced()
	}
	ready, err := r.pair.Ready(t.Context(), s, 1, 5*time.Second, 30*time.Second)
	require.NoError(t, err)
	require.Empty(t, ready.Findings)
}

func TestVerifyNamesTheTableThatDiffers(t *testing.T) {
	r := newRig(t)
	r.rows(3)
	r.prepare(3)
	r.synced()
	r.until("both sides are alike", func() bool {
		v, err := r.pair.Verify(t.Context(), 2)
		require.NoError(t, err)
		return v.Differences == nil && v.Rows > 200 && v.Tables == 7
	})
	r.must(d, "SET session_replication_role = replica; UPDATE blobs SET data = 'y' WHERE ctid = (SELECT ctid FROM blobs WHERE tenant_id = 2 LIMIT 1); DELETE FROM audit WHERE ctid = (SELECT ctid FROM audit WHERE tenant_id = 2 LIMIT 1)")
	v, err := r.pair.Verify(t.Context(), 2)
	require.NoError(t, err)
	require.Len(t, v.Differences, 2)
	require.Contains(t, v.Differences[0], "table public.audit: ")
	require.Contains(t, v.Differences[1], "table public.blobs: ")
	v, err = r.pair.Verify(t.Context(), 1)
	require.NoError(t, err)
	require.Empty(t, v.Differences, "another tenant")
}

func TestPrepareMayBeCutOffAnywhereAndRunAgain(t *testing.T) {
	r := newRig(t)
	r.rows(3)
	// Cut off after each part in turn.
	for parts := 1; parts <= 11; parts++ {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		err := r.pair.Prepare(ctx, []int64{1, 2, 3}, func(string) {
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
	}
	r.synced()
	r.prepare(3)
	r.sound()
	r.move(s, 2, try(1, 1))
	r.prepare(3)
	r.sound()
	h, err := r.pair.Home(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, migration.AWS, h.Home(), "preparing again moves nobody")
	require.ErrorIs(t, r.pair.Prepare(t.Context(), []int64{1, 2, 3, 4}, nil), ErrJoinedLate)
}

func TestACrashDoesNotTakeBackAFirstCopyThatWasAwaited(t *testing.T) {
	r := newRig(t)
	r.rows(3)
	r.prepare(3)
	r.synced()
	require.NoError(t, r.dst.Kill9())
	require.NoError(t, r.dst.Restart(t.Context()))
	r.until("the worker is connected again", func() bool { return r.pair.AWS.Pool.Ping(t.Context()) == nil })
	sync, err := r.pair.Sync(t.Context())
	require.NoError(t, err)
	require.True(t, sync.Done(), sync.Waiting)
	require.EqualValues(t, 3, r.num(d, "SELECT count(*) FROM acct"))
}

func TestAnOrphanedSlotDoesNotStopTheNextPrepare(t *testing.T) {
	r := newRig(t)
	r.must(s, "INSERT INTO acct VALUES (1, 1)")
	r.cutOffAt("the subscription on premises")
	r.must(d, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", r.pair.Names.Back)
	r.prepare(1)
	r.synced()
}

func TestDropLeavesTheDatabasesAsTheyWere(t *testing.T) {
	r := newRig(t)
	r.rows(3)
	const shape = `SELECT string_agg(concat_ws(' ', relname, relkind, relreplident), ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace`
	var before, after string
	require.NoError(t, r.query(s, &before, shape))
	r.prepare(3)
	r.synced()
	r.move(s, 2, try(1, 1))
	require.ErrorIs(t, r.pair.DropAll(t.Context(), nil), ErrNotHome)
	r.move(d, 2, try(2, 1))
	require.NoError(t, r.pair.DropAll(t.Context(), nil))
	require.NoError(t, r.pair.DropAll(t.Context(), nil), "again")
	require.NoError(t, r.query(s, &after, shape))
	require.Equal(t, before, after)
	for _, side := range []migration.Side{s, d} {
		require.Zero(t, r.num(side, "SELECT count(*) FROM pg_namespace WHERE nspname = 'drover'"))
		require.Zero(t, r.num(side, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzzz_drover%'"))
		require.Zero(t, r.num(side, "SELECT count(*) FROM pg_publication"))
		require.Zero(t, r.num(side, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"))
		require.Zero(t, r.num(side, "SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"))
	}
	require.Empty(t, r.exec(s, "INSERT INTO acct VALUES (77, 1)"), "nobody is refused any more")
	h, err := r.pair.Home(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, migration.OnPrem, h.Home(), "a database without Drover is home to all")
}

func TestAnAbortedRunsIdsAreNotGivenAgain(t *testing.T) {
	r := newRig(t)
	r.rows(1)
	r.prepare(1)
	r.synced()
	r.move(s, 1, try(1, 1))
	r.must(d, "INSERT INTO orders (tenant_id, amount) VALUES (1, 9)")
	r.move(d, 1, try(2, 1))
	require.NoError(t, r.pair.DropAll(t.Context(), nil))
	last := r.num(s, "SELECT max(id) FROM orders")
	require.Greater(t, last, int64(1_000_000_000_000))
	require.NoError(t, r.dst.Exec(t.Context(), r.db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
	r.prepare(1)
	r.synced()
	r.move(s, 1, try(3, 1))
	r.must(d, "INSERT INTO orders (tenant_id, amount) VALUES (1, 9)")
	require.Greater(t, r.num(d, "SELECT max(id) FROM orders"), last)
}

func TestCheckFindsNothingInTheOrdersApplication(t *testing.T) {
	r := newRig(t)
	found, err := r.pair.Check(t.Context(), []int64{1, 2})
	require.NoError(t, err)
	require.Empty(t, migration.Blockers(found))
	require.Equal(t, []string{"postgres-replica-identity"}, slices.DeleteFunc(checks(found), func(c string) bool { return c == "postgres-long-transactions" }), "the table without a key")
	r.prepare(2)
	r.synced()
	found, err = r.pair.Check(t.Context(), []int64{1, 2})
	require.NoError(t, err)
	require.Empty(t, migration.Blockers(found), "what Drover made is no obstacle")
}

func TestCheckReportsEverythingAtOnce(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.src.Exec(t.Context(), r.db, `
		CREATE TABLE forgotten (id int PRIMARY KEY);
		CREATE UNLOGGED TABLE cache (tenant_id int NOT NULL, k uuid PRIMARY KEY);
		CREATE TABLE named (tenant_id text NOT NULL, id uuid PRIMARY KEY);
		CREATE TABLE logins (tenant_id int NOT NULL, id uuid PRIMARY KEY, email text UNIQUE, phone text, picture oid);
		CREATE UNIQUE INDEX logins_phone ON logins (phone) INCLUDE (tenant_id);
		CREATE TABLE bookings (tenant_id int NOT NULL, id uuid PRIMARY KEY, span tsrange, CONSTRAINT bookings_span EXCLUDE USING gist (span WITH &&));
		CREATE TABLE small (tenant_id int NOT NULL, id smallserial PRIMARY KEY); SELECT setval('small_id_seq', 32000);
		CREATE SEQUENCE turns MAXVALUE 7 CYCLE;
		CREATE TABLE loose (tenant_id int, id uuid PRIMARY KEY);
		CREATE TABLE left_behind (id int PRIMARY KEY);
		CREATE TABLE child (tenant_id int NOT NULL, id uuid PRIMARY KEY, up int REFERENCES left_behind);
		CREATE TABLE keyless (code text);
		CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER zzzzz BEFORE INSERT ON acct FOR EACH ROW EXECUTE FUNCTION touch();`))
	r.must(s, "BEGIN; INSERT INTO acct VALUES (5, 5); PREPARE TRANSACTION 'left'")
	t.Cleanup(func() { _ = r.src.Exec(context.Background(), r.db, "ROLLBACK PREPARED 'left'") })
	plan := orders
	plan.Tables = append([]migration.Table{{Name: "left_behind", Exclude: true}, {Name: "keyless", Reference: s}, {Name: "nowhere", Exclude: true}}, plan.Tables...)
	p := r.open(plan)
	defer p.Close()
	p.OnPrem.peer.Password, p.OnPrem.peer.Port = "hunter2-and-more", r.dst.Port // a wrong password, as it would be over there
	found, err := p.Check(t.Context(), []int64{1, -7})
	require.NoError(t, err)
	var got []string
	for _, f := range found {
		require.NotEmpty(t, f.Remedy, f.Check)
		got = append(got, f.Check+" "+f.Subject)
		require.NotContains(t, f.Reason, "hunter2")
	}
	for _, want := range []string{
		"postgres-unclassified table public.forgotten", "postgres-unlogged table public.cache", "postgres-tenant-type table public.named",
		"postgres-unique-across-tenants index logins_email_key", "postgres-unique-across-tenants index logins_phone", "postgres-unique-across-tenants index bookings_span", "postgres-large-objects table public.logins", "postgres-sequence sequence public.small_id_seq", "postgres-sequence sequence public.turns",
		"postgres-tenant-null table public.loose", "postgres-tenant-index table public.loose", "postgres-foreign-key table public.child", "postgres-reference-identity table public.keyless",
		"postgres-trigger-name table public.acct", `postgres-prepared-transaction prepared transaction "left"`, "postgres-tenant-id tenant -7",
		"postgres-no-such-table table nowhere", "postgres-connectivity database orders on AWS", "postgres-replica-identity table public.audit",
	} {
		require.True(t, slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, want) }), "want %q in:\n%s", want, strings.Join(got, "\n"))
	}
	require.Zero(t, r.num(d, "SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"), "what it tried is rolled back")
}

// What an application asks by itself, as Hibernate does, gives no id twice either.
func TestASequenceThatNoColumnOwnsGivesOtherIdsOnAWS(t *testing.T) {
	r := newRig(t)
	r.must(s, "CREATE SEQUENCE hibernate_sequence INCREMENT 50; CREATE SEQUENCE turns MAXVALUE 7 CYCLE; SELECT nextval('hibernate_sequence'), nextval('turns')")
	r.prepared(1)
	first := r.num(d, "SELECT nextval('hibernate_sequence')")
	require.Greater(t, first, int64(1_000_000_000_000))
	r.prepare(1)
	require.Equal(t, first+50, r.num(d, "SELECT nextval('hibernate_sequence')"), "set apart once")
	require.EqualValues(t, 51, r.num(s, "SELECT nextval('hibernate_sequence')"), "premises go on as before")
	require.EqualValues(t, 1, r.num(d, "SELECT nextval('turns')"), "numbers that come round again are no ids")
}

func TestVersionsWhoseRowFiltersCanBeTrusted(t *testing.T) {
	for version, good := range map[int]bool{140020: false, 150013: false, 150014: true, 160009: false, 160010: true, 170005: false, 170006: true, 180000: true, 190000: true} {
		require.Equal(t, good, filtersWork(version), version)
	}
}

func TestAnOlderWorkerLeavesANewerInstallationAlone(t *testing.T) {
	r := newRig(t).prepared(1)
	r.must(s, "UPDATE drover.installed SET version = 1000, digest = ''")
	require.ErrorIs(t, r.pair.install(t.Context(), r.pair.OnPrem), ErrNewerInstalled)
}

// vault answers for a connector.
type vault struct {
	server *pg.Server

	mu      sync.Mutex
	secrets map[migration.SecretRef]string
}

func (v *vault) Resolve(_ context.Context, in migration.Target, ref migration.SecretRef) (string, error) {
	if strings.HasPrefix(string(ref), "awssm:") != (in.Name == "prod") {
		return "", fmt.Errorf("%s is not looked for in target %q", ref, in.Name)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.secrets[ref], nil
}

func (v *vault) set(ref migration.SecretRef, secret string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secrets[ref] = secret
}

func (v *vault) Endpoint(context.Context, migration.Target, string) (string, int, string, error) {
	return v.server.Host, v.server.Port, "", nil
}

// planned are the two sides as a plan names them, each with a role that is no superuser.
type planned struct {
	*rig
	*Connector
	vault   *vault
	role    string
	dataset migration.Dataset
}

func (r *rig) planned() *planned {
	r.Helper()
	ctx := r.Context()
	if r.num(s, "SELECT current_setting('server_version_num')::int") < 160000 {
		r.Skip("only a superuser may subscribe before 16")
	}
	m := &planned{rig: r, vault: &vault{server: r.dst, secrets: map[migration.SecretRef]string{}}, role: r.db + "_mover"}
	for _, x := range []*pg.Server{r.src, r.dst} {
		password, err := x.CreateRole(ctx, m.role, "REPLICATION")
		require.NoError(r, err)
		require.NoError(r, x.Exec(ctx, "postgres", fmt.Sprintf("GRANT pg_create_subscription TO %s; GRANT CREATE ON DATABASE %s TO %[1]s", m.role, r.db)))
		require.NoError(r, x.Exec(ctx, r.db, "GRANT CREATE, USAGE ON SCHEMA public TO "+m.role))
		r.Cleanup(func() {
			ctx := context.Background()
			_ = x.Exec(ctx, r.db, "DROP OWNED BY "+m.role+" CASCADE")
			_ = x.Exec(ctx, "postgres", "DROP ROLE "+m.role)
		})
		m.keep(x, password)
	}
	require.NoError(r, r.src.Exec(ctx, r.db, `DO $$ DECLARE t record; BEGIN FOR t IN SELECT oid::regclass AS r FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') LOOP
		EXECUTE format('ALTER TABLE %s OWNER TO `+m.role+`', t.r); END LOOP; END $$`))
	plan := orders
	plan.DSN, plan.Credentials, plan.AddressFromTarget = "env://ORDERS", "awssm://orders", r.src.Address()
	m.dataset = migration.Dataset{Name: "orders", Postgres: &plan}
	m.Connector = &Connector{Secrets: m.vault, Instances: m.vault}
	r.Cleanup(m.Connector.Close)
	return m
}

// keep stores a server's password where the plan says it is.
func (m *planned) keep(x *pg.Server, password string) {
	if x == m.src {
		m.vault.set("env://ORDERS", x.DSNAs(m.role, password, m.db))
		return
	}
	b, err := json.Marshal(map[string]string{"username": m.role, "password": password, "sslmode": "disable"})
	require.NoError(m, err)
	m.vault.set("awssm://orders", string(b))
}

// opened is the pair, which is the rig's until the test ends.
func (m *planned) opened() *Pair {
	m.Helper()
	p, err := m.Open(m.Context(), m.db, m.dataset, migration.Target{Name: "prod"})
	require.NoError(m, err)
	old := m.pair
	m.pair = p
	m.Cleanup(func() { m.pair = old })
	return p
}

// rotate gives the role a new password on both servers and ends what the old one had opened, the connections of subscriptions too.
func (m *planned) rotate(password string) {
	m.Helper()
	for _, x := range []*pg.Server{m.src, m.dst} {
		require.NoError(m, x.Exec(m.Context(), "postgres", fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", m.role, password)))
		m.keep(x, password)
		require.NoError(m, x.Exec(m.Context(), "postgres", fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s'", m.role)))
	}
}

func TestAPasswordThatIsRotatedWhileCustomersMove(t *testing.T) {
	r := newRig(t)
	m := r.planned()
	p := m.opened()
	ctx := t.Context()
	r.rows(1)
	r.prepare(1)
	r.synced()
	r.move(s, 1, try(1, 1))

	m.rotate("rotated-secret")
	for _, x := range p.servers() {
		x.Pool.Reset() // what the servers have ended the pool may not know yet
		require.NoError(t, x.Pool.Ping(ctx), "a new connection %s", x.where())
	}
	r.synced()
	r.move(d, 1, try(2, 1))
	r.move(s, 1, try(3, 1))
	r.move(d, 1, try(4, 1))
	dump, err := p.dumpSchema(ctx)
	require.NoError(t, err)
	require.Contains(t, dump, "CREATE TABLE")

	// Who prepares again need not wait for a beat to be late.
	m.rotate("rotated-again")
	for _, x := range p.servers() {
		x.Pool.Reset()
	}
	r.prepare(1)
	r.synced()

	m.vault.set("awssm://orders", "hunter2")
	p.AWS.Pool.Reset()
	require.NoError(t, p.AWS.Pool.Ping(ctx), "a secret that cannot be read leaves what was known last")
	_, err = p.Check(ctx, []int64{1})
	require.ErrorContains(t, err, `log in to the database on AWS: the secret awssm://orders is not JSON {"username": .., "password": ..}`)
	require.NotContains(t, err.Error(), "hunter2")
	m.keep(r.dst, "wrong-secret")
	p.AWS.Pool.Reset()
	err = p.AWS.Pool.Ping(ctx)
	require.Equal(t, "28P01", code(err))
	m.keep(r.dst, "rotated-again")
	require.NoError(t, p.AWS.Pool.Ping(ctx), "the secret was put right")
	for _, secret := range []string{"rotated-secret", "rotated-again", "wrong-secret"} {
		require.NotContains(t, err.Error()+r.src.Log()+r.dst.Log(), secret)
	}
	require.NoError(t, p.DropAll(ctx, nil))
}

func TestThePlanIsEnoughToConnectAsARoleThatIsNoSuperuser(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	m := r.planned()
	p := m.opened()
	again, err := m.Open(ctx, r.db, m.dataset, migration.Target{Name: "prod"})
	require.NoError(t, err)
	require.Same(t, p, again)
	u, err := url.Parse(m.vault.secrets["env://ORDERS"])
	require.NoError(t, err)
	password, _ := u.User.Password()
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", p.OnPrem.peer, p.OnPrem.peer, p.OnPrem.peer), password)

	found, err := p.Check(ctx, []int64{1})
	require.NoError(t, err)
	require.Empty(t, migration.Blockers(found))
	r.rows(1)
	r.prepare(1)
	r.synced()
	r.move(s, 1, try(1, 1))
	r.move(d, 1, try(2, 1))
	require.NotContains(t, r.src.Log()+r.dst.Log(), password)
	require.NoError(t, p.DropAll(ctx, nil))
}

func TestADumpLosesWhatTheOtherServerCannotHave(t *testing.T) {
	dump := strings.Join([]string{
		`\restrict abc`, "SET transaction_timeout = 0;", "CREATE SCHEMA public;", "CREATE TABLE public.a (id integer);",
		"ALTER TABLE public.a OWNER TO app;", `ALTER TABLE public.a OWNER TO "gone one";`, "GRANT SELECT ON TABLE public.a TO reader;", "GRANT SELECT ON TABLE public.a TO gone;",
		"REVOKE ALL ON SCHEMA public FROM PUBLIC;", "CREATE TRIGGER zzzz_drover_guard BEFORE INSERT ON public.a FOR EACH ROW EXECUTE FUNCTION drover.guard_tenant_id();",
		"ALTER DEFAULT PRIVILEGES FOR ROLE gone IN SCHEMA public GRANT SELECT ON TABLES TO reader;", `\unrestrict abc`,
	}, "\n")
	require.Equal(t, strings.Join([]string{
		"CREATE TABLE public.a (id integer);", "ALTER TABLE public.a OWNER TO app;", "GRANT SELECT ON TABLE public.a TO reader;", "REVOKE ALL ON SCHEMA public FROM PUBLIC;",
	}, "\n"), portable(dump, map[string]bool{"app": true, "reader": false, "PUBLIC": false}))
}
