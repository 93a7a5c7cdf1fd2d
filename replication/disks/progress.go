package disks

import (
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

// measuring is how long a copy runs before it names a rate: the first seconds say nothing.
const measuring = 3 * time.Second

// meter makes a Progress of an offset.
type meter struct {
	total int64
	tell  func(migration.Progress)
	began time.Time

	mu   sync.Mutex
	done int64
	said time.Time
}

func newMeter(total int64, tell func(migration.Progress)) *meter {
	return &meter{total: total, tell: tell, began: time.Now()}
}

// at says how far the stream has come, in bytes. It is told on at most five times a second, and at
// the end.
func (m *meter) at(done int64) {
	if m.tell == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.done = max(m.done, done)
	if m.done < m.total && now.Sub(m.said) < 200*time.Millisecond {
		return
	}
	m.said = now
	p := migration.Progress{Done: m.done, Total: m.total, Measuring: now.Sub(m.began) < measuring && m.done < m.total}
	if !p.Measuring {
		p.Rate = float64(m.done) / max(now.Sub(m.began).Seconds(), 1e-3)
		if p.Rate > 0 {
			p.ETA = migration.Duration(time.Duration(float64(m.total-m.done) / p.Rate * float64(time.Second)).Round(time.Second))
		}
	}
	m.tell(p)
}
