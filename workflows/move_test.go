package workflows_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/test/model"
	"github.com/drover-migration/drover/workflows/work"
)

// forEach runs a test for customers of one, two and three databases.
func forEach(t *testing.T, test func(t *testing.T, n int)) {
	t.Helper()
	for n := 1; n <= 3; n++ {
		t.Run(fmt.Sprintf("%d databases", n), func(t *testing.T) { test(t, n) })
	}
}

func TestMoveToAWSAndBack(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		s := newStage(t, n, migration.OnPrem)
		s.verdict = migration.Fail
		c := s.customer()
		s.sound(c)
		require.Equal(t, migration.CustomerRolledBack, c.Phase, s.story())
		require.Len(t, c.Moves, 2)
	})
}

func TestMoveOutlivesWhateverBefallsOneCall(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		for i, at := range roundTrip(t, n) {
			if n == 3 && i%3 != 0 {
				continue // a third database adds an order of two others, not a step
			}
			for _, m := range []mishap{answerLost, runsTwice, comesBack, foundBusy, neverHeard, neverCame, tooLate} {
				for _, after := range m.delays() {
					t.Run(fmt.Sprintf("%s %s %d", at, m, after), func(t *testing.T) {
						s := newStage(t, n, migration.OnPrem)
						s.verdict = migration.Fail
						s.faults[at] = fault{m, after}
						c := s.customer()
						s.sound(c)
						if m.passes() {
							require.Equal(t, migration.CustomerRolledBack, c.Phase, s.story())
						}
					})
				}
			}
		}
	})
}

func TestMoveThatGivesUpLeavesTheCustomerOpenAtItsOrigin(t *testing.T) {
	for _, step := range []string{"CheckTenant", "FenceTenant", "DrainTenant"} {
		for _, m := range []mishap{neverCame, neverHeard} {
			forEach(t, func(t *testing.T, n int) {
				t.Run(step+" "+string(m), func(t *testing.T) {
					s := newStage(t, n, migration.OnPrem)
					for nth := range 3 {
						s.faults[call{step, s.dbs[n-1].Name, nth + 1}] = fault{mishap: m}
					}
					c := s.customer()
					s.sound(c)
					require.Equal(t, migration.CustomerHeld, c.Phase)
					require.Equal(t, migration.OnPrem, c.Home)
					require.Equal(t, 3, c.Tries)
					require.Equal(t, "after 3 tries: permission denied", c.Reason)
					require.Equal(t, 3, s.seen[call{step: step, on: "orders"}], "tries\n%s", s.story())
					require.Zero(t, s.seen[call{step: "SealTenant", on: "orders"}])
				})
			})
		}
	}
}

func TestMoveWithAWriterThatDoesNotFinishGivesUp(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		s := newStage(t, n, migration.OnPrem)
		for nth := range fencePatience {
			s.faults[call{"FenceTenant", s.dbs[n-1].Name, nth + 1}] = fault{mishap: foundBusy}
		}
		r := s.try(migration.OnPrem, 1)
		require.Equal(t, migration.MoveGaveUp, r.Outcome)
		require.Contains(t, r.Reason, "writers did not finish in time")
		require.Equal(t, migration.OnPrem, settledOn(s.dbs))
	})
}

// A freeze is tried once, and a lost worker is missed within seconds, however long the customer's
// data may take.
func TestMoveFreezesInOneAttempt(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.FreezeBudget = migration.Duration(time.Minute)
	seen := 0
	s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityType.Name == "FreezeCustomer" {
			seen++
			require.Greater(t, info.StartToCloseTimeout, 2*time.Minute)
			require.Equal(t, work.FreezeHeartbeat, info.HeartbeatTimeout)
		}
	})
	s.faults[call{"FreezeCustomer", "", 1}] = fault{mishap: answerLost}
	require.Equal(t, migration.MoveDone, s.try(migration.OnPrem, 1).Outcome, "the doubt was settled, and the customer had arrived")
	require.Equal(t, 1, seen)
}

// What a heartbeat said last is where the Move says that it ended.
func TestMoveWhoseWorkerIsLostIsResolvedAndSaysWhereItWas(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.env.OnActivity("FreezeCustomer", mock.Anything,
		mock.Anything).Return(func(_ context.Context, req freeze.Request) (freeze.Result, error) {
		require.Equal(t, migration.WordFenced, s.dbs[0].Fence(req.From, req.Try, time.Minute))
		return freeze.Result{}, temporal.NewHeartbeatTimeoutError(freeze.Beat{Step: migration.StepDraining})
	})
	r := s.try(migration.OnPrem, 1)
	require.Equal(t, migration.MoveReversed, r.Outcome, s.story())
	require.Equal(t, migration.StepDraining, r.Step)
	require.Equal(t, migration.OnPrem, settledOn(s.dbs))
}

func TestMoveIsPredictedWithItsFiles(t *testing.T) {
	for _, files := range []time.Duration{0, time.Millisecond, 40 * time.Second} {
		s := newStage(t, 1, migration.OnPrem)
		rows := s.try(migration.OnPrem, 1).Predicted
		s = newStage(t, 1, migration.OnPrem)
		s.env.OnActivity("FreezeCustomer", mock.Anything, mock.Anything).Return(
			freeze.Result{Step: migration.StepChecking, Reason: "too long", Predicted: migration.Duration(files)}, nil)
		r := s.try(migration.OnPrem, 1)
		require.Equal(t, migration.MoveNotStarted, r.Outcome, s.story())
		require.Equal(t, max(rows, migration.Duration(files)), r.Predicted, "rows and files are compared at the same time")
	}
}

// A customer whose databases lie at two sites has an activity at each for each step, and its
// prediction says what that costs.
func TestMoveOfACustomerAtTwoSites(t *testing.T) {
	apart := func(t *testing.T, n int) *stage {
		s := newStage(t, n, migration.OnPrem)
		s.slice.Databases[n-1].Postgres.Site = "dc2"
		return s
	}
	s := apart(t, 3)
	r := s.try(migration.OnPrem, 1)
	require.Equal(t, migration.MoveDone, r.Outcome, s.story())
	require.Equal(t, 9, s.seen[call{step: "FreezeCustomer"}], "check, fence, drain and seal at both, open where the first lies")
	together := newStage(t, 3, migration.OnPrem)
	require.Greater(t, r.Predicted, together.try(migration.OnPrem, 1).Predicted)
	require.Equal(t, 1, together.seen[call{step: "FreezeCustomer"}])

	clean := apart(t, 2)
	clean.verdict = migration.Fail
	clean.customer()
	for _, at := range clean.calls {
		for _, m := range []mishap{answerLost, foundBusy, neverHeard, neverCame, tooLate} {
			t.Run(fmt.Sprintf("%s %s", at, m), func(t *testing.T) {
				s := apart(t, 2)
				s.verdict = migration.Fail
				s.faults[at] = fault{m, m.delays()[0]}
				c := s.customer()
				s.sound(c)
				if m.passes() {
					require.Equal(t, migration.CustomerRolledBack, c.Phase, s.story())
				}
			})
		}
	}
}

// A Move that finds its lease spent when it wants to seal goes no further, whatever the other
// databases said.
func TestMoveWhoseLeaseIsSpentIsReversed(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		for spent := range n {
			s := newStage(t, n, migration.OnPrem)
			s.before = func(c call) {
				if c.step == "SealTenant" && c.on == s.dbs[spent].Name {
					s.dbs[spent].Half(migration.OnPrem).Lease = s.env.Now()
				}
			}
			r := s.try(migration.OnPrem, 1)
			require.Equal(t, migration.MoveReversed, r.Outcome)
			require.Contains(t, r.Reason, "the freeze budget was spent")
			require.Equal(t, migration.OnPrem, settledOn(s.dbs), s.story())
		}
	})
}

func TestMoveThatIsSupersededUndoesNothing(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		for _, step := range []string{"FenceTenant", "SealTenant", "OpenTenant", "PoisonTenant", "ReopenTenant"} {
			t.Run(step, func(t *testing.T) {
				s := newStage(t, n, migration.OnPrem)
				if step == "PoisonTenant" || step == "ReopenTenant" {
					s.faults[call{"OpenTenant", "orders", 1}] = fault{mishap: neverCame}
				}
				newer, left := migration.Try{Token: 5, Owner: "another"}, ""
				s.before = func(c call) {
					if c.step == step && left == "" {
						repairs(s.dbs, newer)
						left = records(s.dbs)
					}
				}
				r := s.try(migration.OnPrem, 1)
				require.Equal(t, migration.MoveSuperseded, r.Outcome, s.story())
				require.Equal(t, left, records(s.dbs), s.story())
				require.Equal(t, migration.OnPrem, settledOn(s.dbs))
			})
		}
	})
}

// A Move that was superseded in its last try leaves nothing closed: whoever superseded it may have
// died since.
func TestCustomerWhoseLastTryWasSupersededIsOpen(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		s := newStage(t, n, migration.OnPrem)
		s.slice.Policy.Tries = 1
		once := false
		s.before = func(c call) {
			if c.step == "OpenTenant" && !once {
				once = true
				s.dbs[0].Poison(migration.AWS, migration.Try{Token: 5, Owner: "another"})
			}
		}
		c := s.customer()
		s.sound(c)
		require.Equal(t, migration.CustomerHeld, c.Phase, s.story())
	})
}

// repairs is what somebody else's repair does to databases that no try has opened on AWS.
func repairs(dbs []*model.Database, try migration.Try) {
	for _, d := range dbs {
		d.Claim(migration.OnPrem, try)
	}
	for _, d := range dbs {
		d.Poison(migration.AWS, try)
	}
	for _, d := range dbs {
		d.Reopen(migration.OnPrem, try)
	}
}

func records(dbs []*model.Database) string {
	var s string
	for _, d := range dbs {
		s += fmt.Sprintf("%s: %+v\n", d.Name, d.Record())
	}
	return s
}

func TestMoveThatIsCanceledIsSettledWhereverItWas(t *testing.T) {
	// The test's Temporal answers a cancel at once, while the activity goes on: the Move then finds
	// out by writing how far it comes.
	want := map[string][]migration.MoveOutcome{
		"CheckTenant": {migration.MoveReversed}, "FenceTenant": {migration.MoveReversed}, "DrainTenant": {migration.MoveReversed},
		"SealTenant": {migration.MoveReversed, migration.MoveDone}, "OpenTenant": {migration.MoveReversed, migration.MoveDone},
	}
	forEach(t, func(t *testing.T, n int) {
		for step, outcomes := range want {
			t.Run(step, func(t *testing.T) {
				s := newStage(t, n, migration.OnPrem)
				s.before = func(c call) {
					if c == (call{step, s.dbs[n-1].Name, 1}) {
						s.canceled = true
						s.env.CancelWorkflow()
					}
				}
				r := s.try(migration.OnPrem, 1)
				require.Contains(t, outcomes, r.Outcome, s.story())
				require.Equal(t, r.Home, settledOn(s.dbs), s.story())
			})
		}
	})
}

// roundTrip lists the calls of a Move to AWS and back to which nothing happens.
func roundTrip(t *testing.T, n int) []call {
	t.Helper()
	s := newStage(t, n, migration.OnPrem)
	s.verdict = migration.Fail
	s.customer()
	return s.calls
}
