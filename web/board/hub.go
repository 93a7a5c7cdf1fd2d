package board

import (
	"context"
	"sync"
	"time"

	"github.com/drover-migration/drover/client"
)

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
	plans     list

	listing sync.Mutex // held while the list of plans is read
	joining sync.Mutex // held while a migration is read for the first time
}

// list is the list of plans as it was read last.
type list struct {
	plans []client.PlanSummary
	at    time.Time
}

// NewHub makes a hub that reads from source until ctx ends. Every is how often it reads a migration
// that somebody looks at; 0: DefaultEvery.
func NewHub(ctx context.Context, source Source, every time.Duration) *Hub {
	if every <= 0 {
		every = DefaultEvery
	}
	return &Hub{source: source, every: every, life: ctx, followers: map[string]*Follower{}}
}

// Wait returns when the hub's context has ended and nothing reads any more.
func (h *Hub) Wait() { h.wait.Wait() }

// Plans is the list of plans, not older than a few seconds, and when it was read. An error comes
// with the list as it was read last.
func (h *Hub) Plans(ctx context.Context) ([]client.PlanSummary, time.Time, error) {
	h.listing.Lock()
	defer h.listing.Unlock()
	if time.Since(h.plans.at) < max(2*time.Second, h.every) {
		return h.plans.plans, h.plans.at, nil
	}
	plans, err := h.source.List(ctx)
	if err != nil {
		return h.plans.plans, h.plans.at, err
	}
	h.plans = list{plans: plans, at: time.Now()}
	return plans, h.plans.at, nil
}

// Follow gives the one reader of a migration. A migration that was never read is read first; the
// error is why that failed.
func (h *Hub) Follow(ctx context.Context, plan string) (*Follower, error) {
	if f := h.follower(plan); f != nil {
		return f, nil
	}
	h.joining.Lock() // many who come at once cause one reading
	defer h.joining.Unlock()
	if f := h.follower(plan); f != nil {
		return f, nil
	}
	f := newFollower(h, plan)
	r, _, err := f.read(ctx)
	if err != nil {
		return nil, err
	}
	f.took(r)
	h.mu.Lock()
	h.followers[plan] = f
	h.mu.Unlock()
	h.wait.Go(func() { f.run(h.life) })
	return f, nil
}

func (h *Hub) follower(plan string) *Follower {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.followers[plan]
}
