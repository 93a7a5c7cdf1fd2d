package postgres

import (
	"context"
	"fmt"
	"time"
)

// clockMayBeOff is how far the clock of a database's server may be from the worker's, as that may
// be from Temporal's.
const clockMayBeOff = time.Second

// ClockRemedy is what somebody does about a clock that is off.
const ClockRemedy = "have the database's server and the worker's machine follow a time server (chrony, systemd-timesyncd)"

// Clock compares the clock of a side's server with the worker's and says how they differ; "": they
// agree, as far as the time of the question lets one tell. Nothing is decided by the difference: a
// lease begins and ends by the clock of its own server, and a worker bounds a freeze by the time
// that has passed. What is told of a freeze is worked out from both databases' clocks: when it was,
// and how long.
func (p *Pair) Clock(ctx context.Context, s *Server) (string, error) {
	here := time.Now
	if p.Here != nil {
		here = p.Here
	}
	c, err := s.Pool.Acquire(ctx) // the wait for a connection says nothing of the clock
	if err != nil {
		return "", fmt.Errorf("read the clock of the server %s: %w", s.Where(), err)
	}
	defer c.Release()
	var there time.Time
	before := here()
	if err := c.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&there); err != nil {
		return "", fmt.Errorf("read the clock of the server %s: %w", s.Where(), err)
	}
	return differ(before, there, here()), nil
}

// differ is Clock's answer for a server that told its time between two looks at the worker's clock.
func differ(before, there, after time.Time) string {
	var off time.Duration
	word := "ahead of"
	switch {
	case there.After(after.Add(clockMayBeOff)):
		off = there.Sub(after)
	case there.Before(before.Add(-clockMayBeOff)):
		off, word = before.Sub(there), "behind"
	default:
		return ""
	}
	return fmt.Sprintf("its server's clock is %s %s that of the worker which asked: the times and lengths of freezes are told wrongly; "+
		"leases are right, each by its own server's clock", off.Round(time.Second), word)
}

// clocks says of each server whose clock differs from the worker's how, and what to do.
func (p *Pair) clocks(ctx context.Context) (off []string, err error) {
	for _, s := range p.Both() {
		words, err := p.Clock(ctx, s)
		if err != nil {
			return off, err
		}
		if words != "" {
			off = append(off, fmt.Sprintf("database %s %s: %s (%s)", p.Name, s.Where(), words, ClockRemedy))
		}
	}
	return off, nil
}
