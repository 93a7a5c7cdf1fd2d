package alb

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/drover-migration/drover/routes"
)

// passLimit bounds one pass over a listener, for callers without a time-out of their own.
const passLimit = time.Minute

// passes shares work among calls for the same listener. A call is served by a pass that started
// after the call arrived, so that the pass reads what the caller saw happen before it called. All
// calls that arrive during a pass are served by the next one together.
type passes struct {
	mu    sync.Mutex
	byKey map[string]*lane
}

type lane struct {
	next *pass // not started; nil: nobody waits
}

type pass struct {
	run    passFunc
	wanted map[string]routes.Wanted // by customer, of all its callers
	ctx    context.Context
	giveUp context.CancelFunc
	done   chan struct{}
	view   *view
	err    error

	waiting int // callers; under passes.mu
}

// passFunc carries out what the callers of a pass want.
type passFunc func(ctx context.Context, wanted map[string]routes.Wanted) (*view, error)

// do waits for a pass of the key's lane that starts from now on. A pass goes on while one of its
// callers waits for it. One that nobody waits for any more is given up: it may hang in a call that
// will never be answered, and the next pass starts afresh.
func (p *passes) do(ctx context.Context, key string, wanted []routes.Wanted, run passFunc) (*view, error) {
	mine := p.join(ctx, key, wanted, run)
	select {
	case <-mine.done:
		return mine.view, mine.err
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 {
			mine.giveUp()
		}
		return nil, ctx.Err()
	}
}

// join adds a caller to the next pass of a lane.
func (p *passes) join(ctx context.Context, key string, wanted []routes.Wanted, run passFunc) *pass {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.byKey[key]
	if l == nil {
		l = &lane{}
		p.byKey[key] = l
		defer func() { go p.drain(key, l) }()
	}
	if l.next == nil || l.next.ctx.Err() != nil {
		l.next = &pass{run: run, wanted: map[string]routes.Wanted{}, done: make(chan struct{})}
		l.next.ctx, l.next.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	}
	mine := l.next
	mine.waiting++
	for _, w := range wanted {
		if known, ok := mine.wanted[w.Customer]; !ok || known.Token <= w.Token {
			mine.wanted[w.Customer] = w
		}
	}
	return mine
}

// drain runs passes until nobody waits.
func (p *passes) drain(key string, l *lane) {
	for {
		p.mu.Lock()
		cur := l.next
		l.next = nil
		if cur == nil {
			delete(p.byKey, key)
			p.mu.Unlock()
			return
		}
		wanted := maps.Clone(cur.wanted)
		p.mu.Unlock()
		ctx, cancel := context.WithTimeout(cur.ctx, passLimit)
		if cur.err = ctx.Err(); cur.err == nil {
			cur.view, cur.err = cur.run(ctx, wanted)
		}
		cancel()
		cur.giveUp()
		close(cur.done)
	}
}
