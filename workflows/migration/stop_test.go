package migration

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// A dataset whose audit lets nobody move pauses the migration, in the dataset's words, and the
// batches hear it: no further customer sets out.
func TestADatasetThatLetsNobodyMovePausesTheMigrationInItsWords(t *testing.T) {
	const why = "orders on premises: the server is another one than that which Drover knows"
	says, told := renewed(t, func(env *testsuite.TestWorkflowEnvironment) {
		env.SignalWorkflow(mail.SignalPiece, mail.PieceReport{Order: mail.Order{At: 1, N: 1}, Stop: true,
			Piece: migration.PieceStatus{Name: "orders", Phase: migration.PieceReady, Detail: why}})
	})
	require.True(t, says.Paused)
	require.Equal(t, migration.WaitResume, says.WaitingFor)
	require.Contains(t, says.Reason, "orders: "+why)
	i := slices.IndexFunc(says.Timeline, func(e migration.Event) bool { return e.What == "the migration pauses itself" })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, "orders: "+why, says.Timeline[i].Why)
	require.Contains(t, told, mail.SignalWord+" to "+migration.BatchID("shop", "wave"))
}

// What a dataset says that stops nobody pauses nothing.
func TestADatasetThatSaysWhatIsOddPausesNothing(t *testing.T) {
	says, _ := renewed(t, func(env *testsuite.TestWorkflowEnvironment) {
		env.SignalWorkflow(mail.SignalPiece, mail.PieceReport{Order: mail.Order{At: 1, N: 1},
			Piece: migration.PieceStatus{Name: "orders", Phase: migration.PieceReady, Detail: "a clock is off by 5s"}})
	})
	require.False(t, says.Paused)
}
