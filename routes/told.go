package routes

import (
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

// ToldFor is how long a router holds what it was told against an older token. An attempt that
// Temporal has given up lives for some seconds at most. A plan that is aborted and submitted again
// counts its tokens anew, and takes longer than this to its first Move.
const ToldFor = 30 * time.Second

// keptFor is how long it is remembered at all: a call may wait for two passes before its own ends.
const keptFor = 3 * PassLimit

// Told is what this process was told last of each customer, so that what comes late with an older
// token changes nothing.
type Told struct {
	mu     sync.Mutex
	byName map[customerKey]hearing
}

type customerKey struct{ plan, customer string }

type hearing struct {
	Wanted
	at time.Time
}

// stale says that it no longer counts against an older token.
func (h hearing) stale() bool { return time.Since(h.at) > ToldFor }

// Hear remembers what is wanted unless something newer is known.
func (t *Told) Hear(plan string, wanted []Wanted) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName == nil {
		t.byName = map[customerKey]hearing{}
	}
	for k, h := range t.byName {
		if time.Since(h.at) > keptFor {
			delete(t.byName, k)
		}
	}
	for _, w := range wanted {
		k := customerKey{plan, w.Customer}
		if known, ok := t.byName[k]; w.Side != migration.NoHome && (!ok || !w.Older(known.Wanted) || known.stale()) {
			t.byName[k] = hearing{w, time.Now()}
		}
	}
}

// Newest is what was told last of customers that somebody wants something of. Left out is a
// customer without a side, and one of a plan that was forgotten since it was wanted.
func (t *Told) Newest(plan string, wanted map[string]Wanted) map[string]Wanted {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]Wanted{}
	for id, w := range wanted {
		known, ok := t.byName[customerKey{plan, id}]
		if w.Side == migration.NoHome || !ok {
			continue
		}
		if w.Older(known.Wanted) && !known.stale() {
			w = known.Wanted
		}
		out[id] = w
	}
	return out
}

// NewestOf is what was told last of one customer; where Newest leaves it out it is what is wanted.
func (t *Told) NewestOf(plan string, w Wanted) Wanted {
	if n, ok := t.Newest(plan, map[string]Wanted{w.Customer: w})[w.Customer]; ok {
		return n
	}
	return w
}

// Forget drops all that is known of a plan's customers.
func (t *Told) Forget(plan string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.byName {
		if k.plan == plan {
			delete(t.byName, k)
		}
	}
}
