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
