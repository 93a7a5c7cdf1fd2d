package main

import "fmt"

// The goals of a plan of ten thousand customers on two cores.
const (
	mostEvents     = 10_000   // of a history
	mostBytes      = 10 << 20 // of a history
	mostActivities = 20.0     // a second, while all customers soak
	mostPage       = 200.0    // ms, of a page of status at p99
)

// missed says which goals a run does not reach. Histories and what a soak asks for are held against
// the goals at every size, times at the size that the goals are of.
func (m *measured) missed() (out []string) {
	say := func(form string, args ...any) {
		out = append(out, fmt.Sprintf("%d customers in %d batches: ", m.Customers, m.Batches)+fmt.Sprintf(form, args...))
	}
	for name, h := range m.Histories {
		if h.Events > mostEvents || h.Bytes > mostBytes {
			say("a history of %s has %d events and %d kB, of %d and %d at most", name, h.Events, h.Bytes>>10, mostEvents, mostBytes>>10)
		}
	}
	if m.SoakActivities > mostActivities {
		say("%.1f activities a second while all soak, of %.0f at most", m.SoakActivities, mostActivities)
	}
	if m.Unfinished != "" {
		say("not through after %.0f s, with %d of them on AWS", m.WallS, m.OnAWS)
		return out
	}
	if m.Customers < goalSize {
		return out
	}
	if m.WallS > goal.Seconds() {
		say("%.0f s, of %.0f at most", m.WallS, goal.Seconds())
	}
	if m.StatusP99 > mostPage {
		say("a page of status takes %.0f ms at p99, of %.0f at most", m.StatusP99, mostPage)
	}
	return out
}
