package alb

import (
	"context"
	"sync"
	"time"
)

// passLimit bounds one pass over a listener; the callers' own time-outs are shorter.
const passLimit = time.Minute

// passes shares work among calls that want the same: a call is served by a pass that started after it arrived, so that what it saw happen
// before it called is in what the pass reads, and all calls that arrive during a pass are served by the next one together.
type passes struct {
	mu    sync.Mutex
	byKey map[string]*lane
}

type lane struct {
	next *pass // not started; nil: nobody waits
}

type pass struct {
	run  func(context.Context) (*view, error)
	done chan struct{}
	view *view
	err  error
}

// do waits for a pass of the key's lane that starts from now on. The pass does not stop when its callers do: others may wait for it.
func (p *passes) do(ctx context.Context, key string, run func(context.Context) (*view, error)) (*view, error) {
	p.mu.Lock()
	l := p.byKey[key]
	idle := l == nil
	if idle {
		l = &lane{}
		p.byKey[key] = l
	}
	if l.next == nil {
		l.next = &pass{run: run, done: make(chan struct{})}
	}
	mine := l.next
	p.mu.Unlock()
	if idle {
		go p.drain(context.WithoutCancel(ctx), key, l)
	}
	select {
	case <-mine.done:
		return mine.view, mine.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// drain runs passes until nobody waits.
func (p *passes) drain(ctx context.Context, key string, l *lane) {
	for {
		p.mu.Lock()
		cur := l.next
		l.next = nil
		if cur == nil {
			delete(p.byKey, key)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		limited, cancel := context.WithTimeout(ctx, passLimit)
		cur.view, cur.err = cur.run(limited)
		cancel()
		close(cur.done)
	}
}
