package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// opened has do called when the customer's first open on AWS has had its effect.
func (s *stage) opened(do func()) {
	done := false
	s.before = func(c call) {
		if !done && (c.step == "FreezeCustomer" || c.step == "ReconcileRoute") && s.dbs[0].Half(migration.AWS).State == migration.Open {
			done = true
			do()
		}
	}
}

// Nobody serves a customer that is homed on AWS and routed to premises. It goes home by itself,
// where its old route is right, after the stated time and not much later.
func TestACustomerWhoseRouteToAWSCannotBeSetGoesHomeInTheStatedTime(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		s := newStage(t, n, migration.OnPrem)
		s.refuses, s.slice.Files = migration.AWS, nil // no pass has to step aside first
		var open, asked time.Time
		s.opened(func() { open = s.now() })
		s.at(5*time.Second, func() { asked = s.now() })
		c := s.customer()
		s.sound(c)
		require.False(t, asked.IsZero())
		require.Equal(t, migration.CustomerRolledBack, c.Phase, s.story())
		require.Equal(t, migration.OnPrem, s.routed)
		require.Equal(t, migration.ByRoute, c.Cause)
		require.Contains(t, c.Reason, "its route to AWS could not be set: connection reset by peer")
		require.Len(t, c.Moves, 2)
		back := c.Moves[1]
		require.Equal(t, migration.OnPrem, back.To)
		require.GreaterOrEqual(t, back.Opened.Sub(open), work.RouteLimit-5*time.Second)
		require.Less(t, back.Opened.Sub(open), work.RouteLimit+10*time.Second)
		require.Greater(t, s.seen[call{step: "ReconcileRoute"}], 30, "it was tried in tenths of seconds")
	})
}

// An AWS whose API is away keeps nobody from home who was never led away from there.
func TestACustomerThatWasNeverRoutedToAWSGoesHomeWithoutTheLoadBalancer(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Files = nil
	var open time.Time
	s.opened(func() { s.refuses, s.unasked, open = migration.AWS, true, s.now() })
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerRolledBack, c.Phase, s.story())
	require.Equal(t, migration.ByRoute, c.Cause)
	require.Equal(t, migration.OnPrem, s.routed)
	require.Less(t, c.Moves[1].Opened.Sub(open), work.RouteLimit+30*time.Second)
}

// Going home closes AWS: whose requests reach AWS stays there while nobody could lead them back.
func TestACustomerWhoseRouteLeadsToAWSWaitsForTheLoadBalancer(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(2 * time.Hour)
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.AWS, s.routed)
		s.refuses, s.unasked = migration.OnPrem, true
		s.command(migration.UpdateRollback)
	})
	s.at(40*time.Minute, func() {
		require.Equal(t, migration.AWS, s.says().Home, s.story())
		require.Equal(t, migration.AWS, s.routed)
		s.mended()
	})
	s.sound(s.customer())
}

// A customer that could not be routed to AWS, and cannot go home either, is not forgotten there.
func TestARouteIsTriedAgainWhereTheWayHomeIsBlocked(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Files, s.slice.Hooks = nil, hooked(migration.WayBackMust, migration.HookBeforeFence)
	s.hook = holds(migration.HookBeforeFence, migration.OnPrem)
	s.opened(func() { s.refuses = migration.AWS })
	s.at(40*time.Minute, func() {
		require.Equal(t, migration.CustomerHeld, s.says().Phase, s.story())
		require.Equal(t, migration.AWS, s.says().Home)
		require.Contains(t, s.says().Reason, "its route could not be set, and is tried again: connection reset by peer")
		s.mended()
	})
	s.at(45*time.Minute, func() { require.Equal(t, migration.AWS, s.routed, "without a command") })
	s.sound(s.customer())
}

// While a route is tried again, what somebody wants is carried out at once.
func TestNoCommandWaitsForARouteThatCannotBeSet(t *testing.T) {
	for _, c := range []struct {
		command      string
		soon, settle migration.CustomerPhase
	}{
		{migration.UpdateRollback, migration.CustomerRolledBack, migration.CustomerRolledBack},
		{migration.UpdateHold, migration.CustomerHeld, migration.CustomerHeld},
	} {
		t.Run(c.command, func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.refuses = migration.AWS
			s.opened(func() {
				s.at(work.RouteInMove+2*time.Second, func() {
					require.Equal(t, migration.CustomerBaking, s.says().Phase)
					require.Equal(t, migration.WaitAWS, s.says().WaitingFor)
					require.Contains(t, s.says().Reason, "its route to AWS could not be set, and is tried again: connection reset by peer")
					s.command(c.command)
				})
				s.at(work.RouteInMove+4*time.Second, func() { require.Equal(t, c.soon, s.says().Phase, s.story()) })
				s.at(10*time.Minute, func() {
					if c.settle == migration.CustomerHeld {
						require.Equal(t, migration.AWS, s.says().Home, "it is held where it is")
						require.Contains(t, s.says().Reason, "its route could not be set, and is tried again: connection reset by peer")
					}
					s.mended()
				})
				s.at(11*time.Minute, func() {
					require.Equal(t, s.says().Home, s.routed, "once it can be set it is, also while the customer is held")
					require.NotContains(t, s.says().Reason, "could not be set, and")
				})
			})
			end := s.customer()
			s.sound(end)
			require.Equal(t, c.settle, end.Phase)
		})
	}
}

// The route of a customer that has just opened on AWS is set by what the open answered.
func TestPremisesThatAreDownAfterTheOpenKeepNobodyFromItsRoute(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(30 * time.Minute)
	read := -1
	s.opened(func() {
		s.silent = s.dbs[0].Name
		read = s.seen[call{step: "ReadHome", on: s.dbs[0].Name}]
		s.at(3*time.Second, func() {
			require.Equal(t, migration.AWS, s.routed, s.story())
			require.Equal(t, migration.CustomerSoaking, s.says().Phase)
			require.Equal(t, read, s.seen[call{step: "ReadHome", on: s.dbs[0].Name}])
		})
		s.at(time.Minute, s.mended)
	})
	c := s.customer()
	s.sound(c)
	require.NotEqual(t, -1, read)
	require.Equal(t, migration.CustomerFinished, c.Phase, s.story())
}
