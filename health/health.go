package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Doctor examines customers. It needs elasticloadbalancing:Describe* and the network that customers
// use. It is safe for concurrent use.
type Doctor struct {
	backends Backends
	secrets  Secrets
	prober   *prober
	controls controls
	writes   fresh[sample] // by machine
	numbers  fresh[number] // by query
}

// New asks backends where to send probes, and secrets for the tokens of queries. Names are resolved
// at dns ("host:port"), or as the machine does where it is empty.
func New(backends Backends, secrets Secrets, dns string) *Doctor {
	p := newProber(dns)
	return &Doctor{backends: backends, secrets: secrets, prober: p, controls: controls{prober: p}}
}

// Machines of a workload on a side, as the load balancer knows them.
type Machines struct {
	Workload string     `json:"workload"`
	Behind   []Endpoint `json:"behind"`
}

// FindMachines asks the load balancer what serves the customer's workloads on one side. Read-only.
func (d *Doctor) FindMachines(ctx context.Context, plan string, slice migration.CustomerSlice, side migration.Side) ([]Machines, error) {
	var out []Machines
	for _, w := range slice.Workloads {
		behind, err := d.behind(ctx, plan, slice, w, side)
		if err != nil {
			return nil, err
		}
		out = append(out, Machines{w.Name, behind})
	}
	return out, nil
}

// CheckDestination asks every machine of the customer's workloads on one side directly, all at
// once, with the customer's host name: each must answer every probe at least once in as many
// attempts as the probe allows failures, or as there is time for. It answers a blocker for each
// thing that is not well there. It asks no load balancer: machines are what FindMachines found.
// Queries are not asked: nobody has worked there yet. It writes what write probes say, and takes it
// away again.
func (d *Doctor) CheckDestination(ctx context.Context, slice migration.CustomerSlice, side migration.Side,
	machines []Machines) (out []migration.Finding, err error) {
	type question struct {
		workload string
		at       Endpoint
		probe    migration.Probe
	}
	block := func(subject, why string) {
		out = append(out, migration.Finding{Severity: migration.Blocker, Check: "destination-unhealthy", Subject: subject, Reason: why,
			Remedy: "look at the workload on " + string(side) + ", then retry"})
	}
	var questions []question
	for _, m := range machines {
		if len(m.Behind) == 0 {
			block("workload "+m.Workload, "it has no machine registered on "+string(side))
		}
		for _, p := range slice.Health.Probes {
			if at := path(p); at != "" && server(slice.Workloads, at) != m.Workload || p.Query != nil {
				continue
			}
			for _, b := range m.Behind {
				questions = append(questions, question{m.Workload, b, p})
			}
		}
	}
	answers := make([]sample, len(questions))
	var asking sync.WaitGroup
	for i, q := range questions {
		asking.Go(func() { answers[i] = d.attempt(ctx, q.at, slice.Customer, q.probe) })
	}
	asking.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("probe the machines on %s: %w", side, err) // says nothing about them
	}
	for i, q := range questions {
		if s := answers[i]; !s.ok {
			block(fmt.Sprintf("workload %s at %s", q.workload, q.at.Address), fmt.Sprintf("probe %s: %s", name(q.probe), s.answer))
		}
	}
	return out, nil
}

// behind lists a workload's machines on a side, over all routes.
func (d *Doctor) behind(ctx context.Context, plan string, slice migration.CustomerSlice, w migration.Workload,
	side migration.Side) (out []Endpoint, err error) {
	for _, r := range slice.Routes {
		b, err := d.backends.Behind(ctx, plan, slice.Target(w.Target), r, w, side)
		if err != nil {
			return nil, fmt.Errorf("machines of workload %q on %s: %w", w.Name, side, err)
		}
		out = append(out, b...)
	}
	return out, nil
}

// machinePatience is how long one machine is asked the same again.
const machinePatience = 15 * time.Second

// attempt asks until there is one good answer or the probe's patience is spent.
func (d *Doctor) attempt(ctx context.Context, at Endpoint, c migration.Customer, p migration.Probe) sample {
	start := time.Now()
	var s sample
	for range max(p.FailAfter, 1) {
		switch {
		case p.HTTP != nil:
			s = d.prober.http(ctx, d.prober.machines, at, c.Hosts[0], p)
		case p.TCP != nil:
			s = d.prober.tcp(ctx, at, p)
		case p.Write != nil:
			s = d.written(ctx, at, p)
		default:
			return sample{ok: at.Healthy, answer: at.Reason}
		}
		if s.ok || ctx.Err() != nil || time.Since(start) > machinePatience {
			return s
		}
	}
	return s
}

// path is where a probe sends a request; "": nowhere.
func path(p migration.Probe) string {
	switch {
	case p.HTTP != nil:
		return p.HTTP.Path
	case p.Write != nil:
		return p.Write.Path
	}
	return ""
}

// server is the workload whose paths take a request most specifically.
func server(workloads []migration.Workload, at string) (best string) {
	length := -1
	for _, w := range workloads {
		for _, pattern := range w.Ingress.Paths {
			if len(pattern) > length && migration.PathMatches(pattern, at) {
				best, length = w.Name, len(pattern)
			}
		}
	}
	return best
}

// Question asks for a customer's health through its route.
type Question struct {
	Plan     string
	Slice    migration.CustomerSlice
	For      migration.Duration
	Compare  bool      // hold what is seen against Baseline, as the plan says
	Baseline *Baseline // nil: there is none
	Share    int       // percentage of the requests that the route sends to AWS; 0: all
}

// Baseline is a customer's own numbers, before its fence: those of its http probes, and of its
// queries.
type Baseline struct {
	Samples   int                `json:"samples"`
	ErrorRate float64            `json:"errorRate"`         // fraction
	P95       float64            `json:"p95"`               // seconds
	Queries   map[string]float64 `json:"queries,omitempty"` // by the probe's name
}

// baselinePace is the least time between two samples of a baseline.
const baselinePace = 25 * time.Millisecond

// MeasureBaseline takes as many samples through the route as the comparison wants, of every http
// probe, or as many as it has the time for before ctx's deadline: with too few the verdict is
// inconclusive. It tells say how many there are. Read-only.
func (d *Doctor) MeasureBaseline(ctx context.Context, req Question, say func(samples int)) (Baseline, error) {
	w, err := d.watcher(ctx, req, say)
	if err != nil {
		return Baseline{}, err
	}
	want := 20
	if c := req.Slice.Health.Compare; c != nil {
		want = max(want, c.MinSamples)
	}
	queries, err := w.measureQueries(ctx)
	if err != nil {
		return Baseline{}, err
	}
	if !slices.ContainsFunc(req.Slice.Health.Probes, func(p migration.Probe) bool { return p.HTTP != nil }) {
		return Baseline{Queries: queries}, nil
	}
	for len(w.took) < want && ctx.Err() == nil {
		for i, p := range req.Slice.Health.Probes {
			if p.HTTP == nil {
				continue
			}
			s := d.prober.http(ctx, d.prober.route, w.front, req.Slice.Customer.Hosts[0], p)
			if ctx.Err() != nil { // it was cut off, which says nothing about the customer
				break
			}
			w.add(i, s)
		}
		select {
		case <-ctx.Done():
		case <-time.After(baselinePace):
		}
	}
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return Baseline{}, err
	}
	b := w.baseline()
	b.Queries = queries
	return b, nil
}

// Watch probes a customer through its route for a while and tells say how many answers it has. It
// answers early with fail when a probe has failed as often in a row as the plan allows, and early
// with inconclusive and Blind when this worker reaches nothing for ten seconds. A sample that
// failed counts only while control samples have an answer. Read-only: cut off and run again it
// watches anew, for the full time. Cut off it answers what it would have said by then, and ctx's
// error.
func (d *Doctor) Watch(ctx context.Context, req Question, say func(samples int)) (migration.Verdict, error) {
	w, err := d.watcher(ctx, req, say)
	if err != nil {
		return migration.Verdict{}, err
	}
	return w.run(ctx)
}
