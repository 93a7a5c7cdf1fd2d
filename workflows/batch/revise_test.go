package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// amend has the batch hear of the plan's second revision, with a roll call.
func (h *herd) amend(to *migration.Batch) {
	h.Helper()
	h.amended = to
	h.signal(mail.SignalWord, mail.Pause{Order: mail.Order{At: h.env.Now().UnixNano(), N: 100},
		Revision: migration.Revision{Revision: 2, Digest: "second"}})
}

// leave ends customers that the batch has let go: another one's they would be.
func (h *herd) leave(at time.Duration, customers ...string) {
	h.at(at, func() {
		for _, id := range customers {
			require.NoError(h, h.env.SignalWorkflowByID(migration.CustomerID("shop", id), mail.SignalAbort, mail.Wish{}))
		}
	})
}

func TestABatchGoesOnByAnAmendedPlan(t *testing.T) {
	h := newHerd(t, 4)
	begins := h.env.Now()
	first := h.batch
	first.Customers = []string{"c0", "c1", "c2"}
	first.Window = &migration.Window{Opens: begins.Add(3 * time.Hour), For: migration.Duration(time.Hour)}
	h.first = &first
	h.at(59*time.Minute, func() {
		h.unknown = []string{"c0", "c3"}
		to := h.batch
		to.Customers, to.Concurrency = []string{"c3", "c0"}, 1
		to.Window = &migration.Window{Opens: begins.Add(time.Hour), For: migration.Duration(time.Hour)}
		h.amend(&to)
	})
	h.at(time.Hour-time.Second, func() {
		s := h.says()
		require.Equal(t, migration.WaitWindow, s.WaitingFor)
		require.True(t, s.Window.Opens.Equal(begins.Add(time.Hour)))
		require.Len(t, s.Customers, 2)
		require.Equal(t, "c3", s.Customers[0].ID)
	})
	h.at(61*time.Minute, func() {
		require.Empty(t, h.went, "the databases do not know yet who has joined")
		s := h.says()
		require.Equal(t, migration.WaitData, s.WaitingFor)
		require.Equal(t, "2 customers wait until their databases say that they replicate them", s.Reason)
		h.unknown = nil
	})
	h.leave(time.Hour, "c1", "c2")
	h.run()
	require.Equal(t, []string{"c3", "c0"}, h.went, "and nobody who has left")
	require.Equal(t, 1, h.most.moving)
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
	require.True(t, h.reports[len(h.reports)-1].Closed)
}

func TestACustomerThatTheDatabasesDoNotKnowYetKeepsNobodyElse(t *testing.T) {
	h := newHerd(t, 3)
	first := h.batch
	first.Customers = []string{"c0", "c1"}
	h.first = &first
	h.waits, h.archive = true, true
	h.at(time.Minute, func() {
		h.unknown = []string{"c2"}
		h.amend(&h.batch)
	})
	h.at(2*time.Minute, func() { h.signal(mail.SignalTurn, mail.Turn{}) })
	h.at(30*time.Minute, func() {
		require.Equal(t, []string{"c0", "c1"}, h.went)
		s := h.says()
		require.Equal(t, migration.WaitData, s.WaitingFor)
		require.Equal(t, "1 customers wait until their databases say that they replicate them", s.Reason)
		h.unknown = nil
	})
	h.run()
	require.Equal(t, []string{"c0", "c1", "c2"}, h.went)
}

func TestABatchThatThePlanHasNoMoreLetsItsCustomersGoAndEnds(t *testing.T) {
	h := newHerd(t, 2)
	h.waits = true
	h.at(time.Minute, func() { h.amend(nil) })
	h.leave(2*time.Minute, "c0", "c1")
	h.run()
	require.Empty(t, h.went)
	require.Equal(t, migration.BatchAborted, h.finalSays.Phase)
	require.Empty(t, h.finalSays.Customers)
}

func TestAnAmendmentThatIsHeardTwiceOrLateChangesNothing(t *testing.T) {
	h := newHerd(t, 3)
	first := h.batch
	first.Customers = []string{"c0", "c1"}
	h.first = &first
	to := h.batch
	to.Customers = []string{"c1", "c2"}
	h.waits = true
	h.at(time.Minute, func() { h.amend(&to) })
	h.at(2*time.Minute, func() { h.amend(&to) })
	h.at(3*time.Minute, func() {
		h.signal(mail.SignalWord, mail.Pause{Order: mail.Order{At: h.env.Now().UnixNano(), N: 101},
			Revision: migration.Revision{Revision: 1, Digest: "first"}})
		h.signal(mail.SignalTurn, mail.Turn{})
	})
	h.leave(2*time.Minute, "c0")
	h.run()
	require.Equal(t, []string{"c1", "c2"}, h.went)
	require.Equal(t, 3, h.started, "each once")
}
