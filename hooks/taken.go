package hooks

import (
	"slices"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

// taken keeps how long the last calls inside freezes have taken, by plan and event.
type taken struct {
	mu   sync.Mutex
	last map[string][]time.Duration // oldest first
}

const keepLast = 20

func (t *taken) add(plan string, e migration.HookEvent, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		t.last = map[string][]time.Duration{}
	}
	key := plan + "/" + string(e)
	all := append(t.last[key], took)
	t.last[key] = all[max(0, len(all)-keepLast):]
}

// median of the last calls; 0: none has been answered.
func (t *taken) median(plan string, e migration.HookEvent) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := slices.Clone(t.last[plan+"/"+string(e)])
	if len(s) == 0 {
		return 0
	}
	slices.Sort(s)
	return s[len(s)/2]
}
