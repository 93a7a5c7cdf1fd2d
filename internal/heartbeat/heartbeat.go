// Package heartbeat lets an activity say that it lives beside work that does not return for a while.
package heartbeat

import (
	"context"
	"time"
)

// Beside calls send at once and then at every interval, until stop is called or ctx ends. After stop it is not called any more. Whoever
// has to finish something after a cancel, and to be taken for alive meanwhile, gives a context.WithoutCancel.
func Beside(ctx context.Context, every time.Duration, send func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for ctx.Err() == nil {
			send()
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return func() { cancel(); <-done }
}
