package migration

import (
	"slices"
	"testing"
	"time"

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

// Log that waits past its budget, or a server that nobody knows, holds Moves until it is over,
// whoever paused the migration first.
func TestNobodyResumesWhileADatasetLetsNobodyMove(t *testing.T) {
	for name, first := range map[string]string{"it pauses itself": "", "a person has paused it": migration.UpdatePause} {
		t.Run(name, func(t *testing.T) {
			var refused, taken []string
			says, _ := renewed(t, func(env *testsuite.TestWorkflowEnvironment) {
				say := func(after time.Duration, name string) {
					env.RegisterDelayedCallback(func() {
						env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
							OnReject: func(err error) { refused = append(refused, err.Error()) }, OnAccept: func() {},
							OnComplete: func(_ any, err error) { require.NoError(t, err); taken = append(taken, name) },
						}, migration.Command{RequestID: name + after.String(), By: "ann", Reason: "they call"})
					}, after)
				}
				piece := func(after time.Duration, n int, stop bool) {
					env.RegisterDelayedCallback(func() {
						env.SignalWorkflow(mail.SignalPiece, mail.PieceReport{Order: mail.Order{At: env.Now().UnixNano(), N: n}, Stop: stop,
							Piece: migration.PieceStatus{Name: "orders", Phase: migration.PieceReplicating,
								Detail: "its log waits past its budget"}})
					}, after)
				}
				if first != "" {
					say(time.Second, first)
				}
				piece(2*time.Second, 1, true)
				say(3*time.Second, migration.UpdateResume)
				piece(6*time.Minute, 2, false)
				say(7*time.Minute, migration.UpdateResume)
			})
			require.True(t, says.Paused)
			require.NotContains(t, says.MayDo, migration.UpdateResume)
			require.Equal(t, []string{"migration shop stays paused: nobody sets out while this is so: orders: its log waits past its " +
				"budget"}, refused)
			require.Contains(t, taken, migration.UpdateResume)
		})
	}
}
