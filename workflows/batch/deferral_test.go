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

func TestACustomerInABlackoutIsNotToldToGo(t *testing.T) {
	for name, c := range map[string]struct {
		window time.Duration // 0: none
		goes   bool
	}{
		"and goes when it has ended":                 {goes: true},
		"and goes when it has ended, in the window":  {window: time.Hour, goes: true},
		"and stays where the window has closed then": {window: 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerd(t, 3)
			from := h.env.Now()
			h.blackouts = map[string][]migration.Span{"c0": {{From: from.Add(-time.Hour), To: from.Add(10 * time.Minute)},
				{From: from.Add(10 * time.Minute), To: from.Add(30 * time.Minute)}}, // without a moment between
				"c1": {{From: from.Add(24 * time.Hour), To: from.Add(48 * time.Hour)}}}
			if c.window > 0 {
				h.window(c.window)
			}
			h.at(15*time.Minute, func() {
				require.Equal(t, []string{"c1", "c2"}, h.went)
				s := h.says()
				require.Equal(t, migration.BatchCuttingOver, s.Phase)
				require.Equal(t, migration.WaitBlackout, s.WaitingFor)
				require.Equal(t, "1 not cut over are in a blackout, c0 until 2026-12-02 20:30 UTC", s.Reason)
			})
			h.at(31*time.Minute, func() {
				if c.goes {
					require.Equal(t, []string{"c1", "c2", "c0"}, h.went)
					return
				}
				require.Len(t, h.went, 2)
				require.Contains(t, h.says().Reason, "with 1 customers not cut over")
				h.command(migration.UpdateRetry, "ann", "")
			})
			h.run()
			require.Equal(t, []string{"c1", "c2", "c0"}, h.went)
			require.Equal(t, migration.BatchDone, h.finalSays.Phase)
		})
	}
}
