package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/rpc"
	"os"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/hashicorp/go-hclog"
	temporalclient "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/drover-migration/drover/activities/roll"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/worker"
)

// workerArg makes this program a worker.
const workerArg = "worker"

// countEvery lies between two reports of what a worker has carried out: so much of a killed
// worker's work is not counted.
const countEvery = 500 * time.Millisecond

// workerMain is the product's worker, main and site in one, over stand-ins.
func workerMain(ctx context.Context, args []string) error {
	f := flag.NewFlagSet(workerArg, flag.ContinueOnError)
	name := f.String("name", "", "the worker's name")
	server := f.String("temporal", "", "address of Temporal")
	at := f.String("world", "", "address of the world")
	profile := f.String("profile", "", "file for the CPU profile")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	calls, err := rpc.DialHTTP("tcp", *at)
	if err != nil {
		return fmt.Errorf("reach the world: %w", err)
	}
	b := &below{world: calls, turn: make(chan struct{}, 1)}
	done := &counter{n: map[string]int64{}}
	go done.report(ctx, b, *name)
	store := &objects.Store{S3: func(context.Context, migration.Target) (*s3.Client, error) {
		return s3.New(s3.Options{
			BaseEndpoint: aws.String("http://" + *at), UsePathStyle: true, Region: "us-east-1", Credentials: aws.AnonymousCredentials{},
		}), nil
	}}
	specs := state.NewSpecs(store)
	log := hclog.New(&hclog.LoggerOptions{Name: *name, Level: hclog.Warn, Output: os.Stderr})
	o := worker.Options{Main: true, Sites: []string{site}, Identity: *name, Log: log, Client: temporalclient.Options{
		HostPort: *server, Namespace: temporalclient.DefaultNamespace, DataConverter: codec.DataConverter(),
		Logger: sdklog.Logger(log), MetricsHandler: done,
	}}
	return worker.Serve(ctx, o, func(c temporalclient.Client, _ worker.Telemetry) worker.Activities {
		return worker.Activities{
			Main: []any{roll.New(client.New(c)), state.New(store, specs, client.New(c)),
				traffic.New(specs, router{b}, router{b}), &doctor{b}, &machines{b}},
			Site:  []any{&databases{b}, &freezer{b}, &vcenter{b}, &trees{b}},
			Close: func() { _ = calls.Close() },
		}
	})
}

// executed is the SDK's metric of an activity that has run, and named its label of the activity's
// name.
const (
	executed = "temporal_activity_execution_latency"
	named    = "activity_type"
)

// counter counts the activities of a worker. It is the SDK's handler of metrics, and drops all
// others.
type counter struct {
	mu sync.Mutex
	n  map[string]int64
}

// WithTags names what is measured.
func (c *counter) WithTags(tags map[string]string) temporalclient.MetricsHandler {
	return tagged{c, tags[named]}
}

// Counter drops a metric.
func (c *counter) Counter(name string) temporalclient.MetricsCounter {
	return temporalclient.MetricsNopHandler.Counter(name)
}

// Gauge drops a metric.
func (c *counter) Gauge(name string) temporalclient.MetricsGauge {
	return temporalclient.MetricsNopHandler.Gauge(name)
}

// Timer drops a metric.
func (c *counter) Timer(name string) temporalclient.MetricsTimer {
	return temporalclient.MetricsNopHandler.Timer(name)
}

// report tells the world again and again what the worker has done.
func (c *counter) report(ctx context.Context, b *below, worker string) {
	for pause(ctx, countEvery) == nil {
		c.mu.Lock()
		n := maps.Clone(c.n)
		c.mu.Unlock()
		if b.ask("Done", DoneArgs{Worker: worker, Done: n}, &struct{}{}) != nil {
			return
		}
	}
}

// tagged is a counter that knows which activity is measured.
type tagged struct {
	*counter
	activity string
}

// WithTags names what is measured more closely.
func (t tagged) WithTags(tags map[string]string) temporalclient.MetricsHandler {
	if name, ok := tags[named]; ok {
		t.activity = name
	}
	return t
}

// Timer counts the activities that have run.
func (t tagged) Timer(name string) temporalclient.MetricsTimer {
	if name != executed || t.activity == "" {
		return t.counter.Timer(name)
	}
	return t
}

// Record counts one.
func (t tagged) Record(time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n[t.activity]++
}
