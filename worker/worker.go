package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.opentelemetry.io/otel/trace"
	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/workflows"
)

// Options of a worker process.
type Options struct {
	Client   temporalclient.Options // how Temporal is reached
	Main     bool                   // carry the workflows and talk to AWS
	Sites    []string               // work next to the data of these sites
	Identity string                 // the worker's name in the Temporal UI
	// Queue is the one queue of a process that carries all work of the workflows on it by itself
	// (migration.OwnQueue); empty: the process works on the queues of Main and Sites.
	Queue string
	// Deployment and BuildID are this worker's version for Temporal's worker versioning; empty:
	// workers are not versioned.
	Deployment, BuildID string
	// Identities are the keys of those who may say who gives a command; nil: a command is of
	// whomever it names.
	Identities *identity.Keys
	// Metrics is the HOST:PORT at which Prometheus finds /metrics; empty: nothing is measured.
	Metrics string
	Log     hclog.Logger
}

// Run works until ctx ends, then finishes what it has in hand.
func Run(ctx context.Context, o Options) error {
	return Serve(ctx, o, func(c temporalclient.Client, t Telemetry) Activities {
		s := newSystems(o, client.New(c).Under(o.Client), t)
		if len(o.Sites) > 0 {
			w := &warmer{c.WorkflowService(), o.namespace(), o.Client.DataConverter, s.specs, s.pairs, o.Log}
			w.warm(ctx, o.Sites)
		}
		return Activities{Main: s.main, Site: s.site, Close: s.close}
	})
}

// Activities are what a worker carries out: structs whose methods are activities.
type Activities struct {
	Main, Site []any  // of the main queues, and of those next to the data
	Close      func() // is called once the workers have stopped
}

// Telemetry is where what is below the activities says what it does.
type Telemetry struct {
	Metrics temporalclient.MetricsHandler
	Tracer  trace.Tracer
}

// Serve is Run over the activities that open makes, in place of those over the systems of a plan.
// It is for those who measure what workflows and workers cost by themselves.
func Serve(ctx context.Context, o Options, open func(temporalclient.Client, Telemetry) Activities) error {
	o.Client.Identity = o.Identity
	o.Client.ConnectionOptions.DialOptions = append(slices.Clone(o.Client.ConnectionOptions.DialOptions), senders())
	if o.Client.Logger != nil {
		o.Client.Logger = named{o.Client.Logger}
	}
	traces, err := newTraces(ctx, o.Log)
	if err != nil {
		return err
	}
	defer traces.close()
	traced, err := traces.interceptors()
	if err != nil {
		return err
	}
	var m *metrics
	if o.Metrics != "" {
		if m, err = newMetrics(o.Log); err != nil {
			return err
		}
		stop, err := m.serve(ctx, o.Metrics, o.Log)
		if err != nil {
			return err
		}
		defer stop()
		o.Client.MetricsHandler = m.handler
	}
	c, err := temporalclient.DialContext(ctx, o.Client)
	if err != nil {
		return client.Unreachable(o.Client.HostPort, err)
	}
	defer c.Close()
	if err := client.New(c).EnsureSearchAttributes(ctx, o.Client.Namespace); err != nil {
		return err
	}
	if err := o.clock(ctx, c); err != nil {
		return err
	}
	if m != nil && o.Main {
		m.registry.MustRegister(newStanding(client.New(c).Under(o.Client), o.Log))
	}
	if o.Client.MetricsHandler == nil {
		o.Client.MetricsHandler = temporalclient.MetricsNopHandler
	}
	activities := open(c, Telemetry{Metrics: o.Client.MetricsHandler, Tracer: traces.tracer()})
	defer activities.Close()
	var workers []worker.Worker
	defer func() {
		for _, w := range workers {
			w.Stop()
		}
	}()
	for _, q := range queues(o) {
		w := worker.New(c, q.name, worker.Options{
			MaxConcurrentActivityExecutionSize: q.atOnce, DisableWorkflowWorker: !q.workflows, StickyScheduleToStartTimeout: q.sticky,
			MaxConcurrentActivityTaskPollers: q.polls, MaxConcurrentWorkflowTaskPollers: q.polls,
			DeploymentOptions: o.deployment(), Interceptors: append(traced, o.interceptors()...),
			MaxHeartbeatThrottleInterval: heartbeat.Every, DefaultHeartbeatThrottleInterval: heartbeat.Every,
			WorkerStopTimeout: 10 * time.Second,
		})
		if q.workflows {
			workflows.Register(w)
		}
		register(w, q.activities(activities))
		if err := w.Start(); err != nil {
			return fmt.Errorf("start the worker of queue %s: %w", q.name, err)
		}
		workers = append(workers, w)
	}
	o.Log.Info("working: " + o.doing())
	off := make(chan error, 1)
	go func() {
		off <- watchClock(ctx, clockEvery, func(ctx context.Context) error {
			return checkClock(ctx, c.WorkflowService(), o.namespace(), o.Identity, time.Now)
		})
	}()
	select {
	case <-ctx.Done():
	case err = <-off:
	}
	o.Log.Info("stopping")
	return err
}

func (o Options) interceptors() []interceptor.WorkerInterceptor {
	out := []interceptor.WorkerInterceptor{&answers{}}
	if o.Identities != nil {
		out = append(out, &identities{keys: o.Identities})
	}
	return out
}

// clock refuses a machine whose clock is off. A server that does not tell its time is no reason not
// to work.
func (o Options) clock(ctx context.Context, c temporalclient.Client) error {
	err := checkClock(ctx, c.WorkflowService(), o.namespace(), o.Identity, time.Now)
	var off *clockError
	if err == nil || errors.As(err, &off) {
		return err
	}
	o.Log.Warn("the clock of this machine was not compared with that of Temporal's server", "why", err)
	return nil
}

func (o Options) namespace() string {
	return cmp.Or(o.Client.Namespace, temporalclient.DefaultNamespace)
}

// doing says in a line what the process polls, and where.
func (o Options) doing() string {
	var names []string
	for _, q := range queues(o) {
		names = append(names, q.name)
	}
	return fmt.Sprintf("polling %s at %s, namespace %s, as %s", strings.Join(names, ", "),
		cmp.Or(o.Client.HostPort, temporalclient.DefaultHostPort), o.namespace(), o.Identity)
}

func (o Options) deployment() worker.DeploymentOptions {
	if o.Deployment == "" {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{UseVersioning: true,
		Version: worker.WorkerDeploymentVersion{DeploymentName: o.Deployment, BuildID: o.BuildID}}
}
