package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// What a batch does for all of its customers at once costs each of them nothing.

func TestAnUntouchedCustomerIsKnownWithoutAWord(t *testing.T) {
	h := newHerd(t, 3)
	h.waits, h.untouched = true, true
	h.at(time.Second, func() {
		s := h.says()
		require.Equal(t, 3, s.Counts.Waiting)
		require.Zero(t, s.Counts.Away)
		for _, c := range s.Customers {
			require.Equal(t, migration.CustomerWaiting, c.Phase)
			require.Equal(t, migration.OnPrem, c.Home)
			require.Equal(t, migration.WaitBatch, c.WaitingFor)
			require.False(t, c.Since.IsZero())
			require.Equal(t, []string{migration.UpdateHold, migration.UpdateNote, migration.UpdateDefer,
				migration.UpdateOffer, migration.UpdateSkip}, c.MayDo)
		}
		require.Equal(t, "The first", s.Customers[0].Name)
		require.Equal(t, "wave", s.Customers[0].Batch)
		h.signal("turn", struct{}{})
	})
	h.at(1500*time.Millisecond, func() {
		c := h.says().Customers[0]
		require.Equal(t, migration.CustomerMoving, c.Phase)
		require.Equal(t, []string{migration.UpdateHold, migration.UpdateRollback, migration.UpdateNote}, c.MayDo)
		require.Equal(t, "The first", c.Name)
	})
	h.run()
	require.Equal(t, 3, h.started)
	require.Equal(t, 3, h.finalSays.Counts.OnAWS)
}

func TestABatchNotesForAllThatTheySoakAndThatTheyHaveFinished(t *testing.T) {
	h := newHerd(t, 3)
	h.at(moveTime+bakeTime+2*soakLook, func() {
		require.Len(t, h.notes, 3)
		for _, n := range h.notes {
			require.Equal(t, []migration.Note{{Stay: 7, N: 1, Words: "soaks"}}, n, "once")
		}
	})
	h.run()
	require.Equal(t, []bool{true, true, true}, h.noted)
	for _, n := range h.notes {
		require.Equal(t, migration.Note{Stay: 7, N: 2, Words: "finished"}, n[len(n)-1])
	}
	require.Equal(t, 3, h.finalSays.Counts.OnAWS)
}

func TestACustomerWhoseEndCouldNotBeNotedSeesToItByItself(t *testing.T) {
	h := newHerd(t, 2)
	h.unnoted = true
	h.run()
	require.Equal(t, []bool{false, false}, h.noted)
	require.Equal(t, 2, h.finalSays.Counts.OnAWS)
}

func TestThePassesOverFilesHearWhoMoves(t *testing.T) {
	h := newHerd(t, 3)
	h.files, h.batch.Concurrency = true, 2
	h.illLate["c2"] = true
	h.run()
	require.Equal(t, [][]string{{"c0", "c1"}, {"c2"}, nil, {"c2"}, nil}, h.asides)
}

func TestABatchThatIsStartedAgainSaysAnewWhoMoves(t *testing.T) {
	h := newHerd(t, 1)
	h.files, h.aws = true, map[string]bool{"c0": true}
	h.was = &migration.BatchStatus{Phase: migration.BatchCuttingOver}
	h.run()
	require.Equal(t, [][]string{nil}, h.asides)
}
