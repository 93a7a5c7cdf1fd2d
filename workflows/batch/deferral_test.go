package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestADeferredCustomerGoesWhenItsDeferralEndsIfTheWindowLetsIt(t *testing.T) {
	for name, c := range map[string]struct {
		window time.Duration // 0: none
		goes   bool          // by itself
		after  time.Duration // in the middle of the batch, or when it is through
	}{
		"while the batch cuts over":                {after: 5 * time.Minute, goes: true},
		"when the batch is through, no window":     {after: 30 * time.Minute, goes: true},
		"when the batch is through, in its window": {after: 30 * time.Minute, window: time.Hour, goes: true},
		"when the window has closed":               {after: 30 * time.Minute, window: 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerd(t, 3)
			h.deferred = map[string]time.Duration{"c1": c.after}
			if c.window > 0 {
				h.window(c.window)
			}
			h.at(c.after-time.Minute, func() {
				require.Equal(t, []string{"c0", "c2"}, h.went)
				s := h.says()
				require.Equal(t, 1, s.Counts.Held)
				if c.after > 20*time.Minute {
					require.Equal(t, migration.BatchDone, s.Phase, "it goes on without it")
				}
			})
			h.at(c.after+time.Minute, func() {
				if c.goes {
					require.Equal(t, []string{"c0", "c2", "c1"}, h.went)
					return
				}
				require.Len(t, h.went, 2)
				s := h.says()
				require.Equal(t, migration.BatchGate, s.Phase)
				require.Contains(t, s.Reason, "with 1 customers not cut over; retry goes on outside it")
				h.command(migration.UpdateRetry, "ann", "")
			})
			h.run()
			require.Equal(t, []string{"c0", "c2", "c1"}, h.went)
			require.Equal(t, migration.BatchDone, h.finalSays.Phase)
			require.Equal(t, 3, h.finalSays.Counts.OnAWS)
			require.Zero(t, h.reports[len(h.reports)-1].Incidents, "what a lead has accepted is none")
		})
	}
}
