package workflows_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

func TestWhatAnAuditFindsHoldsACustomerUntilItIsRetriedByName(t *testing.T) {
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
