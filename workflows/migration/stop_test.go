package migration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

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
							Piece: migration.PieceStatus{Name: "orders", Phase: migration.PieceReplicating, Detail: "its log waits past its budget"}})
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
			require.Equal(t, []string{"migration shop stays paused: nobody may move while this is so: orders: its log waits past its budget"},
				refused)
			require.Contains(t, taken, migration.UpdateResume)
		})
	}
}
