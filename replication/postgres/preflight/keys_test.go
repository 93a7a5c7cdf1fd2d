package preflight

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestCheckFindsKeysThatTenantsShare(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "CREATE EXTENSION btree_gist")
	for _, x := range []struct {
		name, sql string
		found     string // index; empty: nothing
	}{
		{"a key that the tenant is no part of", "CREATE TABLE t (tenant_id int NOT NULL, email text, CONSTRAINT k UNIQUE (email))", "k"},
		{"a key with the tenant", "CREATE TABLE t (tenant_id int NOT NULL, email text, UNIQUE (email, tenant_id))", ""},
		{"a key that only carries the tenant along", "CREATE TABLE t (tenant_id int NOT NULL, email text, CONSTRAINT k UNIQUE (email) " +
			"INCLUDE (tenant_id))", "k"},
		{"a key that carries a UUID along", "CREATE TABLE t (tenant_id int NOT NULL, email text, u uuid, CONSTRAINT k UNIQUE (email) " +
			"INCLUDE (u))", "k"},
		{"a key of ids that a sequence gives", "CREATE TABLE t (tenant_id int NOT NULL, id bigserial PRIMARY KEY)", ""},
		{"an exclusion across tenants", "CREATE TABLE t (tenant_id int NOT NULL, span int4range, CONSTRAINT k EXCLUDE USING gist (span " +
			"WITH &&))", "k"},
		{"an exclusion within a tenant", "CREATE TABLE t (tenant_id int NOT NULL, span int4range, EXCLUDE USING gist (tenant_id WITH =, " +
			"span WITH &&))", ""},
		{"an exclusion of other tenants", "CREATE TABLE t (tenant_id int NOT NULL, span int4range, CONSTRAINT k EXCLUDE USING gist " +
			"(tenant_id WITH <>, span WITH &&))", "k"},
		{"an exclusion that carries the tenant along", "CREATE TABLE t (tenant_id int NOT NULL, span int4range, CONSTRAINT k EXCLUDE " +
			"USING gist (span WITH &&) INCLUDE (tenant_id))", "k"},
		{"a key of a partitioned table, once", "CREATE TABLE t (tenant_id int NOT NULL, n int, CONSTRAINT k UNIQUE (n)) PARTITION BY " +
			"LIST (n); CREATE TABLE p PARTITION OF t DEFAULT", "k"},
		{"a key of one partition", "CREATE TABLE t (tenant_id int NOT NULL, n int) PARTITION BY LIST (n); CREATE TABLE p PARTITION OF t " +
			"DEFAULT; CREATE UNIQUE INDEX k ON p (n)", "k"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r.Must(s, x.sql)
			defer r.Must(s, "DROP TABLE t")
			found, err := Check(t.Context(), r.Pair, []int64{1}, Moves{})
			require.NoError(t, err)
			var got []string
			for _, f := range found {
				if f.Check == "postgres-unique-across-tenants" {
					require.Equal(t, migration.Blocker, f.Severity)
					got = append(got, strings.TrimSuffix(strings.TrimPrefix(f.Subject, "index "), " of table public.t"))
				}
			}
			if x.found == "" {
				require.Empty(t, got)
				return
			}
			require.Equal(t, []string{x.found}, got)
		})
	}
}

func TestRowsWhoseKeyOnlyCarriesTheTenantAlongCanStillBeChanged(t *testing.T) {
	r := pairtest.New(t)
	r.Must(s, "CREATE TABLE notes (tenant_id int NOT NULL, id uuid, body text, note text, PRIMARY KEY (id) INCLUDE (tenant_id, body))")
	r.Prepared(2)
	r.Must(s, "INSERT INTO notes SELECT 1, gen_random_uuid(), 'a' FROM generate_series(1, 3)")
	require.Empty(t, r.Exec(s, "UPDATE notes SET body = 'b'"), "a published table without the tenant in its identity takes no update")
	require.Empty(t, r.Exec(s, "DELETE FROM notes WHERE id = (SELECT id FROM notes LIMIT 1)"))
	r.Move(s, 1, pairtest.Try(1, 1))
	require.EqualValues(t, 2, r.Num(d, "SELECT count(*) FROM notes WHERE body = 'b'"))
	require.Empty(t, r.Exec(d, "UPDATE notes SET body = 'c'"))
	r.Move(d, 1, pairtest.Try(2, 1))
	require.EqualValues(t, 2, r.Num(s, "SELECT count(*) FROM notes WHERE body = 'c'"))
	for _, side := range []migration.Side{s, d} {
		require.EqualValues(t, 1, r.Num(side, "SELECT count(*) FROM pg_class WHERE oid = 'notes'::regclass AND relreplident = 'i'"),
			"by its key, not by the whole row")
	}
}
