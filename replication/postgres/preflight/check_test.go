package preflight

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestCheckFindsNothingInTheOrdersApplication(t *testing.T) {
	r := pairtest.New(t)
	found, err := Check(t.Context(), r.Pair, []int64{1, 2}, Moves{})
	require.NoError(t, err)
	require.Empty(t, migration.Blockers(found))
	require.Equal(t, []string{"postgres-partition-later", "postgres-replica-identity"},
		slices.DeleteFunc(pairtest.Checks(found), func(c string) bool { return c == "postgres-long-transactions" }),
		"the partitioned table, and the one without a key")
	r.Prepare(2)
	r.Synced()
	found, err = Check(t.Context(), r.Pair, []int64{1, 2}, Moves{})
	require.NoError(t, err)
	require.Empty(t, migration.Blockers(found), "what Drover made is no obstacle")
}

func TestCheckWarnsOfAClockThatIsOff(t *testing.T) {
	r := pairtest.New(t)
	r.Pair.Here = func() time.Time { return time.Now().Add(-time.Minute) }
	list, err := Check(t.Context(), r.Pair, []int64{1}, Moves{})
	require.NoError(t, err)
	list = slices.DeleteFunc(list, func(f migration.Finding) bool { return f.Check != "postgres-clock" })
	require.Len(t, list, 2)
	for i, where := range []string{"on premises", "on AWS"} {
		require.Equal(t, migration.Warning, list[i].Severity)
		require.Contains(t, list[i].Subject, where)
		require.Contains(t, list[i].Reason, "1m0s ahead of that of the worker")
		require.Contains(t, list[i].Remedy, "follow a time server")
	}
}

func TestCheckReportsEverythingAtOnce(t *testing.T) {
	r := pairtest.New(t)
	require.NoError(t, r.Src.Exec(t.Context(), r.DB, `
		CREATE TABLE forgotten (id int PRIMARY KEY);
		CREATE UNLOGGED TABLE cache (tenant_id int NOT NULL, k uuid PRIMARY KEY);
		CREATE TABLE named (tenant_id text NOT NULL, id uuid PRIMARY KEY);
		CREATE TABLE logins (tenant_id int NOT NULL, id uuid PRIMARY KEY, email text UNIQUE, phone text, picture oid);
		CREATE UNIQUE INDEX logins_phone ON logins (phone) INCLUDE (tenant_id);
		CREATE TABLE bookings (tenant_id int NOT NULL, id uuid PRIMARY KEY, span tsrange, CONSTRAINT bookings_span EXCLUDE USING gist
		(span WITH &&));
		CREATE TABLE small (tenant_id int NOT NULL, id smallserial PRIMARY KEY); SELECT setval('small_id_seq', 32000);
		CREATE SEQUENCE turns MAXVALUE 7 CYCLE;
		CREATE TABLE loose (tenant_id int, id uuid PRIMARY KEY);
		CREATE TABLE left_behind (id int PRIMARY KEY);
		CREATE TABLE child (tenant_id int NOT NULL, id uuid PRIMARY KEY, up int REFERENCES left_behind);
		CREATE TABLE keyless (code text);
		CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER zzzzz BEFORE INSERT ON acct FOR EACH ROW EXECUTE FUNCTION touch();`))
	r.Must(s, "BEGIN; INSERT INTO acct VALUES (5, 5); PREPARE TRANSACTION 'left'")
	t.Cleanup(func() { _ = r.Src.Exec(context.Background(), r.DB, "ROLLBACK PREPARED 'left'") })
	plan := pairtest.Orders
	plan.Tables = append([]migration.Table{{Name: "left_behind", Exclude: true}, {Name: "keyless", Reference: s},
		{Name: "nowhere", Exclude: true}}, plan.Tables...)
	p := r.Over(plan)
	defer p.Close()
	here, err := p.OnPrem.Login(t.Context())
	require.NoError(t, err)
	peer := here
	peer.Password, peer.Port = "hunter2-and-more", r.Dst.Port // a wrong password, as it would be over there
	onprem, err := postgres.Connect(t.Context(), s, here, peer, nil)
	require.NoError(t, err)
	p.OnPrem.Pool.Close()
	p.OnPrem = onprem
	found, err := Check(t.Context(), p, []int64{1, -7}, Moves{})
	require.NoError(t, err)
	var got []string
	for _, f := range found {
		require.NotEmpty(t, f.Remedy, f.Check)
		got = append(got, f.Check+" "+f.Subject)
		require.NotContains(t, f.Reason, "hunter2")
	}
	for _, want := range []string{
		"postgres-unclassified table public.forgotten", "postgres-unlogged table public.cache", "postgres-tenant-type table public.named",
		"postgres-unique-across-tenants index logins_email_key", "postgres-unique-across-tenants index logins_phone",
		"postgres-unique-across-tenants index bookings_span", "postgres-large-objects table public.logins", "postgres-sequence sequence " +
			"public.small_id_seq", "postgres-sequence sequence public.turns",
		"postgres-tenant-null table public.loose", "postgres-tenant-index table public.loose", "postgres-foreign-key table public.child",
		"postgres-reference-identity table public.keyless",
		"postgres-trigger-name table public.acct", `postgres-prepared-transaction prepared transaction "left"`,
		"postgres-tenant-id tenant -7",
		"postgres-no-such-table table nowhere", "postgres-connectivity database orders on AWS", "postgres-replica-identity table " +
			"public.audit",
	} {
		require.True(t, slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(g, want) }), "want %q in:\n%s", want,
			strings.Join(got, "\n"))
	}
	require.Zero(t, r.Num(d, "SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = "+
		"current_database())"), "what it tried is rolled back")
}

func TestVersionsWhoseRowFiltersCanBeTrusted(t *testing.T) {
	for version, good := range map[int]bool{140020: false, 150013: false, 150014: true, 160009: false, 160010: true, 170005: false,
		170006: true, 180000: true, 190000: true} {
		require.Equal(t, good, filtersWork(version), version)
	}
}
