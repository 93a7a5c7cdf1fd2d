package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
)

// Who goes on without a side is asked, noted and audited as everybody else, while that side does
// not answer.
func TestACustomerThatGoesOnWithoutASideIsStillAskedAndNoted(t *testing.T) {
	a, ref, onprem, _ := world(t)
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivity(a)
	env.SetTestTimeout(time.Minute)
	_, err := env.ExecuteActivity(a.PreparePostgres, postgres.PreparePostgresRequest{PostgresRef: ref, Tenants: []int64{1, 2}})
	require.NoError(t, err)
	_, err = env.ExecuteActivity(a.AwaitPostgresSync, ref)
	require.NoError(t, err)
	one := postgres.TenantRequest{PostgresRef: ref, Customer: "acme", Tenant: 1}
	lose := postgres.AcceptLossRequest{TenantRequest: one, Owner: uuid.NewString(), By: "ann", Reason: "it burnt down"}
	look := lose
	look.Look = true
	require.Equal(t, postgres.AcceptLossResult{Home: migration.OnPrem, Both: true},
		twice[postgres.AcceptLossResult](t, env, a.AcceptLoss, look))
	_, err = env.ExecuteActivity(a.AcceptLoss, lose)
	require.ErrorContains(t, err, "both servers answer")
	require.Empty(t, twice[postgres.CarryResult](t, env, a.CarryOver, postgres.CarryRequest{TenantRequest: one, By: "ann"}).Done)

	require.NoError(t, onprem.Stop(pg.Immediate))
	require.Equal(t, postgres.AcceptLossResult{Home: migration.AWS}, twice[postgres.AcceptLossResult](t, env, a.AcceptLoss, look))
	loss := twice[postgres.AcceptLossResult](t, env, a.AcceptLoss, lose).Loss
	require.Equal(t, loss, twice[postgres.AcceptLossResult](t, env, a.AcceptLoss, lose).Loss, "it opens once")

	h := twice[migration.HomeRecord](t, env, a.ReadHome, one)
	require.Equal(t, migration.AWS, h.Home())
	require.Equal(t, "it burnt down", h.Loss.Why)
	two := one
	two.Tenant = 2
	_, err = env.ExecuteActivity(a.ReadHome, two)
	require.ErrorContains(t, err, "the database on premises does not answer")
	require.Len(t, twice[postgres.ReadHomesResult](t, env, a.ReadHomes, postgres.ReadHomesRequest{PostgresRef: ref, Tenants: []int64{1},
		Known: true}).Homes, 1)
	require.Equal(t, migration.WordNoted, twice[postgres.StepResult](t, env, a.NoteTenant, postgres.NoteRequest{TenantRequest: one,
		Side: migration.AWS, Note: migration.Note{Stay: h.Stay(migration.AWS), N: 1, Words: "held"}}).Word)
	w := twice[postgres.WatchResult](t, env, a.WatchPostgres, ref)
	require.Len(t, w.Lost, 1)
	require.Contains(t, w.Silent, "the database on premises does not answer")
	require.Equal(t, &migration.NoWayBack{Why: w.Silent}, w.NoWayBack, "until it answers again")
	e := twice[postgres.ExamineResult](t, env, a.ExamineServers, postgres.ExamineRequest{PostgresRef: ref, Tenants: []int64{1, 2}})
	require.Equal(t, migration.OnPrem, e.Silent.Side)
	require.False(t, e.Silent.Heard.IsZero())
	require.Equal(t, 1, e.Whole)
	require.Equal(t, migration.AWS, e.Routed[1].Side)
}
