package workflows_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/measured"
)

// measuring is a stage whose metrics are kept.
func measuring(t *testing.T) (*stage, *measured.Metrics) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	m := measured.New()
	suite.SetMetricsHandler(m.Handler)
	env := suite.NewTestWorkflowEnvironment()
	return on(t, env, newWorld(1, migration.OnPrem, env.Now)), m
}

func TestAMoveThatArrivesIsMeasured(t *testing.T) {
	s, m := measuring(t)
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
	require.Len(t, c.Moves, 1)
	moves, _ := m.Of(t, migration.MetricMoves, "to", "aws", "outcome", "done")
	require.EqualValues(t, 1, moves)
	for instrument, want := range map[string]float64{
		migration.MetricFreeze:          c.Moves[0].Freeze.D().Seconds(),
		migration.MetricFreezePredicted: c.Moves[0].Predicted.D().Seconds(),
		migration.MetricStall:           c.Moves[0].Routed.Sub(c.Moves[0].Fenced).Seconds(),
	} {
		n, seconds := m.Of(t, instrument, "to", "aws")
		require.EqualValues(t, 1, n, instrument)
		require.InDelta(t, want, seconds, 1e-6, instrument)
	}
	passed, _ := m.Of(t, migration.MetricVerdicts, "during", "bake", "outcome", "pass")
	require.EqualValues(t, 1, passed)
}

func TestAVerdictThatFailsAndTheWayBackAreCounted(t *testing.T) {
	s, m := measuring(t)
	s.verdict = migration.Fail
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerRolledBack, c.Phase)
	failed, _ := m.Of(t, migration.MetricVerdicts, "during", "bake", "outcome", "fail")
	require.EqualValues(t, 1, failed)
	for _, to := range []string{"aws", "onprem"} {
		moves, _ := m.Of(t, migration.MetricMoves, "to", to, "outcome", "done")
		require.EqualValues(t, 1, moves, to)
	}
}
