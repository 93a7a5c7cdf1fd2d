package board_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
	"github.com/drover-migration/drover/web/webtest"
)

// TestABatchsEndIsPredictedFromItsMoves: 4 of 10 moved within the hour since the first fence, so
// that the other 6 take another hour and a half.
func TestABatchsEndIsPredictedFromItsMoves(t *testing.T) {
	begun := webtest.Start
	for name, c := range map[string]struct {
		moved int
		phase migration.BatchPhase
		read  time.Duration // after the first fence
		want  board.End
		moves bool
	}{
		"four of ten in an hour": {4, migration.BatchCuttingOver, time.Hour, board.End{Pace: 4, At: begun.Add(150 * time.Minute)}, true},
		"one that stands still is predicted later": {4, migration.BatchCuttingOver, 2 * time.Hour,
			board.End{Pace: 2, At: begun.Add(5 * time.Hour)}, true},
		"two Moves are too few":             {2, migration.BatchCuttingOver, time.Hour, board.End{Measuring: true}, true},
		"a batch at its gate does not move": {0, migration.BatchGate, time.Hour, board.End{}, false},
		"nobody is left":                    {10, migration.BatchCuttingOver, time.Hour, board.End{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := webtest.New("shop", 10, 1)
			w.SetBatch(0, func(b *migration.BatchStatus) { b.Phase = c.phase })
			for i, id := range w.IDs()[:c.moved] {
				w.SetCustomer(id, func(s *migration.CustomerStatus) {
					s.Phase, s.Home = migration.CustomerSoaking, migration.AWS
					s.Moves = []migration.MoveResult{{To: migration.AWS, Fenced: begun.Add(time.Duration(i) * time.Minute)}}
				})
			}
			f, err := board.NewHub(t.Context(), w, time.Hour).Follow(t.Context(), "shop")
			require.NoError(t, err)
			s := *f.Snapshot(context.Background())
			s.At = begun.Add(c.read)
			got, moves := s.End(s.Batches[0])
			require.Equal(t, c.moves, moves)
			require.Equal(t, c.want, got)
		})
	}
}
