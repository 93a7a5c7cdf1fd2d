package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// slot is five minutes that begin after so long.
func (s *stage) slot(after time.Duration) migration.Window {
	return migration.Window{Opens: s.begins().Add(after), For: migration.Duration(5 * time.Minute), Zone: "Europe/Kyiv"}
}

func offering(slots ...migration.Window) migration.Command {
	return migration.Command{By: "lea", Slots: slots}
}

func taking(slots ...migration.Window) migration.Command {
	return migration.Command{By: "the customer, by its link", Slots: slots}
}

func TestACustomerThatTakesASlotGoesInItAndAtNoOtherTime(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.goes = time.Minute
	early, late := s.slot(10*time.Minute), s.slot(25*time.Minute)
	s.at(time.Second, func() {
		s.wishes(migration.UpdateTake, taking(early), "take does not apply")
		s.wishes(migration.UpdateOffer, offering(), "offer 1 to 10")
		s.wishes(migration.UpdateOffer, offering(migration.Window{Opens: s.begins().Add(time.Hour)}), "more than nothing")
		s.wishes(migration.UpdateOffer, offering(s.slot(-2*time.Minute)), "has begun")
		s.wishes(migration.UpdateOffer, offering(early, late), "")
		s.wishes(migration.UpdateTake, taking(), "take one slot")
		s.wishes(migration.UpdateTake, taking(s.slot(7*time.Minute)), "was not offered")
		s.wishes(migration.UpdateTake, taking(early), "")
	})
	s.at(5*time.Minute, func() { // its batch has told it to go
		c := s.says()
		require.True(t, c.Deferred())
		require.True(t, c.Slots.Chosen().Equal(early))
		require.Equal(t, "the customer, by its link", c.Slots.Choice.By)
		require.Contains(t, c.Reason, "the slot ")
		require.Zero(t, s.fenced())
		s.wishes(migration.UpdateRetry, migration.Command{By: "ann"}, "a lead ends that first")
		s.wishes(migration.UpdateTake, taking(late), "") // it has changed its mind
	})
	s.at(12*time.Minute, func() {
		require.True(t, s.says().Slots.Chosen().Equal(late))
		require.Zero(t, s.fenced(), "not in the slot that it gave up")
		s.wishes(migration.UpdateTake, taking(early), "this slot has begun")
	})
	s.at(26*time.Minute, func() {
		require.Equal(t, migration.CustomerWaiting, s.says().Phase)
		require.Zero(t, s.fenced(), "it goes when its batch tells it to, not by itself")
		s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1})
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
	require.Nil(t, c.Slots, "it has moved")
}

// A batch that waits for an approval, or is paused, may let a slot pass. The customer took that
// time and no other: a person decides.
func TestACustomerWhoseSlotPassesIsHeld(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.goes = 20 * time.Minute // after the slot
	first, second := s.slot(5*time.Minute), s.slot(30*time.Minute)
	s.at(time.Second, func() {
		s.wishes(migration.UpdateOffer, offering(first), "")
		s.wishes(migration.UpdateTake, taking(first), "")
	})
	s.at(10*time.Minute+time.Second, func() {
		c := s.says()
		require.Equal(t, migration.CustomerHeld, c.Phase)
		require.Equal(t, migration.WaitOperator, c.WaitingFor)
		require.Contains(t, c.Reason, "did not let it go in the slot that it had taken")
		require.Nil(t, c.Slots.Chosen())
		require.Nil(t, c.Deferral)
		require.Contains(t, c.MayDo, migration.UpdateRetry)
	})
	s.at(22*time.Minute, func() {
		require.Equal(t, migration.CustomerHeld, s.says().Phase, "its batch has told it to go, too late")
		require.Zero(t, s.fenced())
		s.wishes(migration.UpdateOffer, offering(second), "")
		s.wishes(migration.UpdateTake, taking(second), "")
	})
	s.at(31*time.Minute, func() { s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1}) })
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

func TestALeadEndsASlotAsADeferral(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.goes = time.Minute
	slot := s.slot(40 * time.Minute)
	s.at(time.Second, func() {
		s.wishes(migration.UpdateOffer, offering(slot), "")
		s.wishes(migration.UpdateTake, taking(slot), "")
	})
	s.at(2*time.Minute, func() { s.wishes(migration.UpdateDecide, migration.Command{By: "lea", Reason: "they called"}, "") })
	s.at(3*time.Minute, func() {
		require.Equal(t, migration.CustomerWaiting, s.says().Phase)
		require.Nil(t, s.says().Slots.Chosen())
		s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1})
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

func TestASlotLiesInTheWindowOfTheBatchAndNotInABlackout(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.goes = time.Minute
	from := s.begins()
	s.slice.Batch.Window = &migration.Window{Opens: from, For: migration.Duration(10 * time.Minute)}
	s.slice.Customer.Blackouts = []migration.Span{{From: from.Add(time.Minute), To: from.Add(8 * time.Minute)}}
	s.at(time.Second, func() {
		s.wishes(migration.UpdateOffer, offering(s.slot(6*time.Minute)), "does not lie in the window of batch")
		s.wishes(migration.UpdateOffer, offering(s.slot(2*time.Minute)), "lies in a blackout of the customer")
		s.wishes(migration.UpdateOffer, offering(s.slot(4*time.Minute)), "") // half of it
	})
	c := s.customer()
	s.sound(c)
}
