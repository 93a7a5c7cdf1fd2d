package replication

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// ledgerRoom is a database of two customers. Its exported methods are the activities.
type ledgerRoom struct {
	looks    atomic.Int64
	found    func(look int) postgres.WatchResult
	fails    func(look int) bool // nil: no look does
	copies   time.Duration       // how long the first copy takes
	prepared int
}

func (*ledgerRoom) LoadPlan(context.Context, migration.SpecRef) (state.Plan, error) {
	return state.Plan{
		Datasets: []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{Site: "dc1", Target: "prod"}}},
		Tenants:  map[string][]int64{"orders": {1, 2}},
	}, nil
}

func (l *ledgerRoom) PreparePostgres(context.Context, postgres.PreparePostgresRequest) error {
	l.prepared++
	return nil
}

func (*ledgerRoom) AwaitPostgresSync(context.Context, postgres.PostgresRef) error { return nil }
func (*ledgerRoom) ReadLag(context.Context, postgres.PostgresRef) (postgres.Lag, error) {
	return postgres.Lag{}, nil
}

func (*ledgerRoom) NameCustomers(_ context.Context, req state.NameCustomersRequest) (state.CustomerNames, error) {
	ids := map[int64]string{1: "acme", 2: "birch"}
	out := state.CustomerNames{IDs: map[int64]string{}}
	for _, t := range req.Tenants {
		out.IDs[t] = ids[t]
	}
	return out, nil
}

func (l *ledgerRoom) WatchPostgres(context.Context, postgres.PostgresRef) (postgres.WatchResult, error) {
	look := int(l.looks.Add(1))
	if l.fails != nil && l.fails(look) {
		return postgres.WatchResult{}, temporal.NewNonRetryableApplicationError("no answer", "Refused", nil)
	}
	return l.found(look), nil
}

// audited runs the Replication for ten minutes and answers what it told whom.
func audited(t *testing.T, found func(look int) postgres.WatchResult) (room *ledgerRoom, told map[string][]string,
	pieces []mail.PieceReport) {
	t.Helper()
	return auditedIn(t, &ledgerRoom{found: found})
}

func auditedIn(t *testing.T, in *ledgerRoom) (room *ledgerRoom, told map[string][]string, pieces []mail.PieceReport) {
	t.Helper()
	room, told = in, map[string][]string{}
	env := patient(&testsuite.WorkflowTestSuite{})
	env.RegisterWorkflow(Replication)
	env.RegisterActivity(room)
	env.OnActivity("AwaitPostgresSync", mock.Anything, mock.Anything).After(room.copies).Return(nil)
	var mu sync.Mutex
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, id, _, signal string, arg any) error {
			mu.Lock() // each signal has a goroutine of its own
			defer mu.Unlock()
			switch v := arg.(type) {
			case mail.Trouble:
				told[id] = append(told[id], v.Words)
			case mail.PieceReport:
				pieces = append(pieces, v)
			}
			return nil
		})
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(mail.SignalStop, mail.Wish{}) }, 10*time.Minute)
	env.ExecuteWorkflow(Replication, Input{Spec: migration.SpecRef{Plan: "p"}, Dataset: "orders"})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	slices.SortFunc(pieces, func(a, b mail.PieceReport) int {
		if a.Order.Newer(b.Order) {
			return 1
		}
		return -1
	})
	return room, told, pieces
}

func TestBothSidesAreAuditedEachMinuteFromPrepareToTheEnd(t *testing.T) {
	room, told, pieces := audited(t, func(int) postgres.WatchResult { return postgres.WatchResult{} })
	require.Greater(t, room.looks.Load(), int64(10))
	require.Empty(t, told)
	for _, p := range pieces {
		require.False(t, p.Stop)
	}
}

func TestACustomerWhoseSideWasStaleIsToldOnceWhatWasWrittenThere(t *testing.T) {
	stale := postgres.StaleSide{Tenant: 2, Side: migration.OnPrem, Token: 7, At: time.Date(2026, 12, 2, 22, 3, 0, 0, time.UTC),
		Writes: "table orders: 1 rows as they are on premises only: id=4711"}
	_, told, pieces := audited(t, func(look int) postgres.WatchResult {
		if look < 3 {
			return postgres.WatchResult{}
		}
		return postgres.WatchResult{Stale: []postgres.StaleSide{stale}}
	})
	require.Len(t, told, 1)
	require.Len(t, told["customer/p/birch"], 1)
	require.Contains(t, told["customer/p/birch"][0], "id=4711")
	require.Contains(t, told["customer/p/birch"][0], "under token 7")
	for _, p := range pieces {
		require.False(t, p.Stop, "the others go on")
	}
}

// Nobody sets out while nobody can see whether what was in the way is over.
func TestASilentSideLiftsNothing(t *testing.T) {
	_, _, pieces := audited(t, func(look int) postgres.WatchResult {
		switch {
		case look < 3:
			return postgres.WatchResult{WAL: []string{"its slot is gone"}}
		case look < 6:
			return postgres.WatchResult{Silent: "premises do not answer"}
		}
		return postgres.WatchResult{}
	})
	require.True(t, slices.ContainsFunc(pieces, func(p mail.PieceReport) bool {
		return p.Stop && strings.Contains(p.Piece.Detail, "premises do not answer")
	}))
	require.False(t, pieces[len(pieces)-1].Stop)

	_, _, pieces = audited(t, func(int) postgres.WatchResult { return postgres.WatchResult{Silent: "premises do not answer"} })
	for _, p := range pieces {
		require.False(t, p.Stop, "silence alone stops nobody")
	}
}

func TestAServerInDoubtStopsEveryMoveAndIsSaidUntilSomebodyHasAgreed(t *testing.T) {
	_, _, pieces := audited(t, func(look int) postgres.WatchResult {
		if look == 4 || look == 5 {
			return postgres.WatchResult{Doubts: []string{"the database server on premises is not the one that Drover knew"}}
		}
		return postgres.WatchResult{}
	})
	var stops []bool
	for _, p := range pieces {
		if len(stops) == 0 || stops[len(stops)-1] != p.Stop {
			stops = append(stops, p.Stop)
		}
		if p.Stop {
			require.Contains(t, p.Piece.Detail, "is not the one that Drover knew")
		}
	}
	require.Equal(t, []bool{false, true, false}, stops)
	require.Contains(t, pieces[len(pieces)-2].Piece.Detail, "lag to AWS", "afterwards it says how it stands")
}

func TestTooMuchWALStopsEveryMoveAndSaysWhatFollows(t *testing.T) {
	_, _, pieces := audited(t, func(look int) postgres.WatchResult {
		if look < 3 {
			return postgres.WatchResult{}
		}
		return postgres.WatchResult{WAL: []string{"replication slot is gone: going back would lose what customers wrote on AWS"},
			NoWayBack: &migration.NoWayBack{Why: "replication slot is gone", Lost: true}}
	})
	require.Nil(t, pieces[0].Piece.NoWayBack)
	last := pieces[len(pieces)-2] // the last says that the replication is done
	require.True(t, last.Stop)
	require.Contains(t, last.Piece.Detail, "going back would lose")
	require.Equal(t, &migration.NoWayBack{Why: "replication slot is gone", Lost: true}, last.Piece.NoWayBack)
}

// Whoever is on AWS is not said to go back without loss by an audit that had no answer. What is
// lost stays lost.
func TestAnAuditThatFailsSaysThatTheWayBackIsNotKnown(t *testing.T) {
	room := &ledgerRoom{found: func(look int) postgres.WatchResult {
		if look < 6 {
			return postgres.WatchResult{}
		}
		return postgres.WatchResult{WAL: []string{"replication slot is gone"},
			NoWayBack: &migration.NoWayBack{Why: "replication slot is gone", Lost: true}}
	}, fails: func(look int) bool { return look == 3 || look > 7 }}
	_, _, pieces := auditedIn(t, room)
	var said []migration.NoWayBack
	for _, p := range pieces {
		n := migration.NoWayBack{Why: "it stands"}
		if p.Piece.NoWayBack != nil {
			n = *p.Piece.NoWayBack
		}
		if len(said) == 0 || said[len(said)-1] != n {
			said = append(said, n)
		}
	}
	require.Len(t, said, 4, "%v", said)
	require.True(t, said[1].Unknown)
	require.Contains(t, said[1].Why, "its fences cannot be audited")
	require.Equal(t, migration.NoWayBack{Why: "it stands"}, said[2])
	require.Equal(t, migration.NoWayBack{Why: "replication slot is gone", Lost: true}, said[3], "also where nobody answers then")
}

// A first copy lasts for days, and WAL waits for it: the audit begins when both databases are set
// up.
func TestTooMuchWALDuringTheFirstCopyIsSaidWhileItLasts(t *testing.T) {
	room := &ledgerRoom{copies: 3 * time.Minute}
	room.found = func(look int) postgres.WatchResult {
		if look == 2 {
			return postgres.WatchResult{WAL: []string{"database orders on premises: 9 bytes of WAL wait, and the plan allows 1"}}
		}
		return postgres.WatchResult{}
	}
	_, _, pieces := auditedIn(t, room)
	var said []string
	for _, p := range pieces {
		said = append(said, fmt.Sprint(p.Piece.Phase, " ", p.Stop, " ", p.Piece.Detail))
	}
	said = slices.Compact(said)
	i := slices.Index(said, "replicating true database orders on premises: 9 bytes of WAL wait, and the plan allows 1")
	require.GreaterOrEqual(t, i, 1, "%q", said)
	require.Equal(t, "replicating false first copy", said[i-1])
	require.Equal(t, "replicating false first copy", said[i+1], "it says so when it is below again")
	require.Contains(t, said[i+2], "lag to AWS")
}

// Days of audits are more than one history takes: the next run waits on for the first copy, and
// sets nothing up again.
func TestAFirstCopyOfDaysGoesOnAsNew(t *testing.T) {
	room := &ledgerRoom{copies: 7 * 24 * time.Hour, found: func(int) postgres.WatchResult { return postgres.WatchResult{} }}
	env := patient(&testsuite.WorkflowTestSuite{})
	env.RegisterWorkflow(Replication)
	env.RegisterActivity(room)
	env.OnActivity("AwaitPostgresSync", mock.Anything, mock.Anything).After(room.copies).Return(nil)
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
	env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, time.Hour)
	env.ExecuteWorkflow(Replication, Input{Spec: migration.SpecRef{Plan: "p"}, Dataset: "orders"})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &next)
	require.Equal(t, 1, room.prepared)
	var in Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
	require.True(t, in.State.SetUp)
	require.False(t, in.State.Prepared)

	room.copies = 0
	env = patient(&testsuite.WorkflowTestSuite{})
	env.RegisterWorkflow(Replication)
	env.RegisterActivity(room)
	env.OnActivity("AwaitPostgresSync", mock.Anything, mock.Anything).After(room.copies).Return(nil)
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(mail.SignalStop, mail.Wish{}) }, 10*time.Minute)
	env.ExecuteWorkflow(Replication, in)
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, 1, room.prepared)
}

func TestAClockThatIsOffIsSaidAndStopsNobody(t *testing.T) {
	_, told, pieces := audited(t, func(look int) postgres.WatchResult {
		if look < 3 {
			return postgres.WatchResult{}
		}
		return postgres.WatchResult{Clocks: []string{"database orders on premises: its server's clock is 5s ahead of that of the worker"}}
	})
	last := pieces[len(pieces)-2] // the last says that the replication is done
	require.False(t, last.Stop)
	require.Contains(t, last.Piece.Detail, "its server's clock is 5s ahead")
	require.Empty(t, told)
}

func TestACustomerThatGoesOnWithoutASideIsToldSo(t *testing.T) {
	loss := migration.Loss{Side: migration.OnPrem, Token: 1001, By: "ann", Why: "the site burnt down",
		At: time.Date(2026, 12, 2, 22, 3, 0, 0, time.UTC)}
	_, told, pieces := audited(t, func(look int) postgres.WatchResult {
		w := postgres.WatchResult{Silent: "the database on premises does not answer: connection refused"}
		if look > 2 {
			w.Lost = []postgres.Lost{{Tenant: 2, Loss: loss}}
		}
		return w
	})
	require.Len(t, told, 1)
	require.Len(t, told["customer/p/birch"], 1)
	require.Contains(t, told["customer/p/birch"][0], "premises were given up by ann at 2026-12-02 22:03:00 UTC (the site burnt down)")
	require.Contains(t, told["customer/p/birch"][0], "Nothing had ever come from there")
	require.Contains(t, pieces[len(pieces)-2].Piece.Detail, "the database on premises does not answer")
}

func TestDDLByHandIsSaidWithTheCommandThatTakesItIn(t *testing.T) {
	_, told, pieces := audited(t, func(look int) postgres.WatchResult {
		if look < 3 {
			return postgres.WatchResult{}
		}
		return postgres.WatchResult{Schema: []string{"table public.notes is only on premises", "b", "c", "d", "e", "f"}}
	})
	require.Empty(t, told)
	last := pieces[len(pieces)-2]
	require.Contains(
		t,
		last.Piece.Detail,
		"the schema was changed by hand, and nobody moves: table public.notes is only on premises; b; c; d; e; "+
			"and 1 more",
	)
	require.Contains(t, last.Piece.Detail, "drover schema take-in p`")
	require.Contains(t, last.Piece.Detail, "drover schema apply p FILE.sql`")
}
