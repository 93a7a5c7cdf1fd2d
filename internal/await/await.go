// Package await asks again and again until something is so.
package await

import (
	"context"
	"fmt"
	"time"
)

// askEvery is the time between two questions.
const askEvery = time.Second

// Until asks once a second until ask answers done or an error, and tells say each time what it
// waits for. When ctx ends first, it answers an error that names what was awaited and what was
// still missing.
func Until(ctx context.Context, what string, say func(string), ask func() (done bool, waitingFor string, err error)) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	last := ""
	for {
		done, waitingFor, err := ask()
		switch {
		case done:
			return nil
		case err != nil && ctx.Err() != nil && last != "": // the question was cut off
			return fmt.Errorf("%s: still waiting: %s: %w", what, last, ctx.Err())
		case err != nil:
			return err
		}
		last = waitingFor
		say(waitingFor)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: still waiting: %s: %w", what, last, ctx.Err())
		}
	}
}
