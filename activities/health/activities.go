package health

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Activities needs elasticloadbalancing:Describe* and the network that customers use.
type Activities struct {
	backends Backends
	prober   *prober
}

// New asks backends where to send probes. Names are resolved at dns ("host:port"), or as the machine does where it is empty.
func New(backends Backends, dns string) *Activities {
	return &Activities{backends: backends, prober: newProber(dns)}
}

// DestinationRequest asks whether a side could take a customer now.
type DestinationRequest struct {
	Plan  string                  `json:"plan"`
	Slice migration.CustomerSlice `json:"slice"`
	Side  migration.Side          `json:"side"`
}

// DestinationResult has a blocker for each thing that is not well there.
type DestinationResult struct {
	Findings []migration.Finding `json:"findings,omitempty"`
}

// CheckDestination asks every machine of the customer's workloads on one side directly, all at once, with the customer's host name: each
// must answer every probe at least once in as many attempts as the probe allows failures, or as there is time for. Read-only.
func (a *Activities) CheckDestination(ctx context.Context, req DestinationRequest) (DestinationResult, error) {
	defer beat(ctx, func() []any { return nil })()
	type question struct {
		workload string
		at       Endpoint
		probe    migration.Probe
	}
	var out DestinationResult
	block := func(subject, why string) {
		out.Findings = append(out.Findings, migration.Finding{Severity: migration.Blocker, Check: "destination-unhealthy", Subject: subject, Reason: why,
			Remedy: "look at the workload on " + string(req.Side) + ", then retry"})
	}
	var questions []question
	for _, w := range req.Slice.Workloads {
		behind, err := a.behind(ctx, req.Plan, req.Slice, w, req.Side)
		if err != nil {
			return out, err
		}
		if len(behind) == 0 {
			block("workload "+w.Name, "it has no machine registered on "+string(req.Side))
		}
		for _, p := range req.Slice.Health.Probes {
			if p.HTTP != nil && server(req.Slice.Workloads, p.HTTP.Path) != w.Name {
				continue
			}
			for _, b := range behind {
				questions = append(questions, question{w.Name, b, p})
			}
		}
	}
	answers := make([]sample, len(questions))
	var asking sync.WaitGroup
	for i, q := range questions {
		asking.Go(func() { answers[i] = a.attempt(ctx, q.at, req.Slice.Customer, q.probe) })
	}
	asking.Wait()
	if err := ctx.Err(); err != nil {
		return DestinationResult{}, fmt.Errorf("probe the machines on %s: %w", req.Side, err) // says nothing about them
	}
	for i, q := range questions {
		if s := answers[i]; !s.ok {
			block(fmt.Sprintf("workload %s at %s", q.workload, q.at.Address), fmt.Sprintf("probe %s: %s", name(q.probe), s.answer))
		}
	}
	return out, nil
}

// behind lists a workload's machines on a side, over all routes.
func (a *Activities) behind(ctx context.Context, plan string, slice migration.CustomerSlice, w migration.Workload, side migration.Side) (out []Endpoint, err error) {
	for _, r := range slice.Routes {
		b, err := a.backends.Behind(ctx, plan, slice.Target(w.Target), r, w, side)
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
func (a *Activities) attempt(ctx context.Context, at Endpoint, c migration.Customer, p migration.Probe) sample {
	start := time.Now()
	var s sample
	for range max(p.FailAfter, 1) {
		switch {
		case p.HTTP != nil:
			s = a.prober.http(ctx, a.prober.machines, at, c.Hosts[0], p)
		case p.TCP != nil:
			s = a.prober.tcp(ctx, at, p)
		default:
			return sample{ok: at.Healthy, answer: at.Reason}
		}
		if s.ok || ctx.Err() != nil || time.Since(start) > machinePatience {
			return s
		}
	}
	return s
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

// WatchRequest asks for a customer's health through its route.
type WatchRequest struct {
	Plan     string                  `json:"plan"`
	Slice    migration.CustomerSlice `json:"slice"`
	For      migration.Duration      `json:"for"`
	Baseline *Baseline               `json:"baseline,omitempty"` // nil: nothing is compared
}

// Baseline is a customer's own numbers, before its fence: those of its http probes.
type Baseline struct {
	Samples   int     `json:"samples"`
	ErrorRate float64 `json:"errorRate"` // fraction
	P95       float64 `json:"p95"`       // seconds
}

const (
	// baselinePace is the least time between two samples of a baseline.
	baselinePace = 25 * time.Millisecond
	// lastWord is how long before its time-out a baseline ends with the samples that it has.
	lastWord = 5 * time.Second
)

// MeasureBaseline takes as many samples through the route as the comparison wants, of every http probe, or as many as it has the time
// for: with too few the verdict is inconclusive. Read-only; run twice, the later numbers count.
func (a *Activities) MeasureBaseline(ctx context.Context, req WatchRequest) (Baseline, error) {
	w, stop, err := a.watcher(ctx, req)
	defer stop()
	if err != nil {
		return Baseline{}, err
	}
	want := 20
	if c := req.Slice.Health.Compare; c != nil {
		want = max(want, c.MinSamples)
	}
	if !slices.ContainsFunc(req.Slice.Health.Probes, func(p migration.Probe) bool { return p.HTTP != nil }) {
		return Baseline{}, nil
	}
	inTime := ctx
	if at, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		inTime, cancel = context.WithDeadline(ctx, at.Add(-lastWord))
		defer cancel()
	}
	for len(w.took) < want && inTime.Err() == nil {
		for i, p := range req.Slice.Health.Probes {
			if p.HTTP == nil {
				continue
			}
			s := a.prober.http(inTime, a.prober.route, w.front, req.Slice.Customer.Hosts[0], p)
			if inTime.Err() != nil { // it was cut off, which says nothing about the customer
				break
			}
			w.add(i, s)
		}
		select {
		case <-inTime.Done():
		case <-time.After(baselinePace):
		}
	}
	return w.baseline(), ctx.Err()
}

// WatchHealth probes a customer through its route for a while. It answers early with fail when a probe has failed as often in a row as
// the plan allows. Read-only: cut off and run again it watches anew, for the full time.
func (a *Activities) WatchHealth(ctx context.Context, req WatchRequest) (migration.Verdict, error) {
	w, stop, err := a.watcher(ctx, req)
	defer stop()
	if err != nil {
		return migration.Verdict{}, err
	}
	return w.run(ctx)
}
