package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
)

// names are those of a batch's customers in a zone where their TTL is an hour.
type names struct {
	asked   []traffic.PrepareRoutesRequest
	at      []time.Time
	lowered time.Time // zero: not yet
	refused error
	settled []traffic.SettleRoutesRequest
}

const oldTTL = time.Hour

// PrepareRoutes lowers the TTL of names as much before they are needed as it lasts.
func (s *shop) PrepareRoutes(req traffic.PrepareRoutesRequest) (out traffic.Prepared, err error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	n, now := s.h.names, s.h.env.Now()
	n.asked, n.at = append(n.asked, req), append(n.at, now)
	if n.refused != nil {
		return out, n.refused
	}
	if n.lowered.IsZero() {
		if due := req.Opens.Add(-oldTTL); due.After(now) {
			out.Again = due
			return out, nil
		}
		n.lowered = now
	}
	out.Ready = n.lowered.Add(oldTTL)
	return out, nil
}

func (s *shop) SettleRoutes(req traffic.SettleRoutesRequest) error {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.names.settled = append(s.h.names.settled, req)
	return nil
}

// Whoever an amendment takes out of a batch before it has begun may go in weeks: its records get
// the TTL back that they had. Who goes soon in another batch keeps the low one.
func TestACustomerThatLeavesABatchBeforeItBeginsGetsItsTTLBack(t *testing.T) {
	for _, c := range []struct {
		name    string
		opens   time.Duration // of the batch to which c1 goes; 0: it has no window
		settled []string
	}{
		{"for weeks", 21 * 24 * time.Hour, []string{"c1"}},
		{"until its turn comes", 0, []string{"c1"}},
		{"for a moment", 2 * time.Hour, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHerd(t, 2)
			h.names = &names{}
			first := h.batch
			first.Approvals = 1
			h.first = &first
			h.at(time.Minute, func() {
				require.False(t, h.names.lowered.IsZero())
				to := first
				to.Customers = []string{"c0"}
				h.other = &migration.Batch{Name: "later", Customers: []string{"c1"}}
				if c.opens > 0 {
					h.other.Window = &migration.Window{Opens: h.env.Now().Add(c.opens), For: migration.Duration(time.Hour)}
				}
				h.amend(&to)
			})
			h.leave(2*time.Minute, "c1")
			h.at(3*time.Minute, func() { h.command(migration.UpdateApprove, "ann", "") })
			h.run()
			require.Equal(t, []string{"c0"}, h.went)
			var settled []string
			for _, s := range h.names.settled {
				require.LessOrEqual(t, s.Spec.Revision, 1, "by which they were made ready")
				settled = append(settled, s.Customers...)
			}
			require.Equal(t, c.settled, settled)
		})
	}
}

func TestTheNamesOfWhoWasSkippedAreLeftAlone(t *testing.T) {
	b := &batch{}
	b.tenants.ByName = []string{"c0", "c1", "c2"}
	b.know(newMembers(migration.Batch{Name: "wave", Customers: b.tenants.ByName}))
	b.by["c0"].Status.Phase = migration.CustomerSkipped
	b.by["c2"].Told = true
	require.Equal(t, []string{"c1"}, b.byName())
}

func TestTheTTLOfNamesIsLoweredAsLongBeforeTheWindowAsItLasts(t *testing.T) {
	h := newHerd(t, 2)
	opens := h.env.Now().Add(150 * time.Minute)
	h.names = &names{}
	h.batch.Window = &migration.Window{Opens: opens, For: migration.Duration(time.Hour)}
	h.at(80*time.Minute, func() {
		require.Equal(t, migration.WaitWindow, h.says().WaitingFor)
		require.Zero(t, h.names.lowered)
	})
	h.at(149*time.Minute, func() { require.Empty(t, h.went) })
	h.run()
	require.WithinDuration(t, opens.Add(-oldTTL), h.names.lowered, time.Minute)
	require.Len(t, h.went, 2)
	require.True(t, opens.Equal(h.names.asked[0].Opens))
	require.Equal(t, []string{"c0", "c1"}, h.names.asked[0].Customers)
	require.Less(t, len(h.names.asked), 10, "it asks when there is something to do")
}

func TestABatchWithoutAWindowWaitsUntilItsNamesAreForgotten(t *testing.T) {
	h := newHerd(t, 1)
	h.names, h.batch.Approvals = &names{}, 1
	h.at(30*time.Minute, func() {
		require.Equal(t, migration.WaitApproval, h.says().WaitingFor)
		require.False(t, h.names.lowered.IsZero(), "it does not wait for the approval")
		h.command(migration.UpdateApprove, "ann", "")
	})
	h.at(50*time.Minute, func() {
		require.Equal(t, migration.WaitAWS, h.says().WaitingFor)
		require.Contains(t, h.says().Reason, "resolvers may remember the old TTL of its records until 2026-12-02 21:0")
		require.Empty(t, h.went)
	})
	h.at(65*time.Minute, func() { require.Len(t, h.went, 1) })
	h.run()
	require.Less(t, len(h.names.asked), 10)
}

// Moves share the calls a second that Route 53 allows: while the batch waits for something else,
// names that cannot be made ready are left alone for minutes.
func TestNamesThatCannotBeMadeReadyAreAskedForEveryFewMinutes(t *testing.T) {
	h := newHerd(t, 1)
	h.names = &names{refused: temporal.NewNonRetryableApplicationError("acme.example.com has CNAME other.example.net", "ForeignRecord",
		nil)}
	h.batch.Window = &migration.Window{Opens: h.env.Now().Add(2 * time.Hour), For: migration.Duration(4 * time.Hour)}
	h.at(119*time.Minute, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		require.InDelta(t, 24, len(h.names.asked), 3)
		h.names.refused = nil
	})
	h.run()
	require.Len(t, h.went, 1)
}

func TestABatchWhoseNamesAreNotAsThePlanSaysWaits(t *testing.T) {
	h := newHerd(t, 1)
	h.names = &names{refused: temporal.NewNonRetryableApplicationError("acme.example.com has CNAME other.example.net", "ForeignRecord",
		nil)}
	h.at(10*time.Minute, func() {
		require.Contains(t, h.says().Reason, "could not be made ready: acme.example.com has CNAME other.example.net")
		require.Empty(t, h.went)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.names.refused = nil
	})
	h.run()
	require.Len(t, h.went, 1)
}
