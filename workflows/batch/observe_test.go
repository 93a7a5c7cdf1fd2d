package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

func TestABatchThatRequiresItSaysWhatIsMissingUntilWritersWereObserved(t *testing.T) {
	for name, requires := range map[string]bool{"it requires it": true, "another batch does": false} {
		t.Run(name, func(t *testing.T) {
			h := newHerd(t, 1)
			h.waits = true
			if requires {
				h.batch.Requires = &migration.Requires{Observe: &migration.Observe{}}
			}
			word := func(n int, words string) {
				h.signal(mail.SignalWord, mail.Pause{Order: mail.Order{At: h.env.Now().UnixNano(), N: n},
					Observing: mail.Observing{Words: words, Person: words != ""}})
			}
			h.at(time.Minute, func() { word(1, "2 findings are unresolved") })
			h.at(2*time.Minute, func() {
				s := h.says()
				require.Equal(t, migration.BatchWaiting, s.Phase)
				if !requires {
					require.Equal(t, migration.WaitTurn, s.WaitingFor)
					return
				}
				require.Equal(t, migration.WaitObserve, s.WaitingFor)
				require.Equal(t, "2 findings are unresolved", s.Reason)
				require.True(t, s.Asks, "it is somebody's turn")
				require.Equal(t, migration.WaitObserve, h.reports[len(h.reports)-1].Status.WaitingFor, "the migration knows")
				require.Empty(t, h.went)
			})
			h.at(3*time.Minute, func() { word(2, "") })
			h.at(4*time.Minute, func() {
				s := h.says()
				require.Equal(t, migration.WaitTurn, s.WaitingFor)
				require.Empty(t, s.Reason)
				require.False(t, s.Asks)
				h.signal(mail.SignalTurn, mail.Turn{})
			})
			h.run()
			require.Equal(t, []string{"c0"}, h.went)
		})
	}
}
