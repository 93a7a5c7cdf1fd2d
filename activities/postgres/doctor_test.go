package postgres_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
)

// A person who has to vouch for a server must see which one stands there, whatever else is broken.
func TestDoctorShowsTheServersAlsoWhereNotEverythingCanBeRead(t *testing.T) {
	a, ref, onprem, _ := world(t)
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivity(a)
	_, err := env.ExecuteActivity(a.PreparePostgres, postgres.PreparePostgresRequest{PostgresRef: ref, Tenants: []int64{1, 2}})
	require.NoError(t, err)
	require.NoError(t, onprem.Exec(t.Context(), "app", "DROP FUNCTION drover.publication_drift()"))
	v, err := env.ExecuteActivity(a.ExamineServers, postgres.ExamineRequest{PostgresRef: ref, Tenants: []int64{1, 2}})
	require.NoError(t, err)
	var out postgres.ExamineResult
	require.NoError(t, v.Get(&out))
	require.Len(t, out.Servers, 2)
	require.Equal(t, 2, out.Whole)
	require.Contains(t, strings.Join(out.Broken, "\n"), "not everything could be read")
	require.Equal(t, migration.OnPrem, out.Servers[0].Side)
}
