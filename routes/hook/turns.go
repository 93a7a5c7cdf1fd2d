package hook

import (
	"context"
	"sync"
)

// turns bound how many requests are under way to each router. One that hangs keeps nobody from
// another. It knows a router only while somebody asks it, or waits to. It is safe for concurrent
// use, and its zero value is ready.
type turns struct {
	mu sync.Mutex
	of map[string]*queue // by URL
}

// queue is of those who ask one router.
type queue struct {
	places chan struct{}
	users  int // who ask it, and who wait to
}

// take waits for a turn at a router, which lasts until over is called.
func (t *turns) take(ctx context.Context, url string) (over func(), err error) {
	t.mu.Lock()
	q := t.of[url]
	if q == nil {
		if t.of == nil {
			t.of = map[string]*queue{}
		}
		q = &queue{places: make(chan struct{}, askAtOnce)}
		t.of[url] = q
	}
	q.users++
	t.mu.Unlock()
	select {
	case q.places <- struct{}{}:
		return func() { <-q.places; t.leave(url, q) }, nil
	case <-ctx.Done():
		t.leave(url, q)
		return nil, ctx.Err()
	}
}

func (t *turns) leave(url string, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(t.of, url)
	}
}
