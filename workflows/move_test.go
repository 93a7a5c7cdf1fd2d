package workflows

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// forEach runs a test for customers of one, two and three databases.
func forEach(t *testing.T, test func(t *testing.T, n int)) {
	t.Helper()
	for n := 1; n <= 3; n++ {
		t.Run(fmt.Sprintf("%d databases", n), func(t *testing.T) { test(t, n) })
	}
}

func TestMoveToAWSAndBack(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		s := newStage(t, n, migration.OnPrem)
		s.verdict = migration.Fail
		c := s.customer(nil)
		s.sound(c)
		require.Equal(t, migration.PhaseRolledBack, c.Phase, s.story())
		require.Len(t, c.Moves, 2)
	})
}

func TestMoveOutlivesWhateverBefallsOneCall(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		for _, at := range roundTrip(t, n) {
			for _, m := range []mishap{answerLost, runsTwice, comesBack, foundBusy, neverHeard, neverCame, tooLate} {
				for _, after := range m.delays() {
					t.Run(fmt.Sprintf("%s %s %d", at, m, after), func(t *testing.T) {
						s := newStage(t, n, migration.OnPrem)
						s.verdict = migration.Fail
						s.faults[at] = fault{m, after}
						c := s.customer(nil)
						s.sound(c)
						if m.passes() {
							require.Equal(t, migration.PhaseRolledBack, c.Phase, s.story())
						}
					})
				}
			}
		}
	})
}

// roundTrip lists the calls of a Move to AWS and back to which nothing happens.
func roundTrip(t *testing.T, n int) []call {
	t.Helper()
	s := newStage(t, n, migration.OnPrem)
	s.verdict = migration.Fail
	s.customer(nil)
	return s.calls
}
