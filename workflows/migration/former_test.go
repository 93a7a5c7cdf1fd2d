package migration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/migration"
)

// Everything was terminated, and the plan is submitted again: nobody goes to AWS whom somebody had
// kept from it, and a batch that was on its way home goes on with that.
func TestAPauseAndARollbackHoldOnWhenThePlanIsSubmittedAgain(t *testing.T) {
	s := newShop(t)
	s.b.newest = migration.Revision{Revision: 2, Digest: "second"}
	ended := &migration.Finalised{By: "bob", Cut: time.Date(2026, 12, 2, 22, 0, 0, 0, time.UTC), Done: time.Unix(1, 0).UTC()}
	s.at(time.Minute, func() {
		now := s.says()
		require.True(t, now.Paused)
		require.Equal(t, migration.WaitResume, now.WaitingFor, "whatever it does meanwhile")
		require.Contains(t, now.MayDo, migration.UpdateResume)
		require.Equal(t, ended, now.Batches[1].Finalised)
		was := s.runs["wave"].Was
		require.NotNil(t, was)
		require.Equal(t, migration.BatchTakingBack, was.Phase)
		require.Equal(t, "they call", was.Reason)
		require.Equal(t, 1, was.Counts.Away, "until it knows better")
		require.Nil(t, s.runs["late"].Was)
		for _, b := range []string{"wave", "late"} {
			require.NotNil(t, s.runs[b].Paused)
			require.Equal(t, "paused by ann: month end", s.runs[b].Paused.Reason)
		}
		s.env.UpdateWorkflow(migration.UpdateResume, "go on", &testsuite.TestUpdateCallback{
			OnReject: func(err error) { require.NoError(t, err) }, OnAccept: func() {}, OnComplete: func(any, error) {},
		}, migration.Command{RequestID: "go on", By: "ann"})
	})
	s.at(2*time.Minute, func() {
		require.False(t, s.says().Paused)
		require.NotZero(t, s.heard["wave"])
		require.False(t, s.heard["wave"].Paused)
	})
	s.env.ExecuteWorkflow(Migration, Input{MigrationInput: migration.MigrationInput{Spec: &migration.Spec{}, By: "ann",
		Former: &migration.Former{Paused: "paused by ann: month end", Back: map[string]string{"wave": "they call"},
			Ends: map[string]*migration.Finalised{"late": ended}}}})
	require.ErrorContains(t, s.env.GetWorkflowError(), "nothing passes here")
}
