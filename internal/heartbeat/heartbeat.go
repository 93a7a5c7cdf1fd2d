// Package heartbeat lets an activity say that it lives beside work that does not return for a
// while.
package heartbeat

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
)

// Every is the time between two heartbeats. It is well below the time after which a worker that
// does not heartbeat counts as lost: a second, while a customer may be closed.
const Every = time.Second / 4

// slowest is the longest time between two heartbeats: by them an activity hears of its cancel. Each
// is a write of Temporal's server, and thousands of customers may be watched at a time.
const slowest = time.Second

// often is the time between two heartbeats of an activity: a quarter of the time after which its
// worker counts as lost, within Every and slowest.
func often(ctx context.Context) time.Duration {
	if quarter := activity.GetInfo(ctx).HeartbeatTimeout / 4; quarter > 0 {
		return min(max(quarter, Every), slowest)
	}
	return slowest
}

// Beside calls send at once and then at every interval, until stop is called or ctx ends. After
// stop it is not called any more. An activity that must be taken for alive while it finishes
// something after a cancel gives a context.WithoutCancel.
func Beside(ctx context.Context, every time.Duration, send func()) (stop func()) {
	return beside(ctx, every, true, send)
}

func beside(ctx context.Context, every time.Duration, atOnce bool, send func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for ctx.Err() == nil {
			if atOnce {
				send()
			}
			atOnce = true
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() { cancel(); <-done }
}

// Alive heartbeats beside an activity that is usually over before the first heartbeat, which would
// be a call of its own. Outside of an activity it does nothing.
func Alive(ctx context.Context) (stop func()) {
	if !activity.IsActivity(ctx) {
		return func() {}
	}
	return beside(ctx, often(ctx), false, func() { activity.RecordHeartbeat(ctx) })
}

// Saying heartbeats at every interval, until stop is called or ctx ends. Each heartbeat carries
// what was last given to say. What is given to say is sent at once where the last heartbeat, or the
// beginning, is an interval ago. Outside of an activity both do nothing.
func Saying[T any](ctx context.Context) (say func(T), stop func()) {
	if !activity.IsActivity(ctx) {
		return func(T) {}, func() {}
	}
	return saying[T](ctx, often(ctx), func(details ...any) { activity.RecordHeartbeat(ctx, details...) })
}

func saying[T any](ctx context.Context, every time.Duration, record func(details ...any)) (say func(T), stop func()) {
	var mu sync.Mutex
	var said []any // none, or what was given last
	sent := time.Now()
	send := func() {
		mu.Lock()
		defer mu.Unlock()
		sent = time.Now()
		record(said...)
	}
	stop = beside(ctx, every, false, send)
	return func(v T) {
		mu.Lock()
		said = []any{v}
		due := time.Since(sent) >= every
		mu.Unlock()
		if due {
			send()
		}
	}, stop
}
