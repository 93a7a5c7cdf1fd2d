package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/migration"
)

// chainCustomers are those of a chain's lab.
const chainCustomers = 2

// A chain is a plan from submit to abort in a lab of its own, in which one fault strikes at every
// activity of everything but Moves: once at each, the next when the one before is over. Its cells
// share one end: the plan comes through, nothing is made twice, and nothing is left.
type chain struct {
	fault fault
	due   map[string]point // cells by name

	mu     sync.Mutex
	busy   bool
	struck map[string]error // cells that were struck, and what went wrong there
	mends  sync.WaitGroup
}

func chainCell(f fault, x point) string {
	return fmt.Sprintf("plan/%s/%s/%s", x.Kind, x.Name, f.name)
}

// chainFaults are the faults of workers that mean something to a plan: nothing of it runs against a
// lease.
func chainFaults() []fault {
	return slices.DeleteFunc(slices.Clone(workerFaults), func(f fault) bool { return f.name == "answer late" })
}

// chains are the faults of workers at the activities of a plan.
func (m *matrix) chains() (out []*chain) {
	for _, f := range chainFaults() {
		c := &chain{fault: f, due: map[string]point{}, struck: map[string]error{}}
		for _, x := range m.points.Plans {
			name := chainCell(f, x)
			if m.isDue(name) {
				c.due[name] = x
			}
		}
		if len(c.due) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// runChain plays a chain once and writes its cells' results down. Cells that were not struck, since
// the plan did not come there while no other strike was under way, are left for the next.
func (m *matrix) runChain(ctx context.Context, c *chain) error {
	began := time.Now()
	r, err := startRig(ctx, m.tools, filepath.Join(m.out, "faults-lab"), m.binaries, shape(chainCustomers))
	if err != nil {
		return err
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	customers := r.Shape.Customers()
	p := &play{rig: r, ctx: ctx, customer: customers[0], bystander: customers[1], cell: cell{shares: settleLimit}}
	p.watching = p.watch(ctx)
	var common result
	if err := p.loads(); err != nil {
		return err
	}
	c.arm(p)
	if err := r.aloft(ctx, 6*time.Minute); err != nil {
		common.Broken = append(common.Broken, err.Error())
	}
	c.mu.Lock()
	c.busy = true // no further strike
	c.mu.Unlock()
	c.mends.Wait()
	if made, err := r.Made(ctx); err != nil || !maps.Equal(made, m.points.Made) {
		common.Invariants++
		common.Broken = append(common.Broken, fmt.Sprintf("AWS has %v, without faults it has %v (%v)", made, m.points.Made, err))
	}
	p.judge(&common)
	if err := r.away(ctx); err != nil {
		common.Invariants++
		common.Broken = append(common.Broken, err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.say("a chain of %q: %d points struck in %.0f s", c.fault.name, len(c.struck), time.Since(began).Seconds())
	for _, b := range common.Broken {
		m.say("        %s", b)
	}
	if len(common.Broken) > 0 {
		_ = r.Keep(context.WithoutCancel(ctx), filepath.Join(m.out, "faults-kept", "chain "+c.fault.name))
	}
	var errs []error
	first := true
	for name, failed := range c.struck {
		res := common
		if !first { // what the chain has lost or written counts once
			res = result{Broken: common.Broken}
		}
		first = false
		if failed != nil {
			res.Broken = append(res.Broken, failed.Error())
		}
		res.Cell, res.At, res.Passed = name, began, len(res.Broken) == 0
		res.Seconds = time.Since(began).Seconds() / float64(len(c.struck))
		errs = append(errs, m.add(res))
	}
	return errors.Join(errs...)
}

func (p *play) loads() (err error) {
	if p.customerLoad, err = p.StartLoadOf(p.ctx, p.customer, loadRate, p.ledgerOf(p.customer)); err != nil {
		return err
	}
	p.bystandersLoad, err = p.StartLoadOf(p.ctx, p.bystander, loadRate, p.ledgerOf(p.bystander))
	return err
}

// arm has the fault strike at each point that comes while no other strike is under way.
func (c *chain) arm(p *play) {
	when := gate.Completion
	if c.fault.before {
		when = gate.Delivery
	}
	for _, h := range p.workers {
		h.gate.Set(func(_ context.Context, e gate.Event) bool {
			kind, _ := kindOf(e.WorkflowID)
			name := chainCell(c.fault, point{Kind: kind, Name: e.Activity})
			c.mu.Lock()
			at, due := c.due[name]
			_, done := c.struck[name]
			if !due || done || c.busy || e.When != when {
				c.mu.Unlock()
				return true
			}
			c.busy, c.struck[name] = true, nil
			c.mu.Unlock()
			passes := c.fault.strike(p, h, at)
			c.mends.Go(func() {
				err := c.fault.mend(p, h, at)
				c.mu.Lock()
				defer c.mu.Unlock()
				c.busy, c.struck[name] = false, err
			})
			return passes
		})
	}
}

// away takes every customer home, aborts the plan, and wants nothing left of it.
func (r *rig) away(ctx context.Context) error {
	plan, by := r.Shape.Name, migration.Command{By: "operator", Reason: "the end of the lab"}
	if _, err := r.client.Rollback(ctx, client.Aim{Plan: plan}, by); err != nil {
		return fmt.Errorf("take all customers home: %w", err)
	}
	for _, c := range r.Shape.Customers() {
		home := func(s migration.CustomerStatus) bool { return s.Home == migration.OnPrem && resting(s) }
		if s, ok := r.await(ctx, c.ID, settleLimit, home); !ok {
			return fmt.Errorf("customer %s does not come home: %s on %s: %s", c.ID, s.Phase, s.Home, s.Reason)
		}
	}
	var last error
	if !eventually(ctx, settleLimit, func() bool { _, last = r.client.Abort(ctx, plan, by); return last == nil }) {
		return fmt.Errorf("abort the plan: %w", last)
	}
	var left []string
	gone := func() bool {
		s, err := r.client.Migration(ctx, plan)
		if err != nil || s.Phase != migration.MigrationAborted {
			left = []string{"the migration is " + string(s.Phase) + ": " + s.Reason}
			return false
		}
		left, last = r.Remains(ctx)
		return last == nil && len(left) == 0
	}
	if !eventually(ctx, settleLimit, gone) {
		return fmt.Errorf("after the abort there is left: %v (%w)", left, last)
	}
	return nil
}
