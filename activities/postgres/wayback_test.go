package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

// A database has a flow for its rows and may have another for the tables of those who join.
func TestOfTwoFlowsTheOneThatIsLostCounts(t *testing.T) {
	flow := func(from migration.Side, halts bool, severity migration.Severity, reason string) engine.Flow {
		return engine.Flow{From: from, Halts: halts, Finding: migration.Finding{Severity: severity, Reason: reason}}
	}
	lost := flow(migration.AWS, true, migration.Blocker, "the slot is gone")
	halted := flow(migration.AWS, true, migration.Warning, "it is disabled")
	want := &migration.NoWayBack{Why: "the slot is gone", Lost: true}
	require.Equal(t, want, noWayBack([]engine.Flow{lost, halted}))
	require.Equal(t, want, noWayBack([]engine.Flow{halted, lost}))
	require.Equal(t, &migration.NoWayBack{Why: "it is disabled"}, noWayBack([]engine.Flow{halted}))
	require.Nil(t, noWayBack([]engine.Flow{flow(migration.OnPrem, true, migration.Blocker, "the slot is gone"),
		flow(migration.AWS, false, migration.Blocker, "its copy never ends")}))
}
