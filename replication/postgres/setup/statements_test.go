package setup_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/replication/postgres/setup"
)

func TestAFileIsSplitAsPsqlWouldWithoutExecutingIt(t *testing.T) {
	all, err := setup.Statements(`-- a comment; with a semicolon
create table "a;b" (x text default 'it''s; fine', y text default E'a\'; b');
/* a /* nested; */ one; */ ;
CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN; COMMIT; $$ ; END $body$;
COMMENT ON TABLE t IS 'x' -- $tag$
`)
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, 2, all[0].Line)
	require.Equal(t, []string{"CREATE", "TABLE", "X", "TEXT", "DEFAULT", "Y"}, all[0].Words)
	require.Equal(t, 4, all[1].Line)
	require.Contains(t, all[1].Text, "END $body$")
	require.Equal(t, 5, all[2].Line)
	require.Equal(t, []string{"COMMENT", "ON", "TABLE", "T", "IS"}, all[2].Words)
	for says, file := range map[string]string{
		"line 2: a quote is not closed":     "CREATE TABLE a (x int);\nCREATE TABLE 'b",
		"line 1: a comment is not closed":   "/* /* */",
		"line 1: a backslash begins":        `\connect other`,
		"line 1: the body of a function":    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END",
		"line 1: a quote is not closed ":    "",
		"line 3: a backslash begins what o": "CREATE TABLE a ();\n\n\\i b.sql",
	} {
		if _, err := setup.Statements(file); file != "" {
			require.ErrorContains(t, err, says)
		}
	}
}

func TestWhatIsNoChangeOfASchemaIsRefusedByItsWords(t *testing.T) {
	for _, may := range []string{"CREATE TABLE t (a int)", "CREATE UNIQUE INDEX i ON t (a)", "create or replace view v as select 1",
		"CREATE MATERIALIZED VIEW v AS SELECT 1", "ALTER TABLE t ADD a int", "DROP INDEX i", "GRANT SELECT ON t TO r",
		"COMMENT ON TABLE t IS 'x'", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$",
		"CREATE CONSTRAINT TRIGGER x"} {
		all, err := setup.Statements(may)
		require.NoError(t, err)
		require.Empty(t, all[0].Refused(), may)
	}
	for not, why := range map[string]string{
		"COMMIT": "leave COMMIT out", "BEGIN": "leave BEGIN out", "INSERT INTO t VALUES (1)": "it may write rows",
		"WITH x AS (DELETE FROM t RETURNING a) SELECT 1": "it may write rows", "DO $$ BEGIN END $$": "it may write rows",
		"CREATE INDEX CONCURRENTLY i ON t (a)": "cannot be part of a transaction", "CREATE PUBLICATION p": "CREATE PUBLICATION is none",
		"ALTER SYSTEM SET x = 1": "ALTER SYSTEM is none", "SET search_path = x": "SET is no change of a schema",
		"CREATE EXTENSION x": "CREATE EXTENSION is none", "ALTER SUBSCRIPTION s DISABLE": "ALTER SUBSCRIPTION is none",
		"(SELECT 1)": "it may write",
	} {
		all, err := setup.Statements(not)
		require.NoError(t, err)
		require.Contains(t, all[0].Refused(), why, not)
	}
}
