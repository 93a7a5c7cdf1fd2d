package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/migration"
)

// cell is one case of the matrix: a point and a fault.
type cell struct {
	name  string
	from  migration.Side // where its customer is when it begins
	alone bool           // others would feel it: it runs while no other cell does
	skip  string         // why it is left out; empty: it is not
	// shares is for how long what everybody shares is away in it. Customers outside may stall for
	// that and three seconds.
	shares time.Duration
	loses  bool // the fault itself loses commits that a server has acknowledged
	// aside says that the cell speaks to the databases past Drover: status is not held against
	// fences that no Move has set.
	aside bool
	// play has the fault strike. It ends when the customer rests, or with an error.
	play func(*play) error
}

// play is a cell under way.
type play struct {
	*rig
	cell
	ctx            context.Context
	customer       lab.Customer
	bystander      lab.Customer
	resolved       string // how the customer came to rest, where it did not by itself
	note           string
	mayRetry       int
	customerLoad   *load.Load
	bystandersLoad *load.Load
	watching       *watcher
	forgotFrom     time.Time // a server has forgotten what it was told between the two; zero: nothing
	forgotTo       time.Time
	forgotHome     map[string]bool // customers who were at home on that server then
}

// loadRate is requests a second of each of a cell's two customers.
const loadRate = 12

// run plays a cell with two customers of its own and judges what it has left.
func (r *rig) run(ctx context.Context, c cell, customer, bystander lab.Customer) result {
	began := time.Now()
	res := result{Cell: c.name, At: began}
	ctx, cancel := context.WithTimeout(ctx, 6*time.Minute)
	defer cancel()
	p := &play{rig: r, cell: c, ctx: ctx, customer: customer, bystander: bystander}
	if err := p.begin(); err != nil {
		res.Broken = append(res.Broken, "the cell did not begin: "+err.Error())
	} else {
		if err := c.play(p); err != nil {
			res.Broken = append(res.Broken, err.Error())
			res.Invariants++
		}
		p.judge(&res)
	}
	res.Resolved, res.Note = p.resolved, p.note
	res.Seconds = time.Since(began).Seconds()
	res.Passed = len(res.Broken) == 0
	return res
}

// begin brings the customer where the cell begins, and starts traffic and watchers.
func (p *play) begin() error {
	s, ok := p.await(p.ctx, p.customer.ID, settleLimit, func(s migration.CustomerStatus) bool { return s.Home.Valid() && resting(s) })
	if !ok {
		return fmt.Errorf("customer %s does not rest: %s on %s: %s", p.customer.ID, s.Phase, s.Home, s.Reason)
	}
	if p.from != "" && !arrived(p.from)(s) {
		if err := p.bring(p.from, s); err != nil {
			return err
		}
	}
	p.watching = p.watch(p.ctx, p.customer, p.bystander)
	if err := p.loads(); err != nil {
		return err
	}
	// A quick cell would be over before anybody has written, and would show nothing.
	flows := func() bool {
		return p.customerLoad.Summary().AckedWrites > 0 && p.bystandersLoad.Summary().AckedWrites > 0 && p.watching.looked()
	}
	if !eventually(p.ctx, settleLimit, flows) {
		return fmt.Errorf("no traffic of %s and %s, or no look at their status", p.customer.ID, p.bystander.ID)
	}
	return nil
}

func (r *rig) ledgerOf(c lab.Customer) string { return filepath.Join(r.dir, "ledger-"+c.ID+".jsonl") }

func resting(s migration.CustomerStatus) bool {
	switch s.Phase {
	case migration.CustomerSoaking, migration.CustomerRolledBack, migration.CustomerHeld:
		return true
	}
	return false
}

// bring brings a resting customer to a side, without any fault.
func (p *play) bring(to migration.Side, s migration.CustomerStatus) error {
	if s.Home == to && s.Phase == migration.CustomerHeld && to == migration.OnPrem { // it rests there: it only is not called so
		return nil
	}
	if err := p.command(to); err != nil {
		return err
	}
	s, ok := p.await(p.ctx, p.customer.ID, settleLimit, arrived(to))
	if !ok {
		return fmt.Errorf("customer %s does not come to %s: %s on %s: %s", p.customer.ID, to, s.Phase, s.Home, s.Reason)
	}
	return nil
}

// command asks for the customer on a side until somebody has heard.
func (p *play) command(to migration.Side) error {
	var err error
	for deadline := time.Now().Add(settleLimit); time.Now().Before(deadline) && p.ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
		if err = p.send(p.ctx, p.customer.ID, to); err == nil {
			return nil
		}
		s, e := p.client.Customer(p.ctx, p.Shape.Name, p.customer.ID)
		if e == nil && (s.Home == to || strings.HasPrefix(string(s.Phase), "moving")) {
			return nil // it is there, or on its way
		}
	}
	return fmt.Errorf("send %s to %s: %w", p.customer.ID, to, err)
}

// sent asks for the customer on its other side and waits until the trap has sprung.
func (p *play) sent(t *trap) error {
	defer p.unset(t)
	if err := p.send(p.ctx, p.customer.ID, p.from.Other()); err != nil {
		return err
	}
	return p.met(t, settleLimit)
}

func (p *play) met(t *trap, limit time.Duration) error {
	select {
	case <-t.hit:
		return nil
	case <-time.After(limit):
		return errors.New("the point was never reached")
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// settle waits until the customer rests where it was sent. One that rests elsewhere, or is held, is
// given the one command that its status offers.
func (p *play) settle(to migration.Side) error {
	deadline := time.Now().Add(settleLimit)
	for asked := 0; ; {
		s, ok := p.await(p.ctx, p.customer.ID, time.Until(deadline), func(s migration.CustomerStatus) bool {
			stays := resting(s) && s.Home == to.Other() && time.Since(s.Since) > 5*time.Second
			return arrived(to)(s) || s.Phase == migration.CustomerHeld || stays
		})
		switch {
		case ok && arrived(to)(s):
			return nil
		case !ok || asked > p.mayRetry+1:
			return fmt.Errorf("customer %s is stuck: %s on %s, wanted on %s: %s", p.customer.ID, s.Phase, s.Home, to, s.Reason)
		}
		if s.Phase == migration.CustomerHeld && s.Reason == "" {
			return fmt.Errorf("customer %s is held without a reason", p.customer.ID)
		}
		asked++
		p.resolved = fmt.Sprintf("%s on %s (%s); then asked again", s.Phase, s.Home, s.Reason)
		if s.Phase == migration.CustomerHeld && s.Home == to { // it is where it was sent, and its command sends it on
			if err := p.bring(to.Other(), s); err != nil {
				return err
			}
		}
		if err := p.send(p.ctx, p.customer.ID, to); err != nil {
			p.note = "asked again: " + err.Error()
			time.Sleep(time.Second)
		}
		deadline = time.Now().Add(settleLimit)
	}
}
