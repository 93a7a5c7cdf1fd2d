package board

import (
	"slices"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Measures are what Drover measured of customers. They count Moves that changed a home, in both
// directions: each of them froze writes.
type Measures struct {
	Score

	All     int             // customers
	OnAWS   int             // that run there and stay
	Waiting int             // that have not moved yet
	Held    int             // that a person decides about
	Freezes []time.Duration // one a Move, sorted
	P50     time.Duration   // freeze; 0 without Moves
	P99     time.Duration
	Kept    int       // Moves whose freeze was not longer than predicted
	Of      int       // Moves whose freeze was predicted
	Rows    int64     // compared by the verifications
	Objects int64     // compared by the last file passes
	Samples int       // of the health of customers on AWS, as their last verdicts have them
	Failed  int       // of these
	Again   int       // customers whose last Move took more than one try
	Back    []WayBack // oldest first
	First   time.Time // fence; zero without Moves
	Last    time.Time // open
}

// WayBack is a Move that took a customer back on premises.
type WayBack struct {
	Customer, Name, Batch string
	At                    time.Time
	Why                   string
	Cause                 migration.Cause // empty: another Move has followed, or it is not known
	Freeze                time.Duration
}

// Measure adds up what was measured of customers.
func Measure(customers []Customer) Measures {
	count := CountOf(customers)
	m := Measures{Score: score(customers), All: len(customers), OnAWS: OnAWS(count), Waiting: count[Waiting], Held: count[Held]}
	for _, c := range customers {
		m.add(c)
	}
	slices.Sort(m.Freezes)
	m.P50, m.P99 = quantile(m.Freezes, 50), quantile(m.Freezes, 99)
	slices.SortStableFunc(m.Back, func(a, b WayBack) int { return a.At.Compare(b.At) })
	return m
}

func (m *Measures) add(c Customer) {
	st := c.Status
	if v := st.Verdict; v != nil {
		m.Samples += v.Samples
		m.Failed += v.Errors
	}
	if st.Tries > 1 {
		m.Again++
	}
	for i, x := range st.Moves {
		m.Freezes = append(m.Freezes, x.Freeze.D())
		m.Rows += x.Rows
		m.Objects += x.Objects
		if x.Predicted > 0 {
			m.Of++
			if x.Freeze <= x.Predicted {
				m.Kept++
			}
		}
		if !x.Fenced.IsZero() && (m.First.IsZero() || x.Fenced.Before(m.First)) {
			m.First = x.Fenced
		}
		if x.Opened.After(m.Last) {
			m.Last = x.Opened
		}
		if x.To == migration.OnPrem {
			back := WayBack{Customer: st.ID, Name: st.Name, Batch: st.Batch, At: x.Opened, Why: x.Reason, Freeze: x.Freeze.D()}
			if i == len(st.Moves)-1 { // what the status says is about this one
				back.Cause = st.Cause
				if back.Why == "" {
					back.Why = st.Reason
				}
			}
			m.Back = append(m.Back, back)
		}
	}
}

// quantile is the smallest of sorted times that so many in a hundred do not exceed; 0 of none.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

// Window says whether a batch's Moves to AWS ended before its window did. Known is false where it
// has no window, or nobody has moved.
func (s *Snapshot) Window(b Batch) (last time.Time, kept, known bool) {
	for _, c := range s.Of(b) {
		for _, m := range c.Status.Moves {
			if m.To == migration.AWS && m.Opened.After(last) {
				last = m.Opened
			}
		}
	}
	if b.Window == nil || last.IsZero() {
		return last, false, false
	}
	return last, !last.After(b.Window.Closes()), true
}
