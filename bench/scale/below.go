package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/rpc"
	"time"

	"github.com/drover-migration/drover/internal/heartbeat"
)

// below is what the stand-ins of a worker share: the way to the world, and their manners.
type below struct {
	world *rpc.Client
	turn  chan struct{} // one freeze at a time in a process
}

// fails is how often a call fails: half of them before their effect, half after it.
const fails = 0.01

// took is how long a call took in the lab: half of the calls the first, and one in ten the second.
// In milliseconds.
type took struct{ p50, p90 float64 }

func ms(p50, p90 float64) took { return took{p50, p90} }

// once is a time between the two, or in one case of ten the second.
func (t took) once() time.Duration {
	d := t.p90
	if u := rand.Float64(); u < 0.9 { //nolint:gosec // a time, no secret
		d = t.p50 * (0.5 + u/0.9)
	}
	return time.Duration(d * float64(time.Millisecond))
}

// call does what is below an activity: it takes its time, and now and then it fails.
func (b *below) call(ctx context.Context, t took, do func() error) error {
	luck := rand.Float64() //nolint:gosec // an accident, no secret
	if luck < fails/2 {
		return errors.New("connection reset by peer")
	}
	if err := pause(ctx, t.once()); err != nil {
		return err
	}
	err := do()
	if err == nil && luck < fails {
		err = errors.New("the answer was lost: connection reset by peer")
	}
	return err
}

// beating is a call that heartbeats beside it, as the real one does.
func (b *below) beating(ctx context.Context, t took, do func() error) error {
	_, stop := heartbeat.Saying[int](ctx)
	defer stop()
	return b.call(ctx, t, do)
}

// short is a call that heartbeats only when it is not soon over, as the real one does.
func (b *below) short(ctx context.Context, t took, do func() error) error {
	defer heartbeat.Alive(ctx)()
	return b.call(ctx, t, do)
}

// nothing is a call that has no effect on the world.
func nothing() error { return nil }

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask asks the world.
func (b *below) ask(method string, in, out any) error {
	if err := b.world.Call("World."+method, in, out); err != nil {
		return fmt.Errorf("ask the stand-in's world: %w", err)
	}
	return nil
}
