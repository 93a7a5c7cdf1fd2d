package health

import (
	"context"
	"sync"
	"time"
)

// fresh asks once for all who want to know the same thing at about the same time.
type fresh[T any] struct {
	mu   sync.Mutex
	last map[string]*asked[T]
}

type asked[T any] struct {
	began  time.Time
	done   chan struct{}
	answer T
}

// ask has an answer to what key names that was asked for at most so long ago. It says false where
// ctx ended first. The question goes on then: others wait for it.
func (f *fresh[T]) ask(ctx context.Context, key string, old time.Duration, do func(context.Context) T) (answer T, ok bool) {
	f.mu.Lock()
	if f.last == nil {
		f.last = map[string]*asked[T]{}
	}
	q := f.last[key]
	if q == nil || time.Since(q.began) > old {
		q = &asked[T]{began: time.Now(), done: make(chan struct{})}
		f.last[key] = q
		go func() {
			defer close(q.done)
			q.answer = do(context.WithoutCancel(ctx))
		}()
	}
	f.mu.Unlock()
	select {
	case <-q.done:
		return q.answer, true
	case <-ctx.Done():
		return answer, false
	}
}
