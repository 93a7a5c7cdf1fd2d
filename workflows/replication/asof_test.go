package replication

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// standing asks a Replication where its dataset stands.
func standing(t *testing.T, env *testsuite.TestWorkflowEnvironment) (p migration.PieceStatus) {
	t.Helper()
	v, err := env.QueryWorkflow(migration.QueryStatus)
	require.NoError(t, err)
	require.NoError(t, v.Get(&p))
	return p
}

// broken is a database whose beats arrive until the connection between its sides breaks.
type broken struct {
	ledgerRoom
	link atomic.Bool
}

func (b *broken) ReadLag(context.Context, postgres.PostgresRef) (postgres.Lag, error) {
	if !b.link.Load() {
		return postgres.Lag{}, temporal.NewNonRetryableApplicationError("no beat arrived", "NoBeat", errors.New("no beat arrived"))
	}
	return postgres.Lag{}, nil
}

func TestADatabaseIsConsistentUpToTheLastBeatThatArrived(t *testing.T) {
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.RegisterWorkflow(Replication)
	room := &broken{}
	room.link.Store(true)
	room.found = func(int) postgres.WatchResult { return postgres.WatchResult{} }
	env.RegisterActivity(room)
	var mu sync.Mutex // each signal has a goroutine of its own
	var last mail.PieceReport
	reports := 0
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mail.SignalPiece, mock.Anything).Return(
		func(_, _, _, _ string, arg any) error {
			mu.Lock()
			defer mu.Unlock()
			if r := arg.(mail.PieceReport); r.Order.Newer(last.Order) {
				last = r
			}
			reports++
			return nil
		})
	begun := env.Now()
	var flowed, before migration.PieceStatus
	env.RegisterDelayedCallback(func() {
		flowed, before = standing(t, env), migration.PieceStatus{}
		require.WithinDuration(t, begun.Add(time.Hour), flowed.AsOf, time.Minute)
		require.Equal(t, migration.PieceReady, flowed.Phase)
		room.link.Store(false)
	}, time.Hour)
	env.RegisterDelayedCallback(func() { before = standing(t, env) }, 2*time.Hour)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(mail.SignalStop, mail.Wish{}) }, 3*time.Hour)
	env.ExecuteWorkflow(Replication, Input{Spec: migration.SpecRef{Plan: "p"}, Dataset: "orders"})
	require.NoError(t, env.GetWorkflowError())
	require.WithinDuration(t, begun.Add(time.Hour), before.AsOf, time.Minute, "an hour later no beat has arrived since")
	require.Contains(t, before.Detail, "its lag cannot be read")
	mu.Lock()
	defer mu.Unlock()
	require.Less(t, reports, 10, "a beat is no news")
	require.Equal(t, before.AsOf, last.Piece.AsOf)
}

// A pass over files finds what was changed before it began. Whoever it did not make equal was as
// they are since the pass before.
func TestFilesAreConsistentUpToTheBeginningOfThePassThatMadeEverybodyEqual(t *testing.T) {
	s := &shelf{fails: "c201"}
	env := s.world()
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
	begun := env.Now()
	env.RegisterDelayedCallback(func() { require.Zero(t, standing(t, env).AsOf, "c201 was not made equal") }, filePassPause/2)
	env.RegisterDelayedCallback(func() {
		require.WithinRange(t, standing(t, env).AsOf, begun, begun.Add(filePassPause-1),
			"most were looked at by the first part of the pass only")
	}, filePassPause+filePassPause/2)
	env.RegisterDelayedCallback(func() {
		require.WithinRange(t, standing(t, env).AsOf, begun.Add(2*filePassPause), env.Now())
		env.SignalWorkflow(mail.SignalStop, mail.Wish{})
	}, 2*filePassPause+filePassPause/2)
	env.ExecuteWorkflow(Replication, Input{Dataset: "attachments"})
	require.NoError(t, env.GetWorkflowError())
}
