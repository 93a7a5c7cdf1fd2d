package workflows_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// at runs do at a moment of the stage's time.
func (s *stage) at(d time.Duration, do func()) { s.env.RegisterDelayedCallback(do, d) }

// says is where the customer says that it stands.
func (s *stage) says() (c migration.CustomerStatus) {
	v, err := s.env.QueryWorkflow(migration.QueryStatus)
	require.NoError(s, err)
	require.NoError(s, v.Get(&c))
	return c
}

// command is an update that must be accepted.
func (s *stage) command(name string) {
	s.env.UpdateWorkflow(name, "", accepted{s}, migration.Command{By: "ann", Reason: "month end"})
}

func TestACustomerThatWasHeldByHandIsNotLetGoByItsBatch(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.goes = time.Minute
	s.at(time.Second, func() { s.command(migration.UpdateHold) })
	for round := 2; round <= 3; round++ {
		s.at(time.Duration(round)*time.Minute, func() { s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: round}) })
		s.at(time.Duration(round)*time.Minute+time.Second, func() {
			require.Equal(t, migration.CustomerHeld, s.says().Phase)
			require.Contains(t, s.says().Reason, "held by ann: month end")
			require.Zero(t, s.seen[call{step: "FenceTenant", on: "orders"}])
		})
	}
	s.at(10*time.Minute, func() { s.command(migration.UpdateRetry) })
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

// Before its first try a customer's baseline is measured, here for half a minute.
func TestACommandBeforeTheFirstTryIsHonoured(t *testing.T) {
	for name, want := range map[string]migration.CustomerPhase{migration.UpdateHold: migration.CustomerHeld,
		migration.UpdateRollback: migration.CustomerRolledBack} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.slice.Health.Compare = &migration.Compare{}
			s.env.OnActivity("MeasureBaseline", mock.Anything, mock.Anything).After(30*time.Second).Return(health.Baseline{}, nil)
			s.at(10*time.Second, func() { s.command(name) })
			c := s.customer()
			s.sound(c)
			require.Equal(t, want, c.Phase)
			require.Equal(t, migration.OnPrem, c.Home)
			require.Empty(t, c.Moves)
			require.Zero(t, s.seen[call{step: "FenceTenant", on: "orders"}], s.story())
		})
	}
}

// A route that cannot be read keeps a baseline from being measured for as long as that lasts.
func TestNoCommandWaitsForABaselineThatCannotBeMeasured(t *testing.T) {
	for name, want := range map[string]migration.CustomerPhase{migration.UpdateHold: migration.CustomerHeld,
		migration.UpdateRollback: migration.CustomerRolledBack} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.slice.Health.Compare = &migration.Compare{}
			s.env.OnActivity("MeasureBaseline", mock.Anything, mock.Anything).Return(health.Baseline{}, errNetwork)
			s.at(15*time.Second, func() { // of the half a minute in which the environment makes ten attempts
				require.Equal(t, migration.CustomerMoving, s.says().Phase)
				s.command(name)
			})
			s.at(17*time.Second, func() { require.Equal(t, want, s.says().Phase) })
			c := s.customer()
			s.sound(c)
			require.Equal(t, want, c.Phase)
			require.Equal(t, migration.OnPrem, c.Home)
			require.Zero(t, s.seen[call{step: "FenceTenant", on: "orders"}], s.story())
		})
	}
}

// Who was started again is compared with what it was before it left home: it cannot be measured
// afterwards.
func TestACustomerThatIsStartedAgainKeepsItsBaseline(t *testing.T) {
	for _, c := range []struct {
		name      string
		forgotten bool
		want      migration.CustomerPhase
	}{{"as its data says it", false, migration.CustomerFinished}, {"and without one nothing passes", true, migration.CustomerHeld}} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.slice.Health.Compare = &migration.Compare{}
			s.env.OnActivity("WatchHealth", mock.Anything, mock.Anything).After(3*time.Hour).Return(migration.Verdict{}, nil)
			require.Equal(t, migration.CustomerBaking, s.customer().Phase) // when everything is terminated
			if c.forgotten {
				s.dbs[0].Half(migration.OnPrem).Note, s.dbs[0].Half(migration.AWS).Note = migration.Note{}, migration.Note{}
			}
			s = s.again()
			var compared []health.WatchRequest
			s.env.OnActivity("WatchHealth", mock.Anything, mock.Anything).Return(
				func(_ context.Context, req health.WatchRequest) (migration.Verdict, error) {
					s.mu.Lock()
					defer s.mu.Unlock()
					compared = append(compared, req)
					return migration.Verdict{Outcome: migration.Pass}, nil
				})
			end := s.customer()
			s.sound(end)
			require.Equal(t, c.want, end.Phase, end.Reason)
			require.NotEmpty(t, compared)
			if c.forgotten {
				require.Contains(t, end.Reason, "there is no baseline from before the move to compare with")
				return
			}
			require.True(t, compared[0].Compare)
			require.InDelta(t, 0.02, compared[0].Baseline.P95, 1e-9, "what was measured at home")
		})
	}
}

// A customer does not read its home again when it sets out. Where its data has moved meanwhile, its
// Move touches nothing, and the customer goes on from there.
func TestACustomerWhoseDataHasMovedSinceItWasReadGoesOnFromThere(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		s := newStage(t, n, migration.OnPrem)
		s.goes = time.Minute
		s.at(30*time.Second, func() {
			require.Equal(t, migration.OnPrem, s.says().Home)
			for _, d := range s.dbs {
				try := migration.Try{Token: 5, Owner: "another"}
				d.Fence(migration.OnPrem, try, time.Minute)
				d.Deliver(migration.OnPrem)
				d.Seal(migration.OnPrem, try)
				require.Equal(t, migration.WordOpen, d.Open(migration.AWS, try))
			}
		})
		c := s.customer()
		s.sound(c)
		require.Equal(t, migration.CustomerFinished, c.Phase, s.story())
		require.Equal(t, migration.AWS, c.Home)
		require.Zero(t, s.seen[call{step: "FenceTenant", on: "orders"}], s.story())
	})
}

func TestAHoldThatARollbackOvertookIsForgotten(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.at(10*time.Second, func() {
		s.command(migration.UpdateHold)
		s.command(migration.UpdateRollback)
	})
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.CustomerRolledBack, s.says().Phase)
		s.command(migration.UpdateRetry)
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

func TestABackThatMeetsItsGoLeavesTheCustomerAtHome(t *testing.T) {
	back := mail.Back{Wish: mail.Wish{By: mail.ByDrover, Reason: "another is not healthy"}, Round: 1}
	for name, signals := range map[string]func(*stage){
		"after it": func(s *stage) {
			s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1})
			s.env.SignalWorkflow(mail.SignalBack, back)
		},
		"before it": func(s *stage) {
			s.env.SignalWorkflow(mail.SignalBack, back)
			s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.at(0, func() { signals(s) })
			s.at(10*time.Minute, func() {
				require.Equal(t, migration.CustomerRolledBack, s.says().Phase)
				require.Contains(t, s.says().Reason, "never left")
				require.Zero(t, s.seen[call{step: "FenceTenant", on: "orders"}])
				s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 2})
			})
			c := s.customer() // the next round's go moves it
			s.sound(c)
			require.Equal(t, migration.CustomerFinished, c.Phase)
		})
	}
}

func TestABackOfAnEarlierRoundDoesNotTakeTheCustomerHome(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.at(0, func() {
		s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 2})
		s.env.SignalWorkflow(mail.SignalBack, mail.Back{Wish: mail.Wish{By: mail.ByDrover}, Round: 1})
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

// What Drover made on AWS is removed after an abort: nobody would look after a customer there.
func TestACustomerThatIsAbortedOnAWSComesHomeFirst(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(72 * time.Hour)
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.CustomerSoaking, s.says().Phase)
		s.env.SignalWorkflow(mail.SignalAbort, mail.Wish{By: "ann"})
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerAborted, c.Phase)
	require.Equal(t, migration.OnPrem, c.Home)
	require.Len(t, c.Moves, 2)
}

func TestADismissalEndsOnlyWhoWasNeverToldToGo(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(72 * time.Hour)
	s.at(10*time.Minute, func() { s.env.SignalWorkflow(mail.SignalDismiss, mail.Wish{By: mail.ByDrover}) })
	c := s.customer()
	require.Equal(t, migration.CustomerSoaking, c.Phase)
	s.sound(c)

	s = newStage(t, 1, migration.OnPrem)
	s.at(0, func() { s.env.SignalWorkflow(mail.SignalDismiss, mail.Wish{By: mail.ByDrover}) })
	c = s.customer()
	require.Equal(t, migration.CustomerAborted, c.Phase)
}

// Everything was terminated, and the plan that was submitted again did not pass its preflight.
func TestADismissalMeansNothingToWhoIsOnAWS(t *testing.T) {
	for name, at := range map[string]time.Duration{"before its home is known": 0, "when it soaks again": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.slice.Policy.Soak = migration.Duration(72 * time.Hour)
			require.Equal(t, migration.CustomerSoaking, s.customer().Phase)
			s = s.again()
			s.goes = 50 * time.Minute
			s.at(at, func() { s.env.SignalWorkflow(mail.SignalDismiss, mail.Wish{By: mail.ByDrover}) })
			c := s.customer()
			s.sound(c)
			require.Equal(t, migration.CustomerSoaking, c.Phase)
		})
	}
}

func TestACustomerWhoseVerdictIsInconclusiveIsHeldOnAWS(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.verdict = migration.Inconclusive
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.CustomerHeld, s.says().Phase)
		require.Equal(t, migration.AWS, s.says().Home)
		s.mended()
		s.command(migration.UpdateRetry)
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

// That the worker which watches reaches nothing says nothing about the customer: nobody is held for
// it, and nobody has to go on by hand.
func TestACustomerThatNobodyCanJudgeBakesOnAndGoesOnByItself(t *testing.T) {
	for name, want := range map[migration.Outcome]migration.CustomerPhase{migration.Pass: migration.CustomerFinished,
		migration.Fail: migration.CustomerRolledBack, migration.Inconclusive: migration.CustomerHeld} {
		t.Run(string(name), func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.blind, s.verdict = "this worker reaches nothing", name
			s.at(10*time.Minute, func() {
				c := s.says()
				require.Equal(t, migration.CustomerBaking, c.Phase)
				require.Equal(t, migration.AWS, c.Home)
				require.Equal(t, migration.WaitHealth, c.WaitingFor)
				require.Contains(t, c.Reason, "cannot be judged, and its bake begins anew when it can: this worker reaches nothing")
				require.Contains(t, c.MayDo, migration.UpdateRollback)
				require.Contains(t, c.MayDo, migration.UpdateHold)
				s.mu.Lock()
				defer s.mu.Unlock()
				s.blind = ""
			})
			s.at(11*time.Minute, func() { require.NotContains(t, s.says().Reason, "cannot be judged") })
			c := s.customer()
			s.sound(c)
			require.Equal(t, want, c.Phase)
			if want == migration.CustomerFinished {
				require.NotContains(t, fmt.Sprint(c.Timeline), "held")
				require.Contains(t, fmt.Sprint(c.Timeline), "can be judged again: its bake begins anew")
			}
		})
	}
}

func TestACustomerThatNobodyCanJudgeGoesHomeWhereSomebodyWantsIt(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.blind = "this worker reaches nothing"
	s.at(10*time.Minute, func() { s.command(migration.UpdateRollback) })
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerRolledBack, c.Phase)
	require.Equal(t, migration.OnPrem, c.Home)
}

// A database that does not answer is named, and holds nobody: the customer goes on by itself.
func TestACustomerWaitsWhileADatabaseDoesNotAnswer(t *testing.T) {
	s := newStage(t, 2, migration.OnPrem)
	s.silent = "billing"
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.CustomerFinding, s.says().Phase)
		require.Equal(t, "its home cannot be read, and is asked again: database billing: connection reset by peer", s.says().Reason)
		s.mended()
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

// Nobody is held for a worker that is away, and nobody looks for the cause in a database: what is
// missing is named, and the customer goes on when it is there.
func TestASitesWorkerThatIsAwayHoldsNobodyAndIsNamed(t *testing.T) {
	for name, at := range map[string]time.Duration{"before the customer is told to go": 0, "as it sets out": time.Minute} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.goes = time.Minute
			s.at(at, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.unpolled = true
			})
			s.at(20*time.Minute, func() {
				c := s.says()
				require.Equal(t, migration.CustomerFinding, c.Phase)
				require.Contains(t, c.Reason, "no worker takes work from drover-site-dc1-freeze: start "+
					"`drover worker --main=false --site dc1`")
				require.NotContains(t, c.Reason, "database")
				s.mended()
			})
			c := s.customer()
			s.sound(c)
			require.Equal(t, migration.CustomerFinished, c.Phase)
			require.Empty(t, c.Cause)
		})
	}
}

// A site's worker that is away costs a customer one try, and holds nobody: who waits for it says
// so, and goes on by itself.
func TestAWorkerThatIsAwayIsNamedAndHoldsNobody(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	var away atomic.Bool
	none := temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
	s.env.OnActivity("FreezeCustomer", mock.Anything, mock.Anything).Return(
		func(ctx context.Context, req freeze.Request) (freeze.Result, error) {
			if away.Load() {
				return freeze.Result{}, none
			}
			return s.world.FreezeCustomer(ctx, req)
		})
	s.env.OnActivity("ReadHome", mock.Anything, mock.Anything).Return(
		func(ctx context.Context, req postgres.TenantRequest) (migration.HomeRecord, error) {
			if away.Load() {
				return migration.HomeRecord{}, none
			}
			return s.world.ReadHome(ctx, req)
		})
	s.goes = time.Minute
	s.at(30*time.Second, func() { away.Store(true) })
	s.at(30*time.Minute, func() {
		c := s.says()
		require.Equal(t, migration.CustomerFinding, c.Phase)
		require.Contains(t, c.Reason, "no worker takes work from drover-site-dc1-freeze: start `drover worker --main=false --site dc1`")
		require.Contains(t, fmt.Sprint(c.Timeline), "no worker takes work from drover-site-dc1-freeze", "of the try, too")
		away.Store(false)
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
	require.LessOrEqual(t, c.Tries, 2)
}

// Everything of the plan is terminated by one query while the customer is on AWS, and the plan is
// submitted again.
func TestACustomerThatIsStartedAnewOnAWSIsWatchedThereAndCanBeTakenBack(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(72 * time.Hour)
	require.Equal(t, migration.CustomerSoaking, s.customer().Phase)

	s = s.again()
	s.goes = 50 * time.Minute // its batch comes to it late
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.AWS, s.says().Home)
		require.Equal(t, migration.CustomerSoaking, s.says().Phase)
		require.True(t, s.looked, "it is watched")
		s.command(migration.UpdateRollback)
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerRolledBack, c.Phase)
	require.Equal(t, migration.ByHand, c.Cause)

	s = s.again() // and once more: its batch does not send out whom a person took home by name
	c = s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerRolledBack, c.Phase)
}

func TestACustomerThatHadFinishedStaysFinished(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	require.Equal(t, migration.CustomerFinished, s.customer().Phase)
	s = s.again()
	moves := s.seen[call{step: "FenceTenant", on: "orders"}]
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
	require.Equal(t, moves, s.seen[call{step: "FenceTenant", on: "orders"}])
}

// The end of the soak is what cannot be taken back: it waits for the database.
func TestACustomerIsNotFinishedBeforeItsDataSaysSo(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.mute = true
	for nth := range 100 {
		s.faults[call{"NoteTenant", "orders", nth}] = fault{mishap: neverCame}
	}
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.CustomerSoaking, s.says().Phase)
		require.Contains(t, s.says().Reason, "its database does not take note of it: permission denied")
		require.Contains(t, s.says().MayDo, migration.UpdateRollback)
		s.mended()
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

// Another person's decision would otherwise be reversed by anybody's retry of the batch.
func TestACustomerThatAPersonTookHomeStaysThere(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(72 * time.Hour)
	s.at(5*time.Minute, func() { s.command(migration.UpdateRollback) })
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.CustomerRolledBack, s.says().Phase)
		s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 2})
	})
	s.at(15*time.Minute, func() {
		require.Equal(t, migration.CustomerRolledBack, s.says().Phase)
		s.command(migration.UpdateHold)
	})
	s.at(20*time.Minute, func() {
		require.Equal(t, migration.CustomerHeld, s.says().Phase)
		s.command(migration.UpdateRetry)
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerSoaking, c.Phase)
}
