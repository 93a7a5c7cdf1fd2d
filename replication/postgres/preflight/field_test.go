package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// Databases as people have them: what cannot be is named before anything is touched.
func TestCheckNamesWhatWouldStopReplicationOrStayBehind(t *testing.T) {
	r := pairtest.New(t)
	r.Script(s, "CREATE EXTENSION file_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER file_fdw")
	r.Script(s, "CREATE EXTENSION lo; ALTER DATABASE "+r.DB+" SET lc_monetary = 'POSIX'")
	r.Pair.OnPrem.Reset()
	for _, x := range []struct {
		name, sql string
		want      string // severity, check and subject; empty: nothing is said of table t
	}{
		{"a deferrable key is no identity, and the whole row is", "CREATE TABLE t (tenant_id int NOT NULL, n int, PRIMARY KEY " +
			"(tenant_id, n) DEFERRABLE)", "warning postgres-replica-identity table public.t"},
		{"no key and a generated column", "CREATE TABLE t (tenant_id int NOT NULL, n int, g int GENERATED ALWAYS AS (n + 1) STORED)",
			"blocker postgres-whole-row table public.t"},
		{"no key and a column without equality", "CREATE TABLE t (tenant_id int NOT NULL, body json)", "blocker postgres-whole-row " +
			"table public.t"},
		{"no key and a list of them", "CREATE TABLE t (tenant_id int NOT NULL, body json[])", "blocker postgres-whole-row table public.t"},
		{"no key and a domain over one", "CREATE DOMAIN point_of AS point; CREATE TABLE t (tenant_id int NOT NULL, p point_of)",
			"blocker postgres-whole-row table public.t"},
		{"no key and a composite type with one in it", "CREATE TYPE note AS (at date, body json); CREATE TABLE t (tenant_id int NOT " +
			"NULL, n note[])", "blocker postgres-whole-row table public.t"},
		{"no key and a domain over a domain over one", "CREATE DOMAIN doc AS json; CREATE DOMAIN note AS doc CHECK (VALUE IS NOT NULL); " +
			"CREATE TABLE t (tenant_id int NOT NULL, n note)", "blocker postgres-whole-row table public.t"},
		{"a key over a generated column", "CREATE TABLE t (tenant_id int NOT NULL, n int, g int GENERATED ALWAYS AS (n + 1) STORED, " +
			"PRIMARY KEY (tenant_id, g))", "blocker postgres-whole-row table public.t"},
		{"another key beside it", "CREATE TABLE t (tenant_id int NOT NULL, n int NOT NULL, g int GENERATED ALWAYS AS (n + 1) STORED, " +
			"PRIMARY KEY (tenant_id, g), UNIQUE (tenant_id, n))", ""},
		{"a tenant column that is generated", "CREATE TABLE t (u int, tenant_id int GENERATED ALWAYS AS (u) STORED NOT NULL, n int, " +
			"PRIMARY KEY (u, n))", "blocker postgres-tenant-type table public.t"},
		{"a key and such columns", "CREATE TABLE t (tenant_id int NOT NULL, n int, body json, PRIMARY KEY (tenant_id, n))", ""},
		{"no key and common types", "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (tenant_id int NOT NULL, a text, b varchar(9), c " +
			"jsonb, d numeric, e timestamptz[], f mood, g int4range, h inet)", "warning postgres-replica-identity table public.t"},
		{"a child that inherits", "CREATE TABLE t (tenant_id int NOT NULL, id uuid, PRIMARY KEY (tenant_id, id)); CREATE TABLE t_2025 " +
			"(PRIMARY KEY (tenant_id, id)) INHERITS (t)", "blocker postgres-inheritance table public.t"},
		{"an unlogged partition", "CREATE TABLE t (tenant_id int NOT NULL, n int, PRIMARY KEY (tenant_id, n)) PARTITION BY LIST (n); " +
			"CREATE UNLOGGED TABLE t1 PARTITION OF t DEFAULT", "blocker postgres-unlogged table public.t"},
		{"a partition that lies elsewhere", "CREATE TABLE t (tenant_id int NOT NULL, n int) PARTITION BY LIST (n); CREATE TABLE t1 " +
			"PARTITION OF t FOR VALUES IN (1); CREATE FOREIGN TABLE t2 PARTITION OF t DEFAULT SERVER elsewhere OPTIONS (filename " +
			"'/dev/null', format 'csv')", "blocker postgres-unlogged table public.t"},
		{"a trigger for replicated rows too", "CREATE TABLE t (tenant_id int NOT NULL, n int, PRIMARY KEY (tenant_id, n)); CREATE " +
			"FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; " +
			"CREATE TRIGGER note AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE t ENABLE ALWAYS TRIGGER note",
			"blocker postgres-trigger-fires table public.t on premises"},
		{"a trigger for replicated rows alone", "CREATE TABLE t (tenant_id int NOT NULL, n int, PRIMARY KEY (tenant_id, n)); CREATE " +
			"FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; " +
			"CREATE TRIGGER note AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE t ENABLE REPLICA TRIGGER note",
			"blocker postgres-trigger-fires table public.t on premises"},
		{"a trigger of the common kind", "CREATE TABLE t (tenant_id int NOT NULL, n int, PRIMARY KEY (tenant_id, n)); CREATE FUNCTION " +
			"note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; " +
			"CREATE TRIGGER note AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note()", ""},
		{"rows that point to another tenant's", "CREATE TABLE roles (tenant_id int NOT NULL, id bigint PRIMARY KEY GENERATED ALWAYS AS " +
			"IDENTITY); " +
			"CREATE TABLE t (tenant_id int NOT NULL, id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, role bigint REFERENCES roles); " +
			"INSERT INTO roles (tenant_id) VALUES (0); INSERT INTO t (tenant_id, role) VALUES (1, 1)", "blocker postgres-foreign-rows " +
			"table public.t"},
		{"rows that point to their own",
			"CREATE TABLE roles (tenant_id int NOT NULL, id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY); " +
				"CREATE TABLE t (tenant_id int NOT NULL, id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, role bigint REFERENCES " +
				"roles); " +
				"INSERT INTO roles (tenant_id) VALUES (1); INSERT INTO t (tenant_id, role) VALUES (1, 1)", ""},
		{"large objects in a number", "CREATE TABLE t (tenant_id int NOT NULL, n bigint, PRIMARY KEY (tenant_id, n)); INSERT INTO t " +
			"VALUES (1, lo_from_bytea(0, 'x'))", "warning postgres-large-objects database orders on premises"},
		{"large objects in the domain of theirs", "CREATE TABLE t (tenant_id int NOT NULL, n lo, PRIMARY KEY (tenant_id, n)); INSERT " +
			"INTO t VALUES (1, lo_from_bytea(0, 'x'))", "warning postgres-large-objects database orders on premises"},
		{"amounts in another locale", "CREATE TABLE t (tenant_id int NOT NULL, n int, price money, PRIMARY KEY (tenant_id, n))",
			"blocker postgres-money table public.t"},
		{"partitions, of which others may come", "CREATE TABLE t (tenant_id int NOT NULL, n int, PRIMARY KEY (tenant_id, n)) " +
			"PARTITION BY LIST (n)", "warning postgres-partition-later database orders on premises"},
		{"a materialised view", "CREATE TABLE t (tenant_id int NOT NULL, n bigint, PRIMARY KEY (tenant_id, n)); CREATE MATERIALIZED " +
			"VIEW totals AS SELECT * FROM t", "warning postgres-materialized-view database orders on premises"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r.Script(s, x.sql)
			defer r.Script(s, "DROP TABLE IF EXISTS t, roles CASCADE; DROP FUNCTION IF EXISTS note; DROP TYPE IF EXISTS mood, note "+
				"CASCADE; DROP DOMAIN IF EXISTS point_of, doc CASCADE; SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
			got := found(r, r.Pair)
			if x.want != "" {
				require.Contains(t, got, x.want)
				return
			}
			for _, f := range got {
				require.NotContains(t, f, "table public.t")
			}
		})
	}
}

func TestCheckNamesAReferenceTableWhoseUpdatesWouldFail(t *testing.T) {
	const parts = "DROP TABLE ref_currency; CREATE TABLE ref_currency (code text PRIMARY KEY, rate int) PARTITION BY LIST (code); " +
		"CREATE TABLE ref_a PARTITION OF ref_currency DEFAULT"
	for _, x := range []struct {
		name, sql string
		blocks    bool
	}{
		{"a deferrable key", "ALTER TABLE ref_currency DROP CONSTRAINT ref_currency_pkey, ADD PRIMARY KEY (code) DEFERRABLE", true},
		{"the whole row by hand", "ALTER TABLE ref_currency REPLICA IDENTITY FULL", false},
		{"the whole row, and a column without equality", "ALTER TABLE ref_currency ADD body json, REPLICA IDENTITY FULL", true},
		{"the whole row, and a generated column", "ALTER TABLE ref_currency ADD g int GENERATED ALWAYS AS (1) STORED, " +
			"REPLICA IDENTITY FULL", true},
		{"an index that is gone", "CREATE UNIQUE INDEX k ON ref_currency (code); ALTER TABLE ref_currency REPLICA IDENTITY USING " +
			"INDEX k; DROP INDEX k", true},
		{"partitions", parts, false},
		{"a partition that nothing identifies", parts + "; ALTER TABLE ref_a REPLICA IDENTITY NOTHING", true},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := pairtest.New(t)
			r.Script(s, x.sql)
			got := about(found(r, r.Pair), "postgres-reference-identity")
			if !x.blocks {
				require.Empty(t, got)
				return
			}
			require.Equal(t, []string{"blocker postgres-reference-identity table public.ref_currency"}, got)
		})
	}
}

func TestCheckNamesADatabaseInAnotherEncoding(t *testing.T) {
	r := pairtest.New(t)
	db := r.DB + "latin"
	require.NoError(t, r.Src.Exec(t.Context(), "postgres", "CREATE DATABASE "+db+" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' "+
		"TEMPLATE template0"))
	t.Cleanup(func() {
		require.NoError(t, r.Src.Exec(context.Background(), "postgres", "DROP DATABASE "+db+" WITH (FORCE)"))
	})
	require.NoError(t, r.Src.Exec(t.Context(), db, "CREATE TABLE people (tenant_id int NOT NULL, id int NOT NULL, name text, PRIMARY "+
		"KEY (tenant_id, id))"))
	p := r.Over(pairtest.Orders)
	defer p.Close()
	latin := r.OnPremises(db)
	p.OnPrem.Pool.Close()
	p.OnPrem = latin
	require.Equal(t, []string{"blocker postgres-encoding database orders on AWS"}, about(found(r, p), "postgres-encoding"))
}

func TestCheckNamesWhatTheDatabaseSetsAndWhoHasRights(t *testing.T) {
	r := pairtest.New(t)
	role := r.DB + "_webapp"
	r.Script(s, "CREATE ROLE "+role+"; ALTER TABLE acct OWNER TO "+role+"; GRANT SELECT ON blobs TO "+role+"; ALTER DATABASE "+r.DB+
		" SET search_path = app, public")
	t.Cleanup(func() {
		require.NoError(t, r.Src.Exec(context.Background(), r.DB, "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role))
	})
	got := found(r, r.Pair)
	require.Contains(t, got, "blocker postgres-grantee role "+role+" on AWS")
	require.Contains(t, got, "warning postgres-grantee database orders on AWS")
	require.Contains(t, got, "warning postgres-database-setting database orders on AWS")
	// A role's own setting counts in this database, too, and who has rights to the database itself.
	r.Script(s, "ALTER ROLE "+role+" SET work_mem = '7MB'; GRANT CREATE ON DATABASE "+r.DB+" TO "+role+"; REVOKE TEMP ON DATABASE "+r.DB+
		" FROM PUBLIC; GRANT TEMP ON DATABASE "+r.DB+" TO "+role)
	said := func(check string) (out []string) {
		list, err := Check(t.Context(), r.Pair, []int64{1}, Moves{})
		require.NoError(t, err)
		for _, f := range list {
			if f.Check == check {
				out = append(out, f.Reason)
			}
		}
		return out
	}
	require.Contains(t, said("postgres-database-setting"), "on premises role "+role+": work_mem is set to 7MB, and on AWS it is not: "+
		"sessions of the application would differ")
	require.Equal(t, []string{"it does not give CREATE to role " + role + ", which the one on premises does",
		"it gives TEMPORARY to PUBLIC, which the one on premises does not"}, said("postgres-database-grant"))
	require.NoError(t, r.Dst.Exec(t.Context(), r.DB, "CREATE ROLE "+role+"; ALTER DATABASE "+r.DB+" SET search_path = app, public; ALTER "+
		"ROLE "+role+" SET work_mem = '7MB'; GRANT CREATE, TEMP ON DATABASE "+r.DB+" TO "+role+"; REVOKE TEMP ON DATABASE "+r.DB+
		" FROM PUBLIC"))
	t.Cleanup(func() {
		require.NoError(t, r.Dst.Exec(context.Background(), r.DB, "DROP OWNED BY "+role+"; DROP ROLE "+role))
	})
	require.Empty(t, about(found(r, r.Pair), "postgres-grantee", "postgres-database-setting", "postgres-database-grant"))
}

// The rows have an origin, are not passed on, and pass the guard.
func TestCheckNamesATableThatSomebodyElsesSubscriptionWrites(t *testing.T) {
	r := pairtest.New(t)
	r.Script(s, "CREATE SUBSCRIPTION erp CONNECTION 'host=127.0.0.1 dbname=nowhere' PUBLICATION erp WITH (connect = false)")
	require.Empty(t, about(found(r, r.Pair), "postgres-other-subscription"))
	r.Script(s, "INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) SELECT oid, 'acct'::regclass, 'r' FROM pg_subscription "+
		"WHERE subname = 'erp'")
	require.Equal(t, []string{"blocker postgres-other-subscription table public.acct on premises"},
		about(found(r, r.Pair), "postgres-other-subscription"))
	r.Script(s, "ALTER SUBSCRIPTION erp SET (slot_name = NONE); DROP SUBSCRIPTION erp")
}

func TestCheckComparesWhatIsBehindTheNameOfAType(t *testing.T) {
	for _, x := range []struct{ name, column, here, there string }{
		{"an array of an enum", "mood[]", "CREATE TYPE mood AS ENUM ('ok', 'bad', 'new')", "CREATE TYPE mood AS ENUM ('ok', 'bad')"},
		{"a composite type", "price", "CREATE TYPE price AS (cur text, n numeric, extra int)",
			"CREATE TYPE price AS (cur text, n numeric)"},
		{"an enum within a composite type", "price", "CREATE TYPE mood AS ENUM ('ok', 'bad'); CREATE TYPE price AS (m mood)",
			"CREATE TYPE mood AS ENUM ('ok'); CREATE TYPE price AS (m mood)"},
		{"a domain's check", "sku", "CREATE DOMAIN sku AS text", "CREATE DOMAIN sku AS text CHECK (length(VALUE) < 4)"},
		{"the same domain", "sku", "CREATE DOMAIN sku AS text CHECK (length(VALUE) < 4)", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := pairtest.New(t)
			table := "; CREATE TABLE m (tenant_id int NOT NULL, id int NOT NULL, v " + x.column + ", PRIMARY KEY (tenant_id, id))"
			r.Script(s, x.here+table)
			want := []string{"blocker postgres-target-schema table public.m on AWS"}
			if x.there == "" {
				x.there, want = x.here, []string{}
			}
			r.Script(d, pg.Schema+";"+x.there+table)
			require.Equal(t, want, about(found(r, r.Pair), "postgres-target-schema"))
		})
	}
}

func TestCheckNamesAnExtensionThatAWSLacks(t *testing.T) {
	r := pairtest.New(t)
	// As it looks where only the premises' server has the files.
	r.Script(s, "CREATE EXTENSION citext; UPDATE pg_extension SET extname = 'rum' WHERE extname = 'citext'")
	require.Equal(t, []string{"blocker postgres-extension extension rum"}, about(found(r, r.Pair), "postgres-extension"))
}

func TestCheckNamesAnExtensionThatKeepsRowsOfItsOwn(t *testing.T) {
	r := pairtest.New(t)
	r.Script(s, "CREATE EXTENSION citext; CREATE TABLE settings (k text)")
	r.Script(d, "CREATE EXTENSION citext")
	// As an extension has it whose rows pg_dump would carry.
	r.Must(s, "UPDATE pg_extension SET extconfig = ARRAY['settings'::regclass::oid], extcondition = ARRAY[''] WHERE extname = 'citext'")
	require.Empty(t, about(found(r, r.Pair), "postgres-extension"), "there is no row")
	r.Must(s, "INSERT INTO settings VALUES ('x')")
	require.Equal(t, []string{"warning postgres-extension extension citext"}, about(found(r, r.Pair), "postgres-extension"))
	r.Must(s, "UPDATE pg_extension SET extconfig = NULL, extcondition = NULL WHERE extname = 'citext'")
}

func TestCheckSaysHowManyTenantsATransactionMayWriteFor(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "INSERT INTO acct SELECT g, 0 FROM generate_series(1, 20000) g")
	r.Must(s, "ANALYZE acct")
	list, err := Check(t.Context(), r.Pair, []int64{1}, Moves{})
	require.NoError(t, err)
	at := slices.IndexFunc(list, func(f migration.Finding) bool { return f.Check == "postgres-lock-table" })
	require.GreaterOrEqual(t, at, 0)
	room := r.Num(s, "SELECT current_setting('max_locks_per_transaction')::bigint * (current_setting('max_connections')::bigint + "+
		"current_setting('max_prepared_transactions')::bigint)")
	require.Contains(t, list[at].Reason, fmt.Sprintf("the lock table bears %d locks", room))
}

func TestCheckSaysWhichNewcomersAreTakenForTenantsThatStay(t *testing.T) {
	r := pairtest.New(t)
	for _, x := range []struct {
		name, ids string
		says      bool
	}{
		{"many, one beside the other", "generate_series(1, 2500) g", false},
		{"many, and each apart", "generate_series(1, 5000, 2) g", true},
	} {
		t.Run(x.name, func(t *testing.T) {
			r.Must(s, "INSERT INTO acct SELECT g, 0 FROM "+x.ids)
			defer r.Must(s, "TRUNCATE acct")
			r.Must(s, "ANALYZE acct")
			var want []string
			if x.says {
				want = []string{"warning postgres-sign-up database orders on premises"}
			}
			require.ElementsMatch(t, want, about(found(r, r.Pair), "postgres-sign-up"))
		})
	}
}

// A server at its default settings writes a statement that fails into its log, and a preflight is
// there to fail.
// Whatever a server logs and however the attempt ends, the password is not in it.
func TestNoPasswordIsInALogWhenThePreflightCannotSubscribe(t *testing.T) {
	r := pairtest.NewOn(t, ownServer(t, "src"), ownServer(t, "dst"))
	m := r.Planned()
	for _, x := range []*pg.Server{r.Src, r.Dst} { // from now on they log all that they can
		for _, set := range []string{"log_statement = 'all'", "log_min_duration_statement = 0", "log_min_error_statement = 'debug5'",
			"log_error_verbosity = 'verbose'", "log_parameter_max_length_on_error = -1"} {
			require.NoError(t, x.Exec(t.Context(), "postgres", "ALTER SYSTEM SET "+set))
		}
		require.NoError(t, x.Exec(t.Context(), "postgres", "SELECT pg_reload_conf()"))
	}
	p := m.Opened()
	r.Rows(1)
	require.Empty(t, about(found(r, p), "postgres-connectivity"))
	r.Prepare(1)
	r.Synced()
	require.NoError(t, r.Src.Exec(t.Context(), "postgres", "ALTER ROLE "+m.Role+" NOREPLICATION"))
	got := about(found(r, p), "postgres-connectivity")
	require.Len(t, got, 1)
	require.True(t, strings.HasPrefix(got[0], "blocker postgres-connectivity database orders on AWS -> "+m.Role), got[0])
	require.Contains(t, r.Dst.Log(), "CREATE SUBSCRIPTION drover_check CONNECTION", "this server logs every statement")
	for _, side := range []migration.Side{s, d} {
		a, err := p.Side(side).Login(t.Context())
		require.NoError(t, err)
		require.NotContains(t, r.Src.Log()+r.Dst.Log(), a.Password)
	}
}

func ownServer(t *testing.T, name string) *pg.Server {
	t.Helper()
	tooltest.Dir(t, "pg/bin/postgres")
	o := pairtest.Options
	o.Name = name + "-" + t.Name()
	x, err := pg.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	return x
}

// A superuser's attempt is made with the password itself, which neither a log nor the statistics of
// statements may have.
func TestNoPasswordIsInTheStatisticsOfStatements(t *testing.T) {
	var servers []*pg.Server
	for _, name := range []string{"counts-src", "counts-dst"} {
		o := pairtest.Options
		o.Name, o.Settings = name, map[string]string{"shared_preload_libraries": "pg_stat_statements", "log_statement": "all",
			"log_min_messages": "debug1", "log_error_verbosity": "verbose", "log_min_duration_statement": "0"}
		x, err := pg.Start(t.Context(), o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, x.Close()) })
		servers = append(servers, x)
	}
	r := pairtest.NewOn(t, servers[0], servers[1])
	for _, side := range []migration.Side{s, d} {
		r.Script(side, "CREATE EXTENSION pg_stat_statements")
	}
	require.Empty(t, about(found(r, r.Pair), "postgres-connectivity"))
	r.Rows(1)
	r.Prepare(1)
	r.Synced()
	logged := r.Src.Log() + r.Dst.Log() // before the questions below, which have it
	for _, side := range []migration.Side{s, d} {
		a, err := r.Pair.Side(side).Login(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, a.Password)
		require.NotContains(t, logged, a.Password)
		for _, at := range []migration.Side{s, d} {
			require.Zero(t, r.Num(at, "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%password%' AND query LIKE '%' || $1 || "+
				"'%'", a.Password))
			require.Positive(t, r.Num(at, "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%CREATE SUBSCRIPTION drover_check%'"))
		}
	}
}

func TestCheckNamesWhatWritesDownThePasswordOfASubscription(t *testing.T) {
	r := pairtest.New(t)
	m := r.Planned()
	p := m.Opened()
	require.Empty(t, about(found(r, p), "postgres-password-logged"))
	for _, set := range []string{"pgaudit.log = 'read, DDL'", "pg_stat_statements.track = 'all'"} {
		require.NoError(t, r.Dst.Exec(t.Context(), "postgres", "ALTER ROLE "+m.Role+" SET "+set))
		p.AWS.Pool.Reset()
		require.Equal(t, []string{"blocker postgres-password-logged role " + m.Role + " on AWS"},
			about(found(r, p), "postgres-password-logged"))
		require.NoError(t, r.Dst.Exec(t.Context(), "postgres", "ALTER ROLE "+m.Role+" RESET ALL"))
	}
}
