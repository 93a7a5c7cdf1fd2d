package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// Those whom an amendment has brought into the plan stay on premises until they are carried over:
// nothing is broken, and the others have their answer.
func TestDoctorSeesTheOthersWhileSomebodyJoins(t *testing.T) {
	a, ref, _, pairs := world(t)
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivity(a)
	_, err := env.ExecuteActivity(a.PreparePostgres, postgres.PreparePostgresRequest{PostgresRef: ref, Tenants: []int64{1, 2}})
	require.NoError(t, err)
	pair, err := pairs.Open(t.Context(), ref.Plan, ref.Dataset, ref.Target)
	require.NoError(t, err)
	examine := func() (out postgres.ExamineResult) {
		v, err := env.ExecuteActivity(a.ExamineServers, postgres.ExamineRequest{PostgresRef: ref, Tenants: []int64{1, 2, 3}})
		require.NoError(t, err)
		require.NoError(t, v.Get(&out))
		return out
	}
	for _, at := range []string{"fences", "copying the rows of those who join"} { // before, and while it is sealed on AWS
		ctx, cancel := context.WithCancel(t.Context())
		require.Error(t, setup.Prepare(ctx, pair, []int64{1, 2, 3}, func(what string) {
			if what == at {
				cancel()
			}
		}))
		cancel()
		out := examine()
		require.Equal(t, 2, out.Whole, at)
		require.Equal(t, []int64{3}, out.Joining, at)
		require.Empty(t, out.Broken, at)
	}
	// What is open on AWS alone is broken, whoever joins.
	_, err = pair.AWS.Pool.Exec(t.Context(), "UPDATE drover.fence SET state = 'open' WHERE tenant = 3")
	require.NoError(t, err)
	require.Contains(t, strings.Join(examine().Broken, "\n"), "tenant 3: AWS knows it and premises do not")
	_, err = pair.AWS.Pool.Exec(t.Context(), "UPDATE drover.fence SET state = 'sealed' WHERE tenant = 3")
	require.NoError(t, err)
	require.NoError(t, setup.Prepare(t.Context(), pair, []int64{1, 2, 3}, nil))
	out := examine()
	require.Equal(t, 3, out.Whole)
	require.Empty(t, out.Joining)
}

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
