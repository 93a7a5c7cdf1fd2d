package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

func TestAFindingOfAnAuditHoldsACustomerUntilItIsRetriedByName(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(30 * time.Minute)
	found := mail.Trouble{Words: "both sides took its writes"}
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.CustomerSoaking, s.says().Phase)
		s.env.SignalWorkflow(mail.SignalTrouble, found)
	})
	s.at(12*time.Minute, func() {
		require.Equal(t, migration.CustomerHeld, s.says().Phase)
		require.Contains(t, s.says().Reason, found.Words)
		require.Equal(t, migration.AWS, s.says().Home)
		require.Contains(t, s.dbs[0].Record().Note(migration.AWS).Words, `"phase":"held"`)
		s.command(migration.UpdateRetry)
	})
	s.at(12*time.Minute+time.Second, func() { // whoever is started again now believes its data
		require.NotEqual(t, migration.CustomerHeld, s.says().Phase)
		require.NotContains(t, s.dbs[0].Record().Note(migration.AWS).Words, `"phase":"held"`)
	})
	s.at(14*time.Minute, func() { s.env.SignalWorkflow(mail.SignalTrouble, found) }) // a look says it again
	s.at(16*time.Minute, func() { require.NotEqual(t, migration.CustomerHeld, s.says().Phase, "it was looked at") })
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

func TestWhileBothSidesAreOpenNothingIsClaimedAndNoRouteIsTurned(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(30 * time.Minute)
	var claims, token = 0, int64(0)
	s.at(10*time.Minute, func() {
		s.dbs[0].Half(migration.OnPrem).State = migration.Open // a seal is forgotten
		token = s.dbs[0].Record().Token()
		claims = s.seen[call{step: "ClaimTenant", on: "orders"}]
		s.command(migration.UpdateRollback)
	})
	s.at(20*time.Minute, func() {
		require.Equal(t, migration.CustomerHeld, s.says().Phase)
		require.Contains(t, s.says().Reason, "both sides take its writes")
		require.Equal(t, migration.AWS, s.routed)
		require.Equal(t, claims, s.seen[call{step: "ClaimTenant", on: "orders"}])
		require.Equal(t, token, s.dbs[0].Record().Token())
		s.dbs[0].Half(migration.OnPrem).State = migration.Sealed // an audit has closed it
		s.command(migration.UpdateRetry)
	})
	c := s.customer()
	require.Equal(t, migration.AWS, c.Home)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

// Somebody gave premises up for a customer that had not set out yet: it is held where its data says
// that it is, its route follows, and it goes on when somebody says so.
func TestACustomerThatGoesOnWithoutASideIsHeldAtItsNewHome(t *testing.T) {
	for _, resting := range []bool{false, true} {
		t.Run(fmt.Sprintf("at rest %t", resting), func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.slice.Policy.Soak = migration.Duration(30 * time.Minute)
			s.slice.Hooks = hooked("", migration.HookAfterOpen, migration.HookAfterRoute, migration.HookOnRollback)
			s.goes = 20 * time.Minute
			words := "premises were given up by ann (the site burnt down)"
			if resting {
				s.at(5*time.Minute, func() { s.command(migration.UpdateHold) })
			}
			s.at(10*time.Minute, func() {
				require.Equal(t, migration.OnPrem, s.says().Home)
				s.mu.Lock()
				defer s.mu.Unlock()
				d, try := s.dbs[0], migration.Try{Token: 1001, Owner: "ann"}
				d.Fence(migration.OnPrem, try, time.Minute)
				d.Deliver(migration.OnPrem)
				d.Seal(migration.OnPrem, try)
				require.Equal(t, migration.WordOpen, d.Open(migration.AWS, try))
				s.loss = &migration.Loss{Side: migration.OnPrem, Token: 1001, By: "ann", Why: "the site burnt down"}
				s.env.SignalWorkflow(mail.SignalTrouble, mail.Trouble{Words: words, Alone: true})
			})
			s.at(12*time.Minute, func() {
				c := s.says()
				require.Equal(t, migration.CustomerHeld, c.Phase)
				require.Equal(t, migration.AWS, c.Home)
				require.Contains(t, c.Reason, words)
				require.Equal(t, migration.AWS, s.routed)
				require.Equal(t, []string{"/acme/1001/afterOpen to aws", "/acme/1001/afterRoute to aws"}, s.heardKeys(),
					"the hooks of whoever has come home by hand are owed, too")
				require.True(t, slices.ContainsFunc(c.Timeline, func(e migration.Event) bool {
					return e.What == "homed on aws, without the other side" && e.By == "ann" && e.Why == "the site burnt down"
				}), "%+v", c.Timeline)
				s.command(migration.UpdateRetry)
			})
			c := s.customer()
			s.sound(c)
			require.Equal(t, migration.CustomerFinished, c.Phase)
			require.GreaterOrEqual(t, c.Token, int64(1001))
		})
	}
}

// A route by name takes minutes: it has them where a side was given up, too.
func TestARouteByNameHasItsTimeAlsoWithoutASide(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Routes = []migration.Route{{Name: "names", DNS: &migration.DNS{}}}
	s.goes = 2 * time.Hour
	var within []time.Duration
	s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityType.Name == "ReconcileRoute" {
			within = append(within, info.ScheduleToCloseTimeout)
		}
	})
	s.at(time.Minute, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		d, try := s.dbs[0], migration.Try{Token: 1001, Owner: "ann"}
		d.Fence(migration.OnPrem, try, time.Minute)
		d.Deliver(migration.OnPrem)
		d.Seal(migration.OnPrem, try)
		require.Equal(t, migration.WordOpen, d.Open(migration.AWS, try))
		s.loss = &migration.Loss{Side: migration.OnPrem, Token: 1001, By: "ann", Why: "the site burnt down"}
		s.env.SignalWorkflow(mail.SignalTrouble, mail.Trouble{Words: "premises were given up", Alone: true})
	})
	c := s.customer()
	require.Equal(t, migration.AWS, c.Home)
	require.Equal(t, migration.AWS, s.routed)
	require.Equal(t, []time.Duration{work.RouteLimit + work.NameSpreads}, within)
}

// Somebody gave AWS up for a customer that was held there: where it is homed is said at once, not
// when somebody retries it.
func TestACustomerThatIsHeldOnAWSSaysAtOnceThatAWSWasGivenUp(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(time.Hour)
	s.slice.Hooks = hooked("", migration.HookAfterOpen, migration.HookAfterRoute, migration.HookOnRollback)
	words := "AWS was given up by ann (the region is gone): the customer goes on with premises alone"
	s.at(10*time.Minute, func() { s.command(migration.UpdateHold) })
	s.at(12*time.Minute, func() {
		require.Equal(t, migration.CustomerHeld, s.says().Phase)
		require.Equal(t, migration.AWS, s.says().Home)
		s.mu.Lock()
		defer s.mu.Unlock()
		d, try := s.dbs[0], migration.Try{Token: 1001, Owner: "ann"}
		d.Fence(migration.AWS, try, time.Minute)
		d.Deliver(migration.AWS)
		d.Seal(migration.AWS, try)
		require.Equal(t, migration.WordOpen, d.Open(migration.OnPrem, try))
		s.loss = &migration.Loss{Side: migration.AWS, Token: 1001, By: "ann", Why: "the region is gone"}
		s.hooked = nil
		s.env.SignalWorkflow(mail.SignalTrouble, mail.Trouble{Words: words, Alone: true})
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerHeld, c.Phase, "nobody retried it")
	require.Equal(t, migration.OnPrem, c.Home)
	require.Contains(t, c.Reason, words)
	require.Equal(t, migration.OnPrem, s.routed)
	require.NotContains(t, c.MayDo, migration.UpdateRollback, "it is at home")
	require.Equal(t, []string{"/acme/1001/afterOpen to onprem", "/acme/1001/afterRoute to onprem", "/acme/1001/onRollback to onprem"},
		s.heardKeys())
}
