package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
)

// second says that the customer belongs to a batch by the plan's second revision.
func second(batch string) mail.Belongs {
	return mail.Belongs{Revision: migration.Revision{Revision: 2, Digest: "second"}, Batch: batch}
}

func TestACustomerThatWaitsGoesToAnotherBatch(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.goes = 10 * time.Minute // a repeat
	waits := false
	s.at(time.Minute, func() {
		s.env.SignalWorkflow(mail.SignalAsk, mail.Ask{Belongs: second("late"), Report: true})
	})
	s.at(90*time.Second, func() { // of the batch that it has left, which has not heard of that yet
		s.env.SignalWorkflow(mail.SignalGo, mail.Go{Belongs: mail.Belongs{Batch: "canary"}, Round: 1})
	})
	s.at(2*time.Minute, func() {
		c := s.says()
		waits = c.Phase == migration.CustomerWaiting
		require.Equal(t, "late", c.Batch)
		require.Equal(t, "late", s.last.Batch, "its new batch has heard")
		require.Equal(t, []int{0}, s.loaded)
		s.slice.Policy.Tries = 7
		s.env.SignalWorkflow(mail.SignalAsk, mail.Ask{Belongs: mail.Belongs{Revision: migration.Revision{Revision: 1, Digest: "first"},
			Batch: "canary"}}) // overtaken
		s.env.SignalWorkflow(mail.SignalGo, mail.Go{Belongs: second("late"), Round: 1})
	})
	s.at(3*time.Minute, func() {
		require.Equal(t, "late", s.says().Batch)
		require.Equal(t, []int{0, 2}, s.loaded, "it sets out by the revision that holds")
	})
	c := s.customer()
	require.True(t, waits, "nobody but its batch has sent it out")
	require.Equal(t, migration.AWS, c.Home)
	require.Len(t, c.Moves, 1)
	s.sound(c)
}

func TestACustomerThatHasSetOutGoesOnByWhatHeldThen(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Batch.Bake = migration.Duration(10 * time.Minute)
	s.at(5*time.Minute, func() {
		require.Equal(t, migration.CustomerBaking, s.says().Phase)
		s.env.SignalWorkflow(mail.SignalAsk, mail.Ask{Belongs: second("canary")})
	})
	c := s.customer()
	require.Equal(t, []int{0}, s.loaded)
	s.sound(c)
}

func TestACustomerThatIsSkippedStaysAtHome(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.goes = 10 * time.Minute
	s.at(time.Minute, func() {
		s.wishes(migration.UpdateSkip, migration.Command{By: "ann"}, "say why")
		s.wishes(migration.UpdateSkip, migration.Command{By: "ann", Reason: "contract ends"}, "")
	})
	c := s.customer()
	require.Equal(t, migration.CustomerSkipped, c.Phase)
	require.Equal(t, migration.OnPrem, c.Home)
	require.Equal(t, "skipped by ann: contract ends", c.Reason)
	require.Zero(t, s.fenced())
	require.Empty(t, c.MayDo)
	s.sound(c)
	for _, again := range []struct {
		joins bool
		phase migration.CustomerPhase
	}{{false, migration.CustomerSkipped}, {true, migration.CustomerFinished}} {
		s = s.again()
		s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1}) }, time.Minute)
		s.env.ExecuteWorkflow(life, customer.Input{ID: "acme", Batch: "canary", Joins: again.joins})
		require.NoError(t, s.env.GetWorkflowError(), s.story())
		require.Equal(t, again.phase, s.last.Phase, "joins: %v", again.joins)
		s.end()
	}
}

// A customer of which its data does not say that it was skipped would be moved against a person's
// word by whoever starts it again.
func TestACustomerIsNotSkippedBeforeItsDataSaysSo(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.goes = 5 * time.Minute
	s.at(time.Minute, func() {
		s.silent = s.dbs[0].Name
		s.wishes(migration.UpdateSkip, migration.Command{By: "ann", Reason: "contract ends"}, "")
	})
	s.at(10*time.Minute, func() {
		c := s.says()
		require.Equal(t, migration.CustomerWaiting, c.Phase)
		require.Contains(t, c.Reason, "skipped by ann: contract ends; its data does not take note of it")
		s.silent = ""
	})
	c := s.customer()
	require.Equal(t, migration.CustomerSkipped, c.Phase)
	require.Equal(t, "skipped by ann: contract ends", c.Reason)
	require.Zero(t, s.fenced())
	s = s.again()
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1}) }, time.Minute)
	s.env.ExecuteWorkflow(life, customer.Input{ID: "acme", Batch: "canary"})
	require.Equal(t, migration.CustomerSkipped, s.last.Phase)
	s.end()
}

func TestNobodyWhoIsOnAWSIsSkipped(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Policy.Soak = migration.Duration(30 * time.Minute)
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.CustomerSoaking, s.says().Phase)
		s.wishes(migration.UpdateSkip, migration.Command{By: "ann", Reason: "contract ends"}, "skip does not apply")
	})
	c := s.customer()
	require.Equal(t, migration.AWS, c.Home)
	s.sound(c)
}
