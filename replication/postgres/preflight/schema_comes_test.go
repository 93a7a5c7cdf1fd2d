package preflight

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// The schema is brought to AWS once and taken back, so that whatever the server there does not take
// is said beforehand.
func TestCheckTriesWhetherTheSchemaComes(t *testing.T) {
	r := pairtest.New(t)
	require.Empty(t, about(found(r, r.Pair), "postgres-schema-comes"))
	for _, side := range []migration.Side{s, d} {
		r.Script(side, "CREATE FUNCTION month() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	}
	require.Equal(t, []string{"blocker postgres-schema-comes database orders on AWS"}, about(found(r, r.Pair), "postgres-schema-comes"))
	looked, err := Look(t.Context(), r.Pair, []int64{1}, Moves{})
	require.NoError(t, err)
	require.NotContains(t, pairtest.Checks(looked), "postgres-schema-comes", "who only looks tries nothing")
}

func TestCheckNamesRolesOfPoliciesAndOfLaterTablesThatAWSLacks(t *testing.T) {
	r := pairtest.New(t)
	a, b := r.DB+"_policy", r.DB+"_later"
	r.Script(s, "CREATE ROLE "+a+"; CREATE ROLE "+b+"; ALTER TABLE acct ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON acct TO "+a+
		" USING (true); ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "+b)
	t.Cleanup(func() {
		require.NoError(t, r.Src.Exec(context.Background(), r.DB, "DROP OWNED BY "+a+", "+b+"; DROP ROLE "+a+", "+b))
	})
	require.Equal(t, []string{"blocker postgres-grantee role " + b + " on AWS", "blocker postgres-grantee role " + a + " on AWS"},
		about(found(r, r.Pair), "postgres-grantee"))
}

func TestCheckNamesLoginsOfForeignServersThatAreNotCarried(t *testing.T) {
	r := pairtest.New(t)
	r.Script(s, "CREATE FOREIGN DATA WRAPPER bare; CREATE SERVER films FOREIGN DATA WRAPPER bare")
	require.Empty(t, about(found(r, r.Pair), "postgres-user-mapping"))
	r.Script(s, "CREATE USER MAPPING FOR CURRENT_USER SERVER films OPTIONS (user 'u', password 'hunter2')")
	require.Equal(t, []string{"warning postgres-user-mapping database orders on AWS"}, about(found(r, r.Pair), "postgres-user-mapping"))
}
