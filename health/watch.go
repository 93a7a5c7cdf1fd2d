package health

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/drover-migration/drover/migration"
)

// watcher collects the samples of one customer and judges them.
type watcher struct {
	*Doctor
	req   Question
	front Endpoint
	say   func(samples int)

	took   []time.Duration // of the http probes, good or not
	failed int             // of the http probes
	errors int
	total  int
	good   []int    // good answers, by probe
	bad    []int    // failures, by probe
	inRow  []int    // failures in a row, by probe
	last   []string // last answer, by probe

	unseen    []time.Time // since when the worker could not judge, by probe; zero: it can
	blindMost time.Duration
}

// blindMost is how long a watch goes on that cannot judge. A blip costs it nothing but samples.
const blindMost = 10 * time.Second

// watcher finds where the customer's requests go.
func (d *Doctor) watcher(ctx context.Context, req Question, say func(samples int)) (w *watcher, err error) {
	n := len(req.Slice.Health.Probes)
	w = &watcher{Doctor: d, req: req, say: say, good: make([]int, n), bad: make([]int, n), inRow: make([]int, n), last: make([]string, n),
		unseen: make([]time.Time, n), blindMost: blindMost}
	if len(req.Slice.Routes) == 0 {
		return w, nil
	}
	r := req.Slice.Routes[0]
	if w.front, err = d.backends.Front(ctx, req.Slice.Target(r.Target()), r, req.Slice.Customer.Hosts[0]); err != nil {
		err = fmt.Errorf("where route %q takes requests: %w", r.Name, err)
	}
	return w, err
}

// add takes one sample of probe i.
func (w *watcher) add(i int, s sample) {
	w.last[i] = s.answer
	if s.unasked {
		if w.unseen[i].IsZero() && w.req.Slice.Health.Probes[i].Query == nil { // a query without a number says nothing of the worker
			w.unseen[i] = time.Now()
		}
		return
	}
	w.unseen[i] = time.Time{}
	w.total++
	w.say(w.total)
	if w.req.Slice.Health.Probes[i].HTTP != nil {
		w.took = append(w.took, s.took)
		if !s.ok {
			w.failed++
		}
	}
	if s.ok {
		w.good[i]++
		w.inRow[i] = 0
		return
	}
	w.errors++
	w.bad[i]++
	w.inRow[i]++
}

type answered struct {
	probe int
	sample
}

// run asks every probe at its own pace until the time is over, one has failed too often in a row,
// or one could not be judged for too long.
func (w *watcher) run(ctx context.Context) (migration.Verdict, error) {
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan answered)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.askAll(ctx, answers)
	}()
	defer func() { cancel(); <-done }()
	end := time.NewTimer(w.req.For.D())
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return w.judge(), ctx.Err()
		case a := <-answers:
			w.add(a.probe, a.sample)
			if p := w.req.Slice.Health.Probes[a.probe]; w.inRow[a.probe] >= max(p.FailAfter, 1) {
				return w.verdict(migration.Fail, fmt.Sprintf("probe %s failed %d times in a row, last: %s", name(p), w.inRow[a.probe],
					a.answer), a.probe), nil
			}
			if since := w.unseen[a.probe]; !since.IsZero() && time.Since(since) > w.blindMost {
				return w.blinded(a.probe), nil
			}
		case <-end.C:
			return w.judge(), nil
		}
	}
}

// askAll asks each probe at its pace and hands over the answers, until ctx ends.
func (w *watcher) askAll(ctx context.Context, answers chan<- answered) {
	finished := make(chan struct{})
	for i, p := range w.req.Slice.Health.Probes {
		go func() {
			defer func() { finished <- struct{}{} }()
			tick := time.NewTicker(max(p.Every.D(), 10*time.Millisecond))
			defer tick.Stop()
			for {
				s := w.ask(ctx, p)
				if ctx.Err() != nil {
					return
				}
				select {
				case answers <- answered{i, s}:
				case <-ctx.Done():
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	for range w.req.Slice.Health.Probes {
		<-finished
	}
}

// ask asks one probe once: http through the route, a query where it is counted, the others at the
// machines on AWS. While only a share of the requests goes there, http is asked at those machines
// too: a request through the route may be answered by the other side.
func (w *watcher) ask(ctx context.Context, p migration.Probe) sample {
	if p.Query != nil {
		return w.queried(ctx, p)
	}
	if p.HTTP != nil {
		s := w.controlled(ctx, w.prober.http(ctx, w.prober.route, w.front, w.req.Slice.Customer.Hosts[0], p))
		if w.req.Share == 0 || !s.ok {
			return s
		}
		if direct := w.machinesOnAWS(ctx, p); !direct.ok && !direct.unasked {
			direct.took = s.took
			return direct
		}
		return s
	}
	return w.machinesOnAWS(ctx, p)
}

// machinesOnAWS asks one probe once at every machine on AWS.
func (w *watcher) machinesOnAWS(ctx context.Context, p migration.Probe) sample {
	for _, wl := range w.req.Slice.Workloads {
		if at := path(p); at != "" && server(w.req.Slice.Workloads, at) != wl.Name {
			continue
		}
		behind, err := w.behind(ctx, w.req.Plan, w.req.Slice, wl, migration.AWS)
		if err != nil {
			return sample{answer: "not asked: " + err.Error(), unasked: true}
		}
		if len(behind) == 0 {
			return sample{answer: wl.Name + " has no machine registered on " + string(migration.AWS)}
		}
		for _, b := range behind {
			once := p
			once.FailAfter = 1
			s := w.attempt(ctx, b, w.req.Slice.Customer, once)
			if s.ok {
				continue
			}
			// The load balancer is the other observer: if it finds the machine healthy, only this
			// worker does not reach it.
			if s.unreached && b.Healthy {
				return sample{answer: fmt.Sprintf("%s at %s: %s, and the load balancer finds it healthy: this worker does not reach it",
					wl.Name, b.Address, s.answer), unasked: true}
			}
			return sample{answer: wl.Name + " at " + b.Address + ": " + s.answer}
		}
	}
	return sample{ok: true, answer: "all well"}
}

// controlled lets a failure count only while control samples have an answer.
func (w *watcher) controlled(ctx context.Context, s sample) sample {
	if s.ok || ctx.Err() != nil {
		return s
	}
	var hosts []string
	for _, r := range w.req.Slice.Routes {
		hosts = append(hosts, w.backends.Anchors(w.req.Plan, r)...)
	}
	if blind := w.controls.blind(ctx, w.front, hosts); blind != "" {
		return sample{took: s.took, answer: blind + " (the customer's own sample: " + s.answer + ")", unasked: true}
	}
	return s
}

// silent is the first probe without a good answer; -1: there is none. Where nothing is compared, a
// query without a number says nothing.
func (w *watcher) silent() int {
	for i, p := range w.req.Slice.Health.Probes {
		if w.good[i] == 0 && (p.Query == nil || w.req.Compare || w.inRow[i] > 0) {
			return i
		}
	}
	return -1
}

// judge compares the whole watch with the baseline.
func (w *watcher) judge() migration.Verdict {
	c, base := w.req.Slice.Health.Compare, w.req.Baseline
	now, silent := w.baseline(), w.silent()
	switch {
	case silent >= 0 && !w.unseen[silent].IsZero():
		return w.blinded(silent)
	case w.total == 0:
		why := "no probe has answered"
		if i := slices.IndexFunc(w.last, func(s string) bool { return s != "" }); i >= 0 {
			why += "; last: " + w.last[i]
		}
		return w.verdict(migration.Inconclusive, why, -1)
	case silent >= 0:
		// Too few failures for a fail, which is no reason to call it well.
		return w.verdict(migration.Inconclusive,
			fmt.Sprintf("probe %s had no good answer, last: %s", name(w.req.Slice.Health.Probes[silent]), w.last[silent]), silent)
	case c != nil && w.req.Compare && base == nil:
		return w.verdict(migration.Inconclusive, "there is no baseline from before the fence to compare with", -1)
	case c == nil || base == nil:
		return w.verdict(migration.Pass, fmt.Sprintf("%d of %d samples good", w.total-w.errors, w.total), -1)
	case now.Samples < c.MinSamples || base.Samples < c.MinSamples:
		return w.verdict(migration.Inconclusive,
			fmt.Sprintf("%d samples on AWS and %d before; the comparison wants %d of each", now.Samples, base.Samples, c.MinSamples), -1)
	case c.ErrorRate != nil && !c.ErrorRate.Allows(now.ErrorRate, base.ErrorRate):
		return w.verdict(migration.Fail, fmt.Sprintf("error rate %.1f%% on AWS, %.1f%% before; allowed %s", 100*now.ErrorRate,
			100*base.ErrorRate, c.ErrorRate), -1)
	case c.P95 != nil && !c.P95.Allows(now.P95, base.P95):
		return w.verdict(migration.Fail, fmt.Sprintf("p95 %s on AWS, %s before; allowed %s", seconds(now.P95), seconds(base.P95), c.P95),
			-1)
	}
	return w.verdict(migration.Pass, fmt.Sprintf("%d samples: error rate %.1f%% (before %.1f%%), p95 %s (before %s)", now.Samples,
		100*now.ErrorRate, 100*base.ErrorRate, seconds(now.P95), seconds(base.P95)), -1)
}

// blinded is the verdict of a watch that cannot judge what a probe asks for.
func (w *watcher) blinded(probe int) migration.Verdict {
	v := w.verdict(migration.Inconclusive, "it cannot be judged: "+w.last[probe], probe)
	v.Blind = w.last[probe]
	return v
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Microsecond).String()
}

func (w *watcher) baseline() Baseline {
	b := Baseline{Samples: len(w.took)}
	if b.Samples == 0 {
		return b
	}
	sorted := slices.Sorted(slices.Values(w.took))
	b.P95 = sorted[(len(sorted)*95-1)/100].Seconds()
	b.ErrorRate = float64(w.failed) / float64(b.Samples) // other probes have no baseline to be compared with
	return b
}

func (w *watcher) verdict(o migration.Outcome, why string, probe int) migration.Verdict {
	b := w.baseline()
	v := migration.Verdict{Outcome: o, Reason: why, At: time.Now(), Samples: w.total, Errors: w.errors, P95: b.P95, ErrorRate: b.ErrorRate}
	if base := w.req.Baseline; base != nil {
		v.BaselineP95, v.BaselineRate = base.P95, base.ErrorRate
	}
	for i, p := range w.req.Slice.Health.Probes {
		v.Asked = append(v.Asked, migration.Asked{Probe: name(p), Good: w.good[i], Failed: w.bad[i], Last: w.last[i]})
	}
	if probe >= 0 {
		v.Probe, v.LastAnswer = name(w.req.Slice.Health.Probes[probe]), w.last[probe]
	}
	return v
}
