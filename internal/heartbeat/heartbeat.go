// Package heartbeat lets an activity say that it lives beside work that does not return for a
// while.
package heartbeat

import (
	"context"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// Every is the time between two heartbeats. It is well below the time after which a worker that
// does not heartbeat counts as lost: a second, while a customer may be closed.
const Every = time.Second / 4

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

// Alive heartbeats beside an activity that is usually over before the first heartbeat, which comes
// after Every: it would be a call of its own. Outside of an activity it does nothing.
func Alive(ctx context.Context) (stop func()) {
	if !activity.IsActivity(ctx) {
		return func() {}
	}
	return beside(ctx, Every, false, func() { activity.RecordHeartbeat(ctx) })
}

// Saying heartbeats at once and then at every interval, until stop is called or ctx ends. Each
// heartbeat carries what was last given to say, and what is given to say is sent at once. Outside
// of an activity both do nothing.
func Saying[T any](ctx context.Context) (say func(T), stop func()) {
	if !activity.IsActivity(ctx) {
		return func(T) {}, func() {}
	}
	return saying[T](ctx, func(details ...any) { activity.RecordHeartbeat(ctx, details...) })
}

func saying[T any](ctx context.Context, record func(details ...any)) (say func(T), stop func()) {
	var last atomic.Pointer[T]
	stop = Beside(ctx, Every, func() {
		if v := last.Load(); v != nil {
			record(*v)
		} else {
			record()
		}
	})
	return func(v T) { last.Store(&v); record(v) }, stop
}
