package alb

import (
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// toldFor is how long a router remembers what it was told. An attempt that Temporal has given up
// lives for some seconds at most. A plan that is aborted and submitted again counts its tokens
// anew, and takes longer than this to its first Move.
const toldFor = 30 * time.Second

// told is what this process was told last of each customer, so that what comes late with an older
// token changes nothing.
type told struct {
	mu     sync.Mutex
	byName map[customerKey]hearing
}

type customerKey struct{ plan, customer string }

type hearing struct {
	routes.Wanted
	at time.Time
}

// hear remembers what is wanted unless something newer is known. Of equal tokens the one told last
// counts: within one try a home changes once, from the origin to the destination.
func (t *told) hear(plan string, wanted []routes.Wanted) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, h := range t.byName {
		if time.Since(h.at) > toldFor {
			delete(t.byName, k)
		}
	}
	for _, w := range wanted {
		k := customerKey{plan, w.Customer}
		if known, ok := t.byName[k]; w.Side != migration.NoHome && (!ok || known.Token <= w.Token) {
			t.byName[k] = hearing{w, time.Now()}
		}
	}
}

// sides are the newest known sides of customers that somebody wants something of. A customer
// without a side is left out.
func (t *told) sides(plan string, wanted map[string]routes.Wanted) map[string]migration.Side {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]migration.Side{}
	for id, w := range wanted {
		if w.Side == migration.NoHome {
			continue
		}
		if known, ok := t.byName[customerKey{plan, id}]; ok && known.Token > w.Token {
			w = known.Wanted
		}
		out[id] = w.Side
	}
	return out
}

// knows says whether anything is known of one of the wanted: nothing is once the plan is forgotten.
func (t *told) knows(plan string, wanted []routes.Wanted) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range wanted {
		if _, ok := t.byName[customerKey{plan, w.Customer}]; ok {
			return true
		}
	}
	return false
}

// forget drops all that is known of a plan's customers.
func (t *told) forget(plan string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.byName {
		if k.plan == plan {
			delete(t.byName, k)
		}
	}
}
