package migration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
)

// joining has a database that knows the first tenant, and has not prepared the second.
type joining struct {
	told map[string]map[int64]migration.Homed
}

func (j *joining) ReadHomes(_ context.Context, req postgres.ReadHomesRequest) (out postgres.ReadHomesResult, err error) {
	if !req.Known {
		return out, temporal.NewNonRetryableApplicationError("home of tenant 2: not prepared", postgres.ErrorNotPrepared, nil)
	}
	out.Homes = map[int64]migration.Homed{1: {Side: migration.OnPrem, Token: 4}}
	return out, nil
}

func (j *joining) RestoreRoute(_ context.Context, req traffic.RestoreRouteRequest) (traffic.RestoreRouteResult, error) {
	j.told = req.Homes
	return traffic.RestoreRouteResult{}, nil
}

func TestRoutesAreRestoredWhileACustomerIsNotPreparedYet(t *testing.T) {
	env, j := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment(), &joining{}
	env.RegisterActivity(j)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		m := newMigration(Input{})
		m.plan.Routed, m.plan.Tenants = true, map[string][]int64{"orders": {1, 2}}
		m.plan.Datasets = []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{Site: "dc1"}}, {Name: "docs"}}
		return m.restoreRoutes(ctx)
	})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, map[string]map[int64]migration.Homed{"orders": {1: {Side: migration.OnPrem, Token: 4}, 2: {Side: migration.OnPrem}}},
		j.told)
}
