package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	pggate "github.com/drover-migration/drover/lab/pg/gate"
	"github.com/drover-migration/drover/lab/process"
	"github.com/drover-migration/drover/migration"
)

// lease is the freeze budget of the matrix's plan: a fence that nobody ends is over after it.
const lease = 3 * time.Second

// settleLimit is far more than a Move takes that has met a fault.
const settleLimit = 90 * time.Second

// shape of a matrix's plan: it does not pause itself, whatever is done to its customers.
func shape(customers int) lab.Shape {
	s := lab.SmallShape(customers)
	s.Freeze, s.StopsAt = lease.String(), 100_000
	s.Batches[0].Concurrency = 4
	return s
}

// rig is a lab whose two workers and four doors can be interfered with.
type rig struct {
	*lab.Lab
	dir     string
	binary  binaries
	client  *client.Client
	server  temporalclient.Client // what the Temporal UI can do
	workers []*hand

	mu     sync.Mutex
	traps  []*trap
	runner map[string]*hand // customer -> the worker that was handed its freeze last
	lanes  lanes
}

// binaries are the shipped ones.
type binaries struct {
	drover, lab string
	skewable    string // the product with a clock that can be off; "" where no cell asks for it
}

// hand is a worker with a gate of its own before Temporal.
type hand struct {
	name string
	gate *gate.Gate

	mu     sync.Mutex
	proc   *process.Process
	starts int
}

// startRig starts a lab with two workers in dir. Its plan is not submitted yet.
func startRig(ctx context.Context, tools, dir string, bin binaries, s lab.Shape) (_ *rig, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	l, err := lab.Start(ctx, lab.Options{Tools: tools, Dir: dir, Self: bin.lab, Shape: s, Doors: true})
	if err != nil {
		return nil, err
	}
	r := &rig{Lab: l, dir: dir, binary: bin, runner: map[string]*hand{}}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if r.client, err = l.Client(ctx); err != nil {
		return nil, err
	}
	if err := r.client.EnsureSearchAttributes(ctx, "default"); err != nil {
		return nil, err
	}
	r.server, err = temporalclient.DialContext(ctx, temporalclient.Options{HostPort: l.TemporalAddress(), Logger: hclog.NewNullLogger()})
	if err != nil {
		return nil, err
	}
	r.lanes.reset()
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		l.Doors.Gate(side).Set(func(e pggate.Event) bool { return r.stated(side, e) })
	}
	for i := range 2 {
		h := &hand{name: fmt.Sprintf("worker-%d", i+1)}
		if h.gate, err = gate.Start("127.0.0.1:0", l.TemporalAddress()); err != nil {
			return nil, err
		}
		h.gate.Set(func(_ context.Context, e gate.Event) bool { return r.passed(h, e) })
		r.workers = append(r.workers, h)
		if err := r.start(h); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *rig) Close() {
	r.mu.Lock()
	r.traps = nil
	r.mu.Unlock()
	r.Lab.Close()
	for _, h := range r.workers {
		h.gate.Close()
	}
	if r.server != nil {
		r.server.Close()
	}
}

// start starts a worker, unless it runs.
func (r *rig) start(h *hand) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc != nil {
		select {
		case <-h.proc.Done(): // it has ended by itself
		default:
			return nil
		}
	}
	h.starts++
	p, err := r.StartWorker(fmt.Sprintf("%s-%03d", h.name, h.starts), r.binary.drover, h.gate.Address(), "--site", "dc1")
	if err == nil {
		h.proc = p
	}
	return err
}

// kill ends a worker as a crash would.
func (h *hand) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc != nil {
		h.proc.Kill()
		h.proc = nil
	}
}

func (h *hand) signal(s syscall.Signal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.proc != nil {
		_ = h.proc.Signal(s)
	}
}

// killAll ends every worker.
func (r *rig) killAll() {
	for _, h := range r.workers {
		h.kill()
	}
}

// startAll starts every worker that does not run.
func (r *rig) startAll() error {
	var errs []error
	for _, h := range r.workers {
		errs = append(errs, r.start(h))
	}
	return errors.Join(errs...)
}

// submit hands in the plan as a person would.
func (r *rig) submit(ctx context.Context, plan string) (string, error) {
	cmd := exec.CommandContext(ctx, r.binary.drover, "submit", plan, "--by", "lead")
	cmd.Env = r.Environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("drover submit: %w: %s", err, out)
	}
	return string(out), nil
}

// aloft submits the plan and waits until every customer soaks on AWS.
func (r *rig) aloft(ctx context.Context, limit time.Duration) error {
	if _, err := r.submit(ctx, r.Plan); err != nil {
		return err
	}
	deadline := time.Now().Add(limit)
	for _, c := range r.Shape.Customers() {
		for {
			s, ok := r.await(ctx, c.ID, time.Until(deadline), func(s migration.CustomerStatus) bool {
				return arrived(migration.AWS)(s) || s.Phase == migration.CustomerHeld
			})
			if ok && s.Phase != migration.CustomerHeld {
				break
			}
			if !ok || time.Now().After(deadline) {
				m, _ := r.client.Migration(ctx, r.Shape.Name)
				return fmt.Errorf("customer %s does not come to AWS: %s %s; the migration is %s: %s", c.ID, s.Phase, s.Reason,
					m.Phase, m.Reason)
			}
			// No fault has struck yet: on a busy machine a short bake may have too few samples.
			if err := r.send(ctx, c.ID, migration.AWS); err != nil && !errors.Is(err, client.ErrRefused) {
				return fmt.Errorf("customer %s is held (%s), and is to go on: %w", c.ID, s.Reason, err)
			}
		}
	}
	return nil
}

// await asks for a customer until its status is as wanted, and says whether it was in time.
func (r *rig) await(ctx context.Context, id string, limit time.Duration,
	is func(migration.CustomerStatus) bool) (last migration.CustomerStatus, ok bool) {
	for deadline := time.Now().Add(limit); ctx.Err() == nil; {
		if s, err := r.client.Customer(ctx, r.Shape.Name, id); err == nil {
			last = s
			if is(s) {
				return s, true
			}
		}
		if time.Now().After(deadline) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return last, false
}

// send asks for a customer on a side.
func (r *rig) send(ctx context.Context, id string, to migration.Side) error {
	at, k := client.Aim{Plan: r.Shape.Name, Customer: id}, migration.Command{By: "operator", Reason: "the matrix"}
	var err error
	if to == migration.OnPrem {
		_, err = r.client.Rollback(ctx, at, k)
	} else {
		_, err = r.client.Retry(ctx, at, k)
	}
	return err
}

// rest is the phase of a customer that was sent to a side and has arrived.
func rest(at migration.Side) migration.CustomerPhase {
	if at == migration.AWS {
		return migration.CustomerSoaking
	}
	return migration.CustomerRolledBack
}

func arrived(at migration.Side) func(migration.CustomerStatus) bool {
	return func(s migration.CustomerStatus) bool { return s.Home == at && s.Phase == rest(at) }
}

// kindOf is what a workflow id names: move, customer, batch, ...; and its customer, if it has one.
func kindOf(id string) (kind, customer string) {
	parts := strings.Split(id, "/")
	if len(parts) > 2 && (parts[0] == "move" || parts[0] == "customer") {
		customer = parts[2]
	}
	return parts[0], customer
}
