package routes

import (
	"context"
	"maps"
	"sync"
	"time"
)

// PassLimit bounds one pass over a route, for callers without a time-out of their own.
const PassLimit = time.Minute

// Passes shares work among calls for the same route. A call is served by a pass that started after
// the call arrived, so that the pass reads what the caller saw happen before it called. All calls
// that arrive during a pass are served by the next one together. V is what a pass answers.
type Passes[V any] struct {
	mu    sync.Mutex
	byKey map[string]*lane[V]
}

type lane[V any] struct {
	next    *pass[V]      // not started; nil: nobody waits
	serving bool          // passes are run until nobody waits
	one     chan struct{} // holds a value while a pass runs, or what runs alone
}

type pass[V any] struct {
	run    PassFunc[V]
	wanted map[string]Wanted // by customer, of all its callers
	ctx    context.Context
	giveUp context.CancelFunc
	done   chan struct{}
	answer V
	err    error

	waiting int // callers; under Passes.mu
}

// PassFunc carries out what the callers of a pass want, by customer.
type PassFunc[V any] func(ctx context.Context, wanted map[string]Wanted) (V, error)

// Do waits for a pass of the key's lane that starts from now on. A pass goes on while one of its
// callers waits for it. One that nobody waits for any more is given up: it may hang in a call that
// will never be answered, and the next pass starts afresh.
func (p *Passes[V]) Do(ctx context.Context, key string, wanted []Wanted, run PassFunc[V]) (V, error) {
	mine := p.join(ctx, key, wanted, run)
	select {
	case <-mine.done:
		return mine.answer, mine.err
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 {
			mine.giveUp()
		}
		var none V
		return none, ctx.Err()
	}
}

// join adds a caller to the next pass of a lane.
func (p *Passes[V]) join(ctx context.Context, key string, wanted []Wanted, run PassFunc[V]) *pass[V] {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lane(key)
	if !l.serving {
		l.serving = true
		defer func() { go p.drain(l) }()
	}
	if l.next == nil || l.next.ctx.Err() != nil {
		l.next = &pass[V]{run: run, wanted: map[string]Wanted{}, done: make(chan struct{})}
		l.next.ctx, l.next.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	}
	mine := l.next
	mine.waiting++
	Latest(mine.wanted, wanted)
	return mine
}

// lane is a key's, made at its first use and kept: keys are a plan's routes. p.mu is held.
func (p *Passes[V]) lane(key string) *lane[V] {
	l := p.byKey[key]
	if l == nil {
		l = &lane[V]{one: make(chan struct{}, 1)}
		if p.byKey == nil {
			p.byKey = map[string]*lane[V]{}
		}
		p.byKey[key] = l
	}
	return l
}

// Alone runs while no pass of the key's lane does.
func (p *Passes[V]) Alone(ctx context.Context, key string, run func() error) error {
	p.mu.Lock()
	l := p.lane(key)
	p.mu.Unlock()
	select {
	case l.one <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.one }()
	return run()
}

// drain runs passes until nobody waits.
func (p *Passes[V]) drain(l *lane[V]) {
	for {
		l.one <- struct{}{}
		p.mu.Lock()
		cur := l.next
		l.next = nil
		l.serving = cur != nil
		if cur == nil {
			p.mu.Unlock()
			<-l.one
			return
		}
		wanted := maps.Clone(cur.wanted)
		p.mu.Unlock()
		ctx, cancel := context.WithTimeout(cur.ctx, PassLimit)
		if cur.err = ctx.Err(); cur.err == nil {
			cur.answer, cur.err = cur.run(ctx, wanted)
		}
		cancel()
		cur.giveUp()
		close(cur.done)
		<-l.one
	}
}
