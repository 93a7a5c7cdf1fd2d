package workflows_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/hooks"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// hooked are hooks at some events.
func hooked(wayBack migration.WayBack, events ...migration.HookEvent) (out []migration.Hook) {
	for _, e := range events {
		h := migration.Hook{Event: e, Timeout: migration.Duration(time.Second), Webhook: &migration.WebhookChannel{}}
		if e == migration.HookBeforeFence || e.Frozen() {
			h.WayBack = wayBack
		}
		out = append(out, h)
	}
	return out
}

// heard are the calls that have come, in their order.
func (w *world) heard() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.hooked {
		out = append(out, fmt.Sprintf("%s to %s", c.Event, c.To))
	}
	return out
}

// heardKeys are the calls that have come with their keys, in their order.
func (w *world) heardKeys() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.hooked {
		out = append(out, fmt.Sprintf("%s to %s", c.Key(), c.To))
	}
	return out
}

// fails has a hook fail so many times.
func fails(of migration.HookEvent, times int) func(hooks.CallHookRequest, int) (string, error) {
	return func(req hooks.CallHookRequest, nth int) (string, error) {
		if req.Call.Event == of && nth <= times {
			return "", fmt.Errorf("hook %s: the receiver answered 503", of)
		}
		return "", nil
	}
}

// holds has a hook's first answer hold.
func holds(of migration.HookEvent, to migration.Side) func(hooks.CallHookRequest, int) (string, error) {
	return func(req hooks.CallHookRequest, _ int) (string, error) {
		if req.Call.Event == of && req.Call.To == to {
			return "the books are open", nil
		}
		return "", nil
	}
}

const always = 1 << 20

func TestHooksAreCalledInTheirOrderThereAndBack(t *testing.T) {
	s := newStage(t, 2, migration.OnPrem)
	s.slice.Hooks = hooked(migration.WayBackMust, migration.HookEvents...)
	s.slice.Policy.Soak = migration.Duration(10 * time.Minute)
	s.at(time.Minute, func() { s.command(migration.UpdateRollback) }) // a verdict could come before the last hook has answered
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerRolledBack, c.Phase)
	require.Equal(t, []string{
		"beforeFence to aws", "beforeSeal to aws", "beforeOpen to aws", "afterOpen to aws", "afterRoute to aws",
		"beforeFence to onprem", "beforeSeal to onprem", "beforeOpen to onprem", "afterOpen to onprem", "afterRoute to onprem",
		"onRollback to onprem",
	}, s.world.heard(), "afterLaunch is a workload's")
	keys, token := map[string]bool{}, int64(0)
	for _, h := range s.hooked {
		keys[h.Key()] = true
		require.Equal(t, []string{"acme", "canary"}, []string{h.Customer, h.Batch})
		require.Equal(t, h.To.Other(), h.From)
		require.GreaterOrEqual(t, h.Token, token, "it never goes back")
		token = h.Token
	}
	require.Len(t, keys, len(s.hooked))
}

// A customer whose data lies at two sites has one call of each, once all sites are drained.
func TestHooksInTheFreezeOfACustomerAtTwoSitesAreCalledOnce(t *testing.T) {
	s := newStage(t, 2, migration.OnPrem)
	s.slice.Databases[1].Postgres.Site = "dc2"
	s.slice.Hooks = hooked(migration.WayBackCall, migration.HookBeforeSeal, migration.HookBeforeOpen)
	s.before = func(c call) {
		if c.step == "DrainTenant" {
			require.Empty(t, s.hooked)
		}
		if c.step == "SealTenant" {
			require.Len(t, s.hooked, 2)
		}
	}
	require.Equal(t, migration.MoveDone, s.try(migration.OnPrem, 1).Outcome, s.story())
	require.Equal(t, []string{"beforeSeal to aws", "beforeOpen to aws"}, s.world.heard())

	s = newStage(t, 2, migration.OnPrem)
	s.slice.Databases[1].Postgres.Site = "dc2"
	s.slice.Hooks = hooked(migration.WayBackCall, migration.HookBeforeSeal)
	s.hook = holds(migration.HookBeforeSeal, migration.AWS)
	r := s.try(migration.OnPrem, 1)
	require.Equal(t, migration.MoveGaveUp, r.Outcome)
	require.Equal(t, migration.StepCalling, r.Step)
	require.Equal(t, "the books are open", r.Hold)
	require.Equal(t, migration.OnPrem, settledOn(s.dbs), s.story())
}

func TestAHoldBeforeTheCommitPointHoldsTheCustomerAtHome(t *testing.T) {
	for _, e := range []migration.HookEvent{migration.HookBeforeFence, migration.HookBeforeSeal, migration.HookBeforeOpen} {
		t.Run(string(e), func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.slice.Hooks = hooked(migration.WayBackCall, e)
			s.hook = holds(e, migration.AWS)
			s.at(30*time.Minute, func() {
				c := s.says()
				require.Equal(t, migration.CustomerHeld, c.Phase)
				require.Equal(t, migration.OnPrem, c.Home)
				require.Contains(t, c.Reason, "the books are open")
				require.Equal(t, 1, c.Tries, "nobody asks again by himself")
				require.Equal(t, migration.OnPrem, settledOn(s.dbs), s.story())
				require.Zero(t, s.seen[call{step: "SealTenant", on: "orders"}])
				if e == migration.HookBeforeFence {
					require.Zero(t, s.seen[call{step: "FenceTenant", on: "orders"}], "nothing was touched")
				}
				s.mu.Lock()
				s.hook = nil
				s.mu.Unlock()
				s.command(migration.UpdateRetry)
			})
			c := s.customer()
			s.sound(c)
			require.Equal(t, migration.CustomerFinished, c.Phase, "a retry asks again")
		})
	}
}

func TestAHookThatFailsBeforeTheCommitPointCostsATry(t *testing.T) {
	for _, tt := range []struct {
		event       migration.HookEvent
		fails       int
		tries, call int
		held        bool
	}{
		{migration.HookBeforeFence, 2, 1, 3, false}, // it is called three times in a try
		{migration.HookBeforeFence, 3, 2, 4, false},
		{migration.HookBeforeFence, always, 3, 9, true},
		{migration.HookBeforeSeal, 1, 2, 2, false}, // inside the freeze the activity insists
		{migration.HookBeforeOpen, always, 3, 3, true},
	} {
		t.Run(fmt.Sprintf("%s fails %d times", tt.event, tt.fails), func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.slice.Hooks = hooked(migration.WayBackCall, tt.event)
			s.hook = fails(tt.event, tt.fails)
			c := s.customer()
			s.sound(c)
			require.Equal(t, tt.tries, c.Tries)
			require.Len(t, s.hooked, tt.call)
			if tt.held {
				require.Equal(t, migration.CustomerHeld, c.Phase)
				require.Equal(t, fmt.Sprintf("after 3 tries: hook %s: the receiver answered 503", tt.event), c.Reason)
				return
			}
			require.Equal(t, migration.CustomerFinished, c.Phase)
		})
	}
}

func TestAHookKeepsNobodyFromGoingHomeUnlessThePlanSaysSo(t *testing.T) {
	for _, e := range []migration.HookEvent{migration.HookBeforeFence, migration.HookBeforeSeal} {
		for _, way := range []migration.WayBack{migration.WayBackCall, migration.WayBackMust, migration.WayBackNever} {
			for name, answer := range map[string]func(hooks.CallHookRequest, int) (string, error){
				"holds": holds(e, migration.OnPrem),
				"fails": func(req hooks.CallHookRequest, _ int) (string, error) {
					if req.Call.To == migration.OnPrem {
						return "", errors.New("it is in the cloud that is down")
					}
					return "", nil
				},
			} {
				t.Run(fmt.Sprintf("%s %s %s", e, way, name), func(t *testing.T) {
					s := newStage(t, 1, migration.OnPrem)
					s.verdict = migration.Fail
					s.slice.Hooks = hooked(way, e)
					s.hook = answer
					c := s.customer()
					s.sound(c)
					back := slices.DeleteFunc(s.world.heard(), func(h string) bool { return h == string(e)+" to aws" })
					switch way {
					case migration.WayBackMust:
						require.Equal(t, migration.CustomerHeld, c.Phase)
						require.Equal(t, migration.AWS, c.Home)
						require.Contains(t, c.Reason, "cannot go back: ")
					case migration.WayBackCall:
						require.Equal(t, migration.CustomerRolledBack, c.Phase)
						require.Len(t, back, 1, "once")
						require.Contains(t, fmt.Sprint(s.says().Timeline), "a hook was passed over on the way home")
					default:
						require.Equal(t, migration.CustomerRolledBack, c.Phase)
						require.Empty(t, back)
					}
				})
			}
		}
	}
}

// What has happened is not undone: whoever is to hear of it is told until it answers.
func TestAHookAfterTheCommitPointIsCalledUntilItAnswers(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(72 * time.Hour)
	s.slice.Hooks = hooked("", migration.HookAfterOpen, migration.HookAfterRoute)
	s.hook = fails(migration.HookAfterOpen, 5)
	s.at(time.Minute, func() {
		c := s.says()
		require.Equal(t, migration.CustomerSoaking, c.Phase, "the customer goes on")
		require.Len(t, c.Trying, 1)
		require.Equal(t, migration.HookAfterOpen, c.Trying[0].Hook)
		require.Equal(t, 4, c.Trying[0].Times, "after 0, 5, 15 and 35 seconds")
		require.Equal(t, "hook afterOpen: the receiver answered 503", c.Trying[0].Last)
		require.Contains(t, s.world.heard(), "afterRoute to aws", "it keeps no other")
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerSoaking, c.Phase)
	require.Empty(t, c.Trying)
	keys := map[string]int{}
	for _, h := range s.hooked {
		keys[h.Key()]++
	}
	require.Equal(t, map[string]int{"/acme/1/afterOpen": 6, "/acme/1/afterRoute": 1}, keys)
	require.Contains(t, fmt.Sprint(s.says().Timeline), "hook afterOpen of try 1 was answered, after 5 failures")
}

func TestAHoldAfterTheCommitPointKeepsTheCustomerWhereItIs(t *testing.T) {
	for _, e := range []migration.HookEvent{migration.HookAfterOpen, migration.HookAfterRoute} {
		t.Run(string(e), func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.slice.Hooks = hooked("", e)
			s.hook = holds(e, migration.AWS)
			c := s.customer()
			s.sound(c)
			require.Equal(t, migration.CustomerHeld, c.Phase)
			require.Equal(t, migration.AWS, c.Home, "nothing is undone")
			require.Contains(t, c.Reason, fmt.Sprintf("held by drover: hook %s holds it: the books are open", e))
		})
	}
	t.Run("on premises", func(t *testing.T) {
		s := newStage(t, 1, migration.OnPrem)
		s.verdict = migration.Fail
		s.slice.Hooks = hooked("", migration.HookOnRollback)
		s.hook = holds(migration.HookOnRollback, migration.OnPrem)
		c := s.customer()
		s.sound(c)
		require.Equal(t, migration.CustomerHeld, c.Phase)
		require.Equal(t, migration.OnPrem, c.Home)
	})
	t.Run("on its way", func(t *testing.T) { // the answer and the verdict come at the same time
		s := newStage(t, 1, migration.OnPrem)
		s.verdict = migration.Fail
		s.slice.Hooks = hooked("", migration.HookAfterOpen)
		s.hook = holds(migration.HookAfterOpen, migration.AWS)
		s.faults[call{"ReconcileRoute", "", 2}] = fault{mishap: answerLost}
		c := s.customer()
		s.sound(c)
		if c.Home == migration.AWS { // the answer came first
			require.Equal(t, migration.CustomerHeld, c.Phase)
			require.Contains(t, c.Reason, "the books are open")
		}
	})
}

// A hook that nobody answers keeps a customer from nothing: neither from going home, nor from its
// end.
// A soak is over, and the last calls have a minute: an answer that holds in it still holds.
func TestAHoldInTheLastMinuteOfASoakHolds(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(1260 * time.Second) // the ninth call comes after 1275
	s.slice.Hooks = hooked("", migration.HookAfterOpen)
	s.hook = func(_ hooks.CallHookRequest, nth int) (string, error) {
		if nth < 9 {
			return "", errors.New("hook afterOpen: the receiver answered 503")
		}
		return "the books are open", nil
	}
	c := s.customer()
	s.sound(c)
	require.Len(t, s.hooked, 9)
	require.Equal(t, migration.CustomerHeld, c.Phase)
	require.Equal(t, migration.AWS, c.Home)
	require.Contains(t, c.Reason, "hook afterOpen holds it: the books are open")
}

func TestAHookThatIsNeverAnsweredIsGivenUpWithTheNextMoveOrTheEnd(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(10 * time.Minute)
	s.slice.Hooks = hooked("", migration.HookAfterRoute)
	s.hook = fails(migration.HookAfterRoute, always)
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
	require.Contains(t, fmt.Sprint(s.says().Timeline), "hook afterRoute of try 1 was not answered")

	s = newStage(t, 1, migration.OnPrem)
	s.verdict = migration.Fail
	s.slice.Hooks = hooked("", migration.HookAfterRoute, migration.HookOnRollback)
	s.hook = func(req hooks.CallHookRequest, _ int) (string, error) {
		if req.Call.To == migration.AWS {
			return "", errors.New("the receiver answered 503")
		}
		return "", nil
	}
	c = s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerRolledBack, c.Phase)
	heard := s.world.heard()
	require.Equal(t, []string{"afterRoute to onprem", "onRollback to onprem"}, heard[len(heard)-2:])
	require.Empty(t, c.Trying)
}

// Everything is terminated right after the open, and the plan is submitted again: the hooks hear of
// it under the keys that they know, or hear of it at all.
func TestACustomerThatIsStartedAgainOwesItsHooksWhatItOwed(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(72 * time.Hour)
	s.slice.Hooks = hooked("", migration.HookAfterOpen, migration.HookAfterRoute)
	s.hook = fails(migration.HookAfterRoute, always)
	s.blind = "this worker reaches nothing" // its bake does not end
	require.Equal(t, migration.CustomerBaking, s.customer().Phase)
	first := s.hooked
	s = s.again()
	s.hook, s.hooked = nil, nil
	s.goes = 50 * time.Minute
	require.Equal(t, migration.CustomerBaking, s.customer().Phase)
	require.Equal(t, []string{"afterOpen to aws", "afterRoute to aws"}, s.world.heard())
	require.Equal(t, first[0].Key(), s.hooked[0].Key(), "which its receiver knows")

	s = s.again() // and once more, when they have answered before its soak began
	s.at(5*time.Minute, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.blind = ""
	})
	require.Equal(t, migration.CustomerSoaking, s.customer().Phase)
	s.hooked = nil
	s = s.again()
	s.goes = 50 * time.Minute
	require.Equal(t, migration.CustomerSoaking, s.customer().Phase)
	require.Empty(t, s.world.heard(), "what was answered is not told again, once it is written down")
}

// An order to end brings a customer home, and its hooks hear of it before it ends.
func TestACustomerThatIsAbortedTellsItsHooksThatItIsHome(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(72 * time.Hour)
	s.slice.Hooks = hooked("", migration.HookOnRollback)
	s.hook = fails(migration.HookOnRollback, 2)
	s.at(10*time.Minute, func() { s.env.SignalWorkflow(mail.SignalAbort, mail.Wish{By: "ann"}) })
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerAborted, c.Phase)
	require.Equal(t, []string{"onRollback to onprem", "onRollback to onprem", "onRollback to onprem"}, s.world.heard())
}

// A customer without a database has no freeze: what comes before the commit point is asked before
// its home record is written, and its route has followed when all of its requests go to AWS.
func TestHooksOfACustomerWithoutADatabase(t *testing.T) {
	w := newBucketWorld()
	w.first, w.slice.Hooks = 3, hooked("", migration.HookEvents...)
	s := onBucket(t, w)
	c := s.play()
	s.agree(c)
	require.Equal(t, []string{"beforeFence at 0 %", "beforeOpen at 0 %", "afterOpen at 5 %", "afterRoute at 100 %"}, w.heard)

	w = newBucketWorld()
	w.slice.Hooks = hooked("", migration.HookBeforeOpen)
	w.holds = "the books are open"
	s = onBucket(t, w)
	c = s.play()
	s.agree(c)
	require.Equal(t, migration.CustomerHeld, c.Phase)
	require.Equal(t, migration.OnPrem, c.Home)
	require.Contains(t, c.Reason, "hook beforeOpen holds it: the books are open")
}
