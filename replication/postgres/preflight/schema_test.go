package preflight

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestCheckComparesASchemaThatStandsOnAWS(t *testing.T) {
	r := pairtest.New(t)
	require.NoError(t, r.Dst.Exec(t.Context(), r.DB, pg.Schema))
	target := func(t *testing.T) (out []string) {
		t.Helper()
		found, err := Check(t.Context(), r.Pair, []int64{1}, Moves{})
		require.NoError(t, err)
		for _, f := range found {
			if f.Check == "postgres-target-schema" {
				require.Equal(t, migration.Blocker, f.Severity)
				require.NotEmpty(t, f.Remedy)
				out = append(out, f.Subject+": "+f.Reason)
			}
		}
		return out
	}
	require.Empty(t, target(t), "the same schema")

	const plain = "CREATE TABLE t (tenant_id int NOT NULL, id uuid PRIMARY KEY, n int, s text)"
	const parts = "CREATE TABLE t (tenant_id int NOT NULL, d date NOT NULL, PRIMARY KEY (tenant_id, d)) PARTITION BY RANGE (d)"
	const y25 = "CREATE TABLE y25 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
	const y26 = "CREATE TABLE y26 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
	r.Must(s, "CREATE TYPE state AS ENUM ('new', 'paid')")
	r.Must(d, "CREATE TYPE state AS ENUM ('new')")
	for _, x := range []struct {
		name, here, there string
		want              string // of the reason; empty: no finding
	}{
		{"columns in another order, names of keys, what a key carries along", plain + "; ALTER TABLE t ADD CONSTRAINT a UNIQUE " +
			"(tenant_id, n)",
			"CREATE TABLE t (s varchar, n int, id uuid PRIMARY KEY, tenant_id int NOT NULL, " +
				"CONSTRAINT b UNIQUE (n, tenant_id) INCLUDE (s))",
			""},
		{"a column that AWS lacks", plain + "; ALTER TABLE t ADD x int", plain, "column x is only on premises"},
		{"a column that premises lack", plain, plain + "; ALTER TABLE t ADD x int", "column x is only on AWS"},
		{"a narrower type", plain + "; ALTER TABLE t ALTER n TYPE bigint", plain, "column n is bigint on premises and integer on AWS"},
		{"a shorter text", plain, plain + "; ALTER TABLE t ALTER s TYPE varchar(10)", "column s is text on premises and character " +
			"varying(10) on AWS"},
		{"labels of an enum", plain + "; ALTER TABLE t ADD st state", plain + "; ALTER TABLE t ADD st state",
			"column st is public.state ('new', 'paid') on premises and public.state ('new') on AWS"},
		{"null is taken on one side", plain, plain + "; ALTER TABLE t ALTER n SET NOT NULL", "column n is integer on premises and " +
			"integer NOT NULL on AWS"},
		{"a generated column", plain + "; ALTER TABLE t ADD g int", plain + "; ALTER TABLE t ADD g int GENERATED ALWAYS AS (n + 1) STORED",
			"column g is integer on premises and integer GENERATED on AWS"},
		{"a key across tenants that only AWS has", plain, plain + "; ALTER TABLE t ADD UNIQUE (s)", "key (s) is only on AWS"},
		{"a key within a tenant that only AWS has", plain, plain + "; ALTER TABLE t ADD UNIQUE (tenant_id, s)",
			"key (s, tenant_id) is only on AWS"},
		{"a key that only premises have", plain + "; ALTER TABLE t ADD UNIQUE (tenant_id, s)", plain, "key (s, tenant_id) is only on " +
			"premises"},
		{"a partial key", plain + "; CREATE UNIQUE INDEX ON t (tenant_id, s) WHERE n > 1", plain + "; CREATE UNIQUE INDEX ON t " +
			"(tenant_id, s)", "key (s, tenant_id) WHERE (n > 1) is only on premises"},
		{"an exclusion", plain, plain + "; ALTER TABLE t ADD x int4range; ALTER TABLE t ADD EXCLUDE USING gist (x WITH &&)",
			"exclusion (x WITH &&) is only on AWS"},
		{"a CHECK", plain, plain + "; ALTER TABLE t ADD CHECK (n > 0) NOT VALID", "CHECK ((n > 0)) is only on AWS"},
		{"the same partitions", parts + "; " + y25 + "; " + y26, parts + "; " + y26 + "; " + y25, ""},
		{"a partition that AWS lacks", parts + "; " + y25 + "; " + y26, parts + "; " + y25, "a partition FOR VALUES FROM ('2026-01-01') " +
			"TO ('2027-01-01') is not on AWS"},
		{"one that premises lack", parts + "; " + y25, parts + "; " + y25 + "; " + y26, "a partition FOR VALUES FROM ('2026-01-01') TO " +
			"('2027-01-01') is not on premises"},
		{"a default partition takes them", parts + "; " + y25 + "; " + y26 + "; CREATE TABLE y PARTITION OF t DEFAULT", parts + "; " + y25 +
			"; CREATE TABLE y PARTITION OF t DEFAULT", ""},
		{"partitions of partitions", parts + "; " + y25 + " PARTITION BY LIST (tenant_id); CREATE TABLE a PARTITION OF y25 FOR VALUES IN " +
			"(1); CREATE TABLE b PARTITION OF y25 FOR VALUES IN (2)", parts + "; " + y25 + " PARTITION BY LIST (tenant_id); " +
			"CREATE TABLE a PARTITION OF y25 FOR VALUES IN (1)", "TO ('2026-01-01') FOR VALUES IN (2) is not on AWS"},
		{"a table that is divided on AWS only", "CREATE TABLE t (tenant_id int NOT NULL, d date NOT NULL, PRIMARY KEY (tenant_id, d))",
			parts + "; " + y25, "a partition for all other rows is not on AWS"},
		{"a table that is divided on premises only", parts + "; " + y25, "CREATE TABLE t (tenant_id int NOT NULL, d date NOT NULL, " +
			"PRIMARY KEY (tenant_id, d))", "a partition for all other rows is not on premises"},
		{"the same CHECK, not validated yet", plain + "; ALTER TABLE t ADD CHECK (n > 0)", plain + "; ALTER TABLE t ADD CONSTRAINT " +
			"other CHECK (n > 0) NOT VALID", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			r.Must(s, x.here)
			defer r.Must(s, "DROP TABLE t")
			r.Must(d, x.there)
			defer r.Must(d, "DROP TABLE t")
			got := target(t)
			if x.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Contains(t, got[0], "table public.t on AWS: ")
			require.Contains(t, got[0], x.want)
		})
	}
	t.Run("a table that only one side has", func(t *testing.T) {
		r.Must(d, plain)
		defer r.Must(d, "DROP TABLE t")
		got := target(t)
		require.Len(t, got, 1)
		require.Contains(t, got[0], "premises do not have its tables [public.t]")
	})
}
