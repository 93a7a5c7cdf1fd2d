package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// refused is an update that must not be accepted.
type refused struct {
	*stage
	why string
}

func (r refused) Accept()             { require.Fail(r, "it was accepted") }
func (r refused) Reject(err error)    { require.ErrorContains(r, err, r.why) }
func (r refused) Complete(any, error) {}

// begins is when the stage's time does.
func (s *stage) begins() time.Time { return s.env.Now() }

func (s *stage) wishes(name string, cmd migration.Command, why string) {
	if why != "" {
		s.env.UpdateWorkflow(name, "", refused{s, why}, cmd)
		return
	}
	s.env.UpdateWorkflow(name, "", accepted{s}, cmd)
}

func (s *stage) fenced() int { return s.seen[call{step: "FenceTenant", on: "orders"}] }

func TestACustomerWhoseDeferralALeadAcceptsStaysUntilItEnds(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.goes = time.Minute
	until := s.begins().Add(20 * time.Minute)
	vera := migration.Command{By: "vera", Reason: "month end", NotBefore: until}
	s.at(time.Second, func() {
		s.wishes(migration.UpdateDecide, migration.Command{By: "lea", Accept: true}, "decide does not apply")
		s.wishes(migration.UpdateDefer, migration.Command{By: "vera", Reason: "month end"}, "needs a time")
		s.wishes(migration.UpdateDefer, migration.Command{By: "vera", NotBefore: until}, "needs a reason")
		s.wishes(migration.UpdateDefer, vera, "")
	})
	s.at(2*time.Second, func() {
		c := s.says()
		require.Equal(t, migration.CustomerWaiting, c.Phase, "nobody has decided")
		require.Equal(t, "vera", c.Deferral.Asked.By)
		require.Nil(t, c.Deferral.Decided)
		require.Contains(t, c.MayDo, migration.UpdateDecide)
		s.wishes(migration.UpdateDecide, migration.Command{By: "lea", Accept: true, Reason: "agreed"}, "")
	})
	s.at(10*time.Minute, func() { // its batch has told it to go
		c := s.says()
		require.Equal(t, migration.CustomerHeld, c.Phase)
		require.Equal(t, migration.ByDeferral, c.Cause)
		require.Contains(t, c.Reason, "held by lea: deferred until ")
		require.Contains(t, c.Reason, "as vera asked: month end")
		require.Equal(t, "accepted", c.Deferral.Decided.What)
		require.Zero(t, s.fenced())
		require.NotContains(t, c.MayDo, migration.UpdateRetry)
		s.wishes(migration.UpdateRetry, migration.Command{By: "ann"}, "a lead ends that first")
	})
	s.at(20*time.Minute+time.Second, func() {
		c := s.says()
		require.Equal(t, migration.CustomerWaiting, c.Phase)
		require.Nil(t, c.Deferral)
		require.Zero(t, s.fenced(), "it goes when its batch tells it to, not by itself")
	})
	s.at(30*time.Minute, func() { s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1}) })
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
}

func TestADeferralThatALeadRefusesOrEndsKeepsNobody(t *testing.T) {
	for name, c := range map[string]struct {
		first  bool          // the lead accepts before
		again  bool          // its batch tells it to go once more
		second time.Duration // when the lead refuses
	}{
		"refused":                    {second: 2 * time.Second},
		"accepted, and ended early":  {first: true, second: 5 * time.Minute, again: true},
		"accepted, ended at once":    {first: true, second: 3 * time.Second, again: true},
		"asked, and nobody decides ": {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 1, migration.OnPrem)
			s.goes = time.Minute
			s.at(time.Second, func() {
				s.wishes(migration.UpdateDefer, migration.Command{By: "vera", Reason: "month end",
					NotBefore: s.begins().Add(48 * time.Hour)}, "")
				if c.first {
					s.wishes(migration.UpdateDecide, migration.Command{By: "lea", Accept: true}, "")
				}
			})
			if c.second > 0 {
				s.at(c.second, func() { s.wishes(migration.UpdateDecide, migration.Command{By: "lea", Reason: "not now"}, "") })
			}
			if c.again {
				s.at(c.second+time.Second, func() { require.Equal(t, migration.CustomerWaiting, s.says().Phase) })
				s.at(10*time.Minute, func() { s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1}) })
			}
			got := s.customer()
			s.sound(got)
			require.Equal(t, migration.CustomerFinished, got.Phase)
		})
	}
}

func TestANoteIsKeptWithWhoWroteIt(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.at(time.Second, func() {
		s.wishes(migration.UpdateNote, migration.Command{By: "vera"}, "needs a text or a ticket")
		s.wishes(migration.UpdateNote, migration.Command{By: "vera", Reason: string(make([]byte, 1001))}, "at most 1000")
		s.wishes(migration.UpdateNote, migration.Command{By: "vera", Reason: "they call at 8", Ticket: "https://tickets.example/7"}, "")
		for range 60 {
			s.wishes(migration.UpdateNote, migration.Command{By: "ann", Ticket: "CHG-1"}, "")
		}
	})
	s.at(2*time.Second, func() {
		notes := s.says().Notes
		require.Len(t, notes, 50, "the history has them all")
		require.Equal(t, "ann", notes[49].By)
		require.Equal(t, "CHG-1", notes[49].Ticket)
	})
	s.sound(s.customer())
}
