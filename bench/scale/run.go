package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/api/workflowservice/v1"
	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdklog "go.temporal.io/sdk/log"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/lab/process"
	"github.com/drover-migration/drover/lab/temporal"
	"github.com/drover-migration/drover/migration"
)

// run is one plan under way.
type run struct {
	shape
	world   *World
	server  *temporal.Server
	workers []*process.Process // those that live
	killed  usage              // what those that do not had used
	asker   *asker
	client  temporalclient.Client
	drover  *client.Client
	dir     string
	found   *measured
	kinds   bool // of events are counted
}

// patience is how much longer than the goal allows a run may take before it counts as stuck, apart
// from its soak.
const patience = 8

// weighing is how long a run that was stopped may take to read what it has left.
const weighing = 2 * time.Minute

// measure runs a plan of this shape on a server of its own, from the submit until nobody soaks any
// more, and for no longer than limit. A run that does not come that far answers with an error and,
// where its plan was submitted, with what it had reached: Unfinished says why it ended there.
func (s shape) measure(ctx context.Context, o options, limit time.Duration) (*measured, error) {
	limit = min(limit, patience*s.allowed()+s.soak)
	all := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("its time of %s is over", limit.Round(time.Second)))
	defer cancel()
	dir, err := os.MkdirTemp("", "drover-scale-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &run{shape: s, dir: dir, asker: &asker{}, kinds: o.kinds}
	r.found = &measured{Customers: s.customers, Batches: s.batches, Workers: s.workers}
	defer r.close()
	if err := r.start(ctx, o); err != nil {
		return nil, err
	}
	for _, phase := range []func(context.Context) error{r.cutOver, r.soakAtOnce, r.finish, r.judge, r.weigh} {
		if err := phase(ctx); err != nil {
			r.found.Unfinished = because(ctx, err).Error()
			r.found.OnAWS = r.world.away()
			if all.Err() == nil { // else somebody wants the bench to end
				late, cancel := context.WithTimeout(all, weighing)
				defer cancel()
				if werr := r.weigh(late); werr != nil {
					r.wrong("what was left could not be read: %s", werr)
				}
			}
			return r.found, errors.Join(because(ctx, err), r.logs())
		}
	}
	return r.found, nil
}

// because puts the reason for which ctx has ended in front of err, where it has.
func because(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}

func (r *run) start(ctx context.Context, o options) (err error) {
	if r.world, err = startWorld(r.customers); err != nil {
		return err
	}
	server, err := temporal.Start(ctx, temporal.Options{Tools: o.tools, Dir: r.dir, Large: true})
	if err != nil {
		return err
	}
	r.server = server
	if r.client, err = r.asker.dial(ctx, r.server.Address()); err != nil {
		return err
	}
	r.drover = client.New(r.client)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for n := range r.shape.workers {
		name := fmt.Sprintf("worker-%d", n+1)
		args := []string{workerArg, "-name", name, "-temporal", r.server.Address(), "-world", r.world.address()}
		if o.profiles != "" {
			args = append(args, "-profile", filepath.Join(o.profiles, fmt.Sprintf("%d-%s.pprof", r.customers, name)))
		}
		p, err := process.Start(process.Options{Name: name, Path: self, Args: args, LogDir: r.dir, Patience: 20 * time.Second})
		if err != nil {
			return err
		}
		r.workers = append(r.workers, p)
		if err := p.Ready(ctx, func(ctx context.Context) error { return r.polls(ctx, name) }); err != nil {
			return err
		}
	}
	return nil
}

// polls is nil once a worker asks for activities.
func (r *run) polls(ctx context.Context, name string) error {
	who, err := r.drover.Workers(ctx, migration.SiteFreezeQueue(site))
	if err == nil && !slices.Contains(who, name) {
		err = errors.New("it does not poll yet")
	}
	return err
}

func (r *run) close() {
	for _, p := range r.workers {
		p.Close()
	}
	if r.client != nil {
		r.client.Close()
	}
	if r.server != nil {
		r.server.Close()
	}
	if r.world != nil {
		r.world.close()
	}
}

// logs is the end of what the workers and the server said.
func (r *run) logs() error {
	var all []error
	files, _ := filepath.Glob(filepath.Join(r.dir, "*.log"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && len(b) > 0 {
			all = append(all, fmt.Errorf("%s: ...%s", filepath.Base(f), b[max(0, len(b)-4000):]))
		}
	}
	return errors.Join(all...)
}

// cutOver submits the plan and waits until every customer soaks, is home again, or is held.
func (r *run) cutOver(ctx context.Context) (err error) {
	spec, err := r.spec()
	if err != nil {
		return err
	}
	before, err := r.used()
	if err != nil {
		return err
	}
	begun := time.Now()
	defer func() {
		r.found.WallS = time.Since(begun).Seconds()
		now, uerr := r.used()
		err = errors.Join(err, uerr)
		r.found.WorkerCPU, r.found.ServerCPU = now.workers.cpu-before.workers.cpu, now.server.cpu-before.server.cpu
	}()
	if _, err := r.drover.Submit(ctx, spec, client.SubmitOptions{By: "bench"}); err != nil {
		return err
	}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	go r.asker.ask(asking, r.drover)
	answered := time.Now()
	for r.found.Killed = r.shape.workers < 2; ; {
		if err := pause(ctx, time.Second); err != nil {
			return fmt.Errorf("%d of %d customers are on AWS, and not all batches are through: %w", r.world.away(), r.customers, err)
		}
		if !r.found.Killed && r.world.away() >= r.customers/2 {
			if err := r.kill(); err != nil {
				return err
			}
		}
		through, err := r.through(ctx)
		switch {
		case err == nil:
			answered = time.Now()
		case errors.Is(err, errOver), time.Since(answered) > silence:
			return err
		}
		if through {
			return nil
		}
	}
}

// kill ends the first worker as a crash would.
func (r *run) kill() error {
	u, err := used(r.workers[0].Pid())
	if err != nil {
		return err
	}
	r.workers[0].Kill()
	r.workers, r.killed, r.found.Killed = r.workers[1:], u, true
	return nil
}

// silence is how long nothing may answer: while a worker is killed, no query does.
const silence = 3 * time.Minute

// errOver says that a migration gets no further by itself.
var errOver = errors.New("the migration gets no further")

// through says whether every batch is.
func (r *run) through(ctx context.Context) (bool, error) {
	s, err := r.drover.Migration(ctx, planName)
	if err != nil {
		return false, err
	}
	if s.Phase == migration.MigrationFailed || s.Paused {
		return false, fmt.Errorf("%w: it is %s, paused: %t: %s", errOver, s.Phase, s.Paused, s.Reason)
	}
	under := func(b migration.BatchStatus) bool { return b.Phase != migration.BatchDone }
	return len(s.Batches) > 0 && !slices.ContainsFunc(s.Batches, under), nil
}

// soakAtOnce measures while all customers soak, until the first of them may finish.
func (r *run) soakAtOnce(ctx context.Context) error {
	if r.window == 0 {
		return nil
	}
	until := r.world.firstOpened().Add(bake + r.shape.soak)
	length := time.Until(until).Seconds()
	if length < r.window.Seconds()/2 {
		r.wrong("the cutovers took so long that all customers soaked at once for %.0f s only; give a longer -soak", max(0, length))
		return nil
	}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	go r.asker.ask(asking, r.drover)
	began, done := time.Now(), total(r.world.work())
	before, err := r.used()
	if err != nil {
		return err
	}
	if err := pause(ctx, time.Duration(length*float64(time.Second))); err != nil {
		return err
	}
	after, err := r.used()
	if err != nil {
		return err
	}
	r.found.SoakS = time.Since(began).Seconds()
	r.found.SoakActivities = float64(total(r.world.work())-done) / r.found.SoakS
	r.found.SoakCPU = (after.workers.cpu + after.server.cpu - before.workers.cpu - before.server.cpu) / r.found.SoakS
	return nil
}

// finish waits until every customer that soaks has finished.
func (r *run) finish(ctx context.Context) error {
	const soaks = "WorkflowType = 'Customer' AND ExecutionStatus = 'Running' AND " +
		migration.AttrPhase + " != 'rolled-back' AND " + migration.AttrPhase + " != 'held'"
	began := time.Now()
	for {
		n, err := r.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: soaks})
		if err == nil && n.GetCount() == 0 {
			r.found.EndS = time.Since(began).Seconds()
			return nil
		}
		if perr := pause(ctx, time.Second); perr != nil {
			return fmt.Errorf("%d customers have neither finished nor come home: %w", n.GetCount(), errors.Join(err, perr))
		}
	}
}

// weigh reads what the run has left.
func (r *run) weigh(ctx context.Context) (err error) {
	if r.found.Histories, err = histories(ctx, r.client, r.kinds); err != nil {
		return err
	}
	u, err := r.used()
	if err != nil {
		return err
	}
	r.found.WorkerPeak, r.found.ServerPeak = u.workers.peak, u.server.peak
	r.found.Database = sizeOf(filepath.Join(r.dir, "temporal.db"))
	r.found.StatusP50, r.found.StatusP99, r.found.StatusAll = at(r.asker.pages, 50), at(r.asker.pages, 99), at(r.asker.whole, 50)
	r.found.StatusLost = len(r.asker.lost)
	r.found.Work = map[string]int64{}
	r.found.Activities = map[string]int64{}
	for worker, done := range r.world.work() {
		for name, n := range done {
			r.found.Work[worker] += n
			r.found.Activities[name] += n
		}
	}
	if len(r.found.Work) < r.shape.workers {
		r.wrong("of %d workers only %d did anything", r.shape.workers, len(r.found.Work))
	}
	return nil
}

func (r *run) wrong(form string, args ...any) {
	r.found.Wrong = append(r.found.Wrong, fmt.Sprintf(form, args...))
}

// all is what the workers, those that are killed among them, and the server have used.
type all struct{ workers, server usage }

func (r *run) used() (u all, err error) {
	u.workers = r.killed
	for _, p := range r.workers {
		w, err := used(p.Pid())
		if err != nil {
			return u, err
		}
		u.workers.cpu += w.cpu
		u.workers.peak = max(u.workers.peak, w.peak)
	}
	u.server, err = used(r.server.Pid())
	return u, err
}

func quiet() sdklog.Logger { return hclog.NewNullLogger() }

func payloads() converter.DataConverter { return codec.DataConverter() }
