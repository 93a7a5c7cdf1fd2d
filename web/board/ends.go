package board

import (
	"fmt"
	"time"

	"github.com/drover-migration/drover/migration"
)

// leastMoves is how many Moves a pace is computed from at least: of fewer the first, which meets
// cold caches, would tell too much.
const leastMoves = 3

// End is when a batch that moves will be through.
type End struct {
	Measuring bool      // too few have moved to name a pace
	Pace      float64   // customers an hour since the batch's first fence, pauses included
	At        time.Time // at that pace
}

// End predicts when a batch is through that moves now; false: it does not move. It counts the Moves
// to AWS that are done, from the first fence to when the snapshot was read: a batch that stands
// still is predicted later and later.
func (s *Snapshot) End(b Batch) (End, bool) {
	customers := s.Of(b)
	count := CountOf(customers)
	left := count[Waiting] + count[Moving]
	if b.Phase != migration.BatchCuttingOver || left == 0 {
		return End{}, false
	}
	var first time.Time
	moved := 0
	for _, c := range customers {
		for _, m := range c.Status.Moves {
			if m.To != migration.AWS || m.Fenced.IsZero() {
				continue
			}
			moved++
			if first.IsZero() || m.Fenced.Before(first) {
				first = m.Fenced
			}
		}
	}
	took := s.At.Sub(first)
	if moved < leastMoves || took <= 0 {
		return End{Measuring: true}, true
	}
	each := took / time.Duration(moved)
	return End{Pace: float64(time.Hour) / float64(max(each, 1)), At: s.At.Add(each * time.Duration(left))}, true
}

// Words says it where there is little room.
func (e End) Words(k Clock) string {
	switch {
	case e.Measuring:
		return "pace: measuring"
	case e.Pace < 10:
		return fmt.Sprintf("%.1f an hour, through about %s", e.Pace, k.Brief(e.At))
	default:
		return fmt.Sprintf("%.0f an hour, through about %s", e.Pace, k.Brief(e.At))
	}
}
