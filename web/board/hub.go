package board

import (
	"context"
	"sync"
	"time"

	"github.com/drover-migration/drover/client"
)

// firstLimit is for the first reading of a migration, which asks for every batch.
const firstLimit = time.Minute

// DefaultEvery is how often a migration that somebody looks at is read.
const DefaultEvery = time.Second

// Hub reads each migration once for all who look at it. A migration that nobody looks at is not
// read.
type Hub struct {
	source Source
	every  time.Duration
	life   context.Context
	wait   sync.WaitGroup

	mu        sync.Mutex
	followers map[string]*Follower
	joining   map[string]*joined // migrations that are read for the first time
	plans     list
	listing   *listed // the list while it is read; nil: it is not
}

// list is the list of plans as it was read last.
type list struct {
	plans []client.PlanSummary
	at    time.Time
}

// listed and joined are a question that is under way, for all who ask the same meanwhile. What
// becomes of it is there when done is closed.
type (
	listed struct {
		done chan struct{}
		list list
		err  error
	}
	joined struct {
		done     chan struct{}
		follower *Follower
		err      error
	}
)

// NewHub makes a hub that reads from source until ctx ends. Every is how often it reads a migration
// that somebody looks at; 0: DefaultEvery.
func NewHub(ctx context.Context, source Source, every time.Duration) *Hub {
	if every <= 0 {
		every = DefaultEvery
	}
	return &Hub{source: source, every: every, life: ctx, followers: map[string]*Follower{},
		joining: map[string]*joined{}}
}

// Wait returns when the hub's context has ended and nothing reads any more.
func (h *Hub) Wait() { h.wait.Wait() }

// Plans is the list of plans, not older than a few seconds, and when it was read. An error comes
// with the list as it was read last.
func (h *Hub) Plans(ctx context.Context) ([]client.PlanSummary, time.Time, error) {
	h.mu.Lock()
	if time.Since(h.plans.at) < max(2*time.Second, h.every) {
		defer h.mu.Unlock()
		return h.plans.plans, h.plans.at, nil
	}
	asked := h.listing
	if asked == nil {
		asked = &listed{done: make(chan struct{})}
		h.listing = asked
		h.wait.Go(func() { h.readList(asked) })
	}
	h.mu.Unlock()
	select {
	case <-asked.done:
		return asked.list.plans, asked.list.at, asked.err
	case <-ctx.Done():
		return nil, time.Time{}, ctx.Err()
	}
}

func (h *Hub) readList(asked *listed) {
	plans, err := h.source.List(h.life)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.plans = list{plans: plans, at: time.Now()}
	}
	asked.list, asked.err, h.listing = h.plans, err, nil
	close(asked.done)
}

// Follow gives the one reader of a migration. A migration that was never read is read first, once
// for all who ask meanwhile, and beside every other: one that does not answer keeps nobody else
// waiting. The error is why that failed.
func (h *Hub) Follow(ctx context.Context, plan string) (*Follower, error) {
	h.mu.Lock()
	if f := h.followers[plan]; f != nil {
		defer h.mu.Unlock()
		return f, nil
	}
	asked := h.joining[plan]
	if asked == nil {
		asked = &joined{done: make(chan struct{})}
		h.joining[plan] = asked
		h.wait.Go(func() { h.join(plan, asked) })
	}
	h.mu.Unlock()
	select {
	case <-asked.done:
		return asked.follower, asked.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join reads a migration for the first time, and goes on reading it.
func (h *Hub) join(plan string, asked *joined) {
	f := newFollower(h, plan)
	first, cancel := context.WithTimeout(h.life, firstLimit)
	r, _, err := f.read(first)
	cancel()
	if err == nil {
		f.took(r)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if asked.err = err; err == nil {
		asked.follower, h.followers[plan] = f, f
		h.wait.Go(func() { f.run(h.life) })
	}
	delete(h.joining, plan)
	close(asked.done)
}
