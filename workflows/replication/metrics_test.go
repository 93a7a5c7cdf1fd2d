package replication

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/measured"
)

// meter is a database that has decoded so much for AWS at each look, the last at all that follow.
type meter struct {
	ledgerRoom
	decoded []int64
}

func (m *meter) ReadLag(context.Context, postgres.PostgresRef) (postgres.Lag, error) {
	l := postgres.Lag{ForwardDecoded: m.decoded[0], BackDecoded: 5}
	if len(m.decoded) > 1 {
		m.decoded = m.decoded[1:]
	}
	return l, nil
}

func TestRowsThatADatabaseDecodesAreCountedFromTheFirstLookOn(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	m := measured.New()
	suite.SetMetricsHandler(m.Handler)
	env := patient(&suite)
	env.RegisterWorkflow(Replication)
	room := &meter{decoded: []int64{1000, 1500, 1500, 200, 250}} // its statistics were reset in between
	room.found = func(int) postgres.WatchResult { return postgres.WatchResult{} }
	env.RegisterActivity(room)
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(mail.SignalStop, mail.Wish{}) }, 10*time.Minute)
	env.ExecuteWorkflow(Replication, Input{Spec: migration.SpecRef{Plan: "p"}, Dataset: "orders"})
	require.NoError(t, env.GetWorkflowError())
	n, _ := m.Of(t, migration.MetricReplicated, "plan", "p", "mover", "postgres", "to", "aws")
	require.EqualValues(t, 500+50, n)
	back, _ := m.Of(t, migration.MetricReplicated, "to", "onprem")
	require.Zero(t, back)
}
