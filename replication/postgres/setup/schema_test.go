package setup_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

func TestAListLosesWhatAWSHasOrMayNotMake(t *testing.T) {
	keep := []string{
		"; Archive created at 2026-11-28", "3; 3079 16385 EXTENSION - citext ", "215; 1259 16390 TABLE public acct postgres",
		"3400; 0 0 COMMENT public TABLE acct postgres",
		"3401; 0 0 ACL - SCHEMA public pg_database_owner", "3299; 2620 16600 TRIGGER public acct touch postgres",
		"6; 2615 17000 SCHEMA - app postgres",
	}
	lose := []string{
		"3399; 0 0 COMMENT - EXTENSION citext ", "5; 2615 2200 SCHEMA - public pg_database_owner", "3402; 0 0 COMMENT - SCHEMA public " +
			"pg_database_owner",
		"3300; 2620 16601 TRIGGER public acct zzzz_drover_guard postgres",
		"3404; 1418 16412 USER MAPPING - USER MAPPING app SERVER films app",
	}
	later := "3403; 826 16601 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES app"
	list := strings.Join(append(lose, keep...), "\n") + "\n" + later + "\n"
	require.Equal(t, strings.Join(keep, "\n")+"\n"+later+"\n", setup.Wanted(list, false))
	require.Equal(t, strings.Join(keep, "\n")+"\n", setup.Wanted(list, true), "whoever restores owns everything there")
}

// What people write in functions and comments looks like SQL, like psql's commands, like anything.
func TestTheSchemaComesAsItIs(t *testing.T) {
	for _, x := range []struct{ name, ddl, question string }{
		{"a function with a grant at the beginning of a line",
			"CREATE FUNCTION month() RETURNS void LANGUAGE plpgsql AS $f$\nBEGIN\nGRANT SELECT ON nothing TO reporting;\nALTER TABLE x " +
				"OWNER TO gone;\nCREATE SCHEMA public;\nEND $f$",
			"SELECT prosrc FROM pg_proc WHERE proname = 'month'"},
		{"a comment with a line that begins with a backslash", "COMMENT ON TABLE acct IS 'first\n\\second\nthird'",
			"SELECT obj_description('acct'::regclass)"},
		{"a default of several lines", "ALTER TABLE acct ADD note text DEFAULT 'a\nSET transaction_timeout = 0;\n\\q\nb'",
			"SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'acct'::regclass AND pg_get_expr(adbin, adrelid) LIKE " +
				"'%timeout%'"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := pairtest.New(t)
			r.Script(s, "SET check_function_bodies = off; "+x.ddl)
			r.Prepare(1)
			var here, there string
			require.NoError(t, r.Query(s, &here, x.question))
			require.NoError(t, r.Query(d, &there, x.question))
			require.Equal(t, here, there)
		})
	}
}

func TestATablespaceThatAWSLacksIsNoObstacle(t *testing.T) {
	pairtest.New(t) // or the tools are not here
	o := pairtest.Options
	o.Name, o.Settings = "spaces", map[string]string{"allow_in_place_tablespaces": "on"}
	src, err := pg.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	require.NoError(t, src.Exec(t.Context(), "postgres", "CREATE TABLESPACE fast LOCATION ''"))
	r := pairtest.NewOn(t, src, pairtest.AWS)
	r.Must(s, "CREATE TABLE hot (tenant_id int NOT NULL, id int NOT NULL, PRIMARY KEY (tenant_id, id)) TABLESPACE fast")
	r.Prepare(1)
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM pg_class WHERE relname = 'hot'"))
}

func TestAnExtensionThatAnotherRoleMadeOnAWSIsNoObstacle(t *testing.T) {
	r := pairtest.New(t)
	r.Script(s, "CREATE EXTENSION citext")
	m := r.Planned()
	r.Script(d, "CREATE EXTENSION citext")
	p := m.Opened()
	r.Prepare(1)
	require.NoError(t, setup.DropAll(t.Context(), p, nil))
}

func TestWhoOwnsATableOwnsItOnAWSIfTheRoleThereMayActForAll(t *testing.T) {
	tooltest.Dir(t, "pg/bin/postgres")
	const role = "owner_of_a_table"
	for _, at := range []*pg.Server{pairtest.OnPrem, pairtest.AWS} {
		require.NoError(t, at.Exec(t.Context(), "postgres", "CREATE ROLE "+role))
		t.Cleanup(func() { require.NoError(t, at.Exec(context.Background(), "postgres", "DROP ROLE "+role)) }) // after its databases
	}
	r := pairtest.New(t)
	r.Script(s, "ALTER TABLE acct OWNER TO "+role+"; GRANT SELECT ON blobs TO "+role)
	r.Prepare(1)
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM pg_class WHERE relname = 'acct' AND pg_get_userbyid(relowner) = $1", role))
	require.EqualValues(t, 1, r.Num(d, "SELECT has_table_privilege($1, 'blobs', 'SELECT')::int", role))
}

// What fails before leaves no table on premises another replica identity or index.
func TestAPrepareThatCannotBringTheSchemaLeavesPremisesAsTheyWere(t *testing.T) {
	r := pairtest.New(t)
	before := shape(r)
	r.Script(d, "CREATE FUNCTION month() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	r.Script(s, "CREATE FUNCTION month() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	require.ErrorContains(t, setup.Prepare(t.Context(), r.Pair, []int64{1}, nil), "already exists")
	require.Equal(t, before, shape(r))
	require.Zero(t, r.Num(d, "SELECT count(*) FROM pg_class WHERE relname = 'acct'"), "all of it or nothing")
}

// What an owner gives to others of whatever it will make is said to the server as that owner, which
// a role that is no superuser may not do.
func TestWhatAnOwnerGivesOfLaterTablesIsNoObstacle(t *testing.T) {
	r := pairtest.New(t)
	owner, reader := r.DB+"_owner", r.DB+"_reader"
	r.Script(s, "CREATE ROLE "+owner+"; CREATE ROLE "+reader+"; ALTER DEFAULT PRIVILEGES FOR ROLE "+owner+
		" IN SCHEMA public GRANT SELECT ON TABLES TO "+reader)
	r.Script(d, "CREATE ROLE "+owner+"; CREATE ROLE "+reader)
	t.Cleanup(func() {
		for _, at := range []*pg.Server{r.Src, r.Dst} {
			require.NoError(t, at.Exec(context.Background(), r.DB, "DROP OWNED BY "+owner+"; DROP OWNED BY "+reader+"; DROP ROLE "+owner+
				", "+reader))
		}
	})
	p := r.Planned().Opened()
	r.Rows(1)
	why, err := setup.Rehearse(t.Context(), p)
	require.NoError(t, err)
	require.Empty(t, why)
	r.Prepare(1)
}

// A user mapping holds a password, and whoever restores it writes it into a statement.
func TestTheLoginsOfForeignServersAreNotCarried(t *testing.T) {
	r := pairtest.New(t)
	r.Script(s, "CREATE FOREIGN DATA WRAPPER bare; CREATE SERVER films FOREIGN DATA WRAPPER bare; CREATE USER MAPPING FOR "+
		"CURRENT_USER SERVER films OPTIONS (user 'u', password 'hunter2')")
	r.Prepare(1)
	require.EqualValues(t, 1, r.Num(d, "SELECT count(*) FROM pg_foreign_server"))
	require.Zero(t, r.Num(d, "SELECT count(*) FROM pg_user_mapping"))
}

func TestARehearsalChangesNothingAndSaysWhatTheServerAnswers(t *testing.T) {
	r := pairtest.New(t)
	why, err := setup.Rehearse(t.Context(), r.Pair)
	require.NoError(t, err)
	require.Empty(t, why)
	require.Zero(t, r.Num(d, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"))
	for _, side := range []migration.Side{s, d} {
		r.Script(side, "CREATE FUNCTION month() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	}
	why, err = setup.Rehearse(t.Context(), r.Pair)
	require.NoError(t, err)
	require.Equal(t, `ERROR: function "month" already exists with same argument types`, why)
	require.Zero(t, r.Num(d, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"))
}

// The schema is read of every table, also of those that the plan leaves out.
func TestARehearsalSaysWhatCannotBeRead(t *testing.T) {
	r := pairtest.New(t)
	p := r.Planned().Opened()
	r.Script(s, "CREATE TABLE hidden (id int)")
	why, err := setup.Rehearse(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, "ERROR: permission denied for table hidden", why)
}

func TestProgramsReadTheOneServerAndWriteToTheOther(t *testing.T) {
	for _, x := range []struct {
		program, home, aws int
		fit                bool
	}{
		{18, 18, 18, true}, {18, 15, 17, true}, {16, 15, 16, true}, {16, 16, 18, true},
		{16, 17, 18, false}, // it reads no newer server
		{18, 15, 16, false}, // it sets transaction_timeout
		{17, 17, 16, false},
	} {
		require.Equal(t, x.fit, setup.Fit(x.program, x.home, x.aws), "%+v", x)
	}
	r := pairtest.New(t)
	_, err := setup.FindPrograms(t.Context(), r.Pair)
	require.NoError(t, err)
	t.Setenv(setup.BinEnv, t.TempDir())
	_, err = setup.FindPrograms(t.Context(), r.Pair)
	require.ErrorIs(t, err, setup.ErrNoPgDump)
	require.ErrorContains(t, err, "there is no pg_dump in ")
	if home := r.Pair.OnPrem.Major(); home < 17 {
		t.Setenv(setup.BinEnv, filepath.Join(tooltest.Dir(t, "pg/bin/postgres"), "pg", "bin"))
		_, err = setup.FindPrograms(t.Context(), r.Pair)
		require.ErrorContains(t, err, fmt.Sprintf("it has to be of version %d to 16, since the server on AWS is of version %d", home, home))
	}
}
