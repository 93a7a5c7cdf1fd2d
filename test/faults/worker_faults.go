package main

import (
	"fmt"
	"syscall"
	"time"

	"github.com/drover-migration/drover/lab/gate"
	pggate "github.com/drover-migration/drover/lab/pg/gate"
	"github.com/drover-migration/drover/migration"
)

// fault is what happens to a worker, or to what it says, at a point.
type fault struct {
	name   string
	before bool // it strikes before the effect; else after it
	alone  bool
	// strike runs while the point is held and says whether it passes.
	strike func(*play, *hand, point) bool
	// mend runs when the point has been struck.
	mend func(*play, *hand, point) error
}

const (
	// stopMost is how long a worker is stopped at most. Where the server waits for longer, a worker
	// that is stopped is a slow one.
	stopMost = 15 * time.Second
	// past is how much later than a time-out something comes that comes after it.
	past = time.Second
)

// workerFaults are those of the first line of the matrix.
var workerFaults = []fault{
	{name: "killed before", before: true, alone: true, strike: killWorker, mend: restart},
	{name: "killed after", alone: true, strike: killWorker, mend: restart},
	{name: "stopped", before: true, alone: true,
		strike: func(_ *play, h *hand, _ point) bool { h.signal(syscall.SIGSTOP); return true },
		mend: func(p *play, h *hand, at point) error {
			p.pause(min(at.Patience+past, stopMost))
			h.signal(syscall.SIGCONT)
			return nil
		}},
	{name: "all killed", alone: true,
		strike: func(p *play, _ *hand, _ point) bool { p.killAll(); return false },
		mend: func(p *play, _ *hand, _ point) error {
			p.pause(lease + past)
			return p.startAll()
		}},
	{name: "answer late", strike: func(p *play, _ *hand, _ point) bool { p.pause(lease + past); return true }},
}

// statementFaults are those of a statement inside a freeze.
var statementFaults = []fault{
	{name: "connection lost before", before: true, strike: func(*play, *hand, point) bool { return false }},
	{name: "connection lost after", strike: func(*play, *hand, point) bool { return false }},
	{name: "killed before", before: true, alone: true, strike: killWorker, mend: restart},
	{name: "killed after", alone: true, strike: killWorker, mend: restart},
	{name: "past the lease", before: true, strike: func(p *play, _ *hand, _ point) bool { p.pause(lease + past/2); return true }},
	{name: "late", before: true, strike: func(p *play, _ *hand, _ point) bool { p.pause(2 * lease); return true }},
	{name: "answer late", strike: func(p *play, _ *hand, _ point) bool { p.pause(lease + past); return true }},
}

func killWorker(_ *play, h *hand, _ point) bool {
	if h != nil {
		h.kill()
	}
	return false
}

func restart(p *play, h *hand, _ point) error { return p.startAll() }

// pause waits for a time that is part of the fault, and no longer than the cell lasts.
func (p *play) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.ctx.Done():
	}
}

// cross makes a cell of every point and every fault.
func cross(at []point, faults []fault) (out []cell) {
	for _, x := range at {
		for _, f := range faults {
			c := cell{alone: f.alone, play: func(p *play) error { return p.strike(x, f) }}
			c.name, c.from = fmt.Sprintf("%s/%s/%s/%s", x.Kind, x.To, x.Name, f.name), x.To.Other()
			if x.Statement != nil && x.Statement.Nth > 1 {
				c.skip = "it is asked again only where its first answer came too early, which a fast machine does not show every time"
			}
			if x.To == "" { // while it soaks; a batch looks at all of its customers at once
				c.alone = c.alone || x.Kind == "batch"
				c.name, c.from = fmt.Sprintf("soak/%s/%s/%s", x.Kind, x.Name, f.name), migration.AWS
			}
			out = append(out, c)
		}
	}
	return out
}

// strike sends the customer, has the fault strike at the point, mends, and waits until it is over.
func (p *play) strike(at point, f fault) error {
	var struck *hand
	t := &trap{do: func(h *hand) bool {
		struck = h
		return f.strike(p, h, at)
	}}
	if at.Statement != nil {
		when := pggate.After
		if f.before {
			when = pggate.Before
		}
		t.sql = func(s statement, w pggate.When) bool { return w == when && s.Tenant == p.customer.Tenant && at.same(s) }
	} else {
		when := gate.Completion
		if f.before {
			when = gate.Delivery
		}
		t.activity = func(e gate.Event) bool {
			kind, customer := kindOf(e.WorkflowID)
			mine := customer == p.customer.ID || customer == ""
			return e.When == when && kind == at.Kind && mine && e.Activity == at.Activity
		}
	}
	to, reach := p.from.Other(), p.sent
	if at.To == "" { // nobody is sent: it comes by itself
		to, reach = p.from, func(t *trap) error { defer p.unset(t); return p.met(t, soakLook+settleLimit/3) }
	}
	if err := reach(p.set(t)); err != nil {
		return err
	}
	if f.mend != nil {
		if err := f.mend(p, struck, at); err != nil {
			return err
		}
	}
	return p.settle(to)
}
