package workflows_test

import (
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
