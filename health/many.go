package health

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

const (
	// lookAtOnce is how many customers a look asks at the same time.
	lookAtOnce = 32
	// queryPause lies between two questions for a number that is out of its bound.
	queryPause = 15 * time.Second
)

// Look asks each customer every probe once, and again while the answer is bad, until there is a
// good one (pass) or as many failures in a row as the probe allows (fail). Nothing is compared:
// a query counts where its bound needs no baseline, and fails with two numbers out of it. It tells
// say how many customers are done. blind is not empty when this worker reaches nothing: why, in
// words; each verdict that it could not come to is inconclusive then. It writes what write probes
// say, and takes it away again.
func (d *Doctor) Look(ctx context.Context, plan string, customers []migration.CustomerSlice, say func(done int),
) (verdicts map[string]migration.Verdict, blind string, err error) {
	verdicts = map[string]migration.Verdict{}
	var mu sync.Mutex
	var done atomic.Int64
	seeing := false
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookAtOnce)
	for _, c := range customers {
		g.Go(func() error {
			v, why, err := d.glance(ctx, Question{Plan: plan, Slice: c})
			if err != nil {
				return fmt.Errorf("look at customer %q: %w", c.Customer.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if v.Outcome == migration.Pass {
				v.Asked = nil // of hundreds, each minute
			}
			verdicts[c.Customer.ID] = v
			if why != "" {
				blind = why
			}
			seeing = seeing || v.Outcome == migration.Pass
			say(int(done.Add(1)))
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, "", err
	}
	if seeing {
		blind = ""
	}
	return verdicts, blind, nil
}

// glance asks one customer.
func (d *Doctor) glance(ctx context.Context, q Question) (v migration.Verdict, blind string, err error) {
	w, err := d.watcher(ctx, q, func(int) {})
	if err != nil {
		return migration.Verdict{Outcome: migration.Inconclusive, Reason: err.Error(), At: time.Now()}, "", ctx.Err()
	}
	for i, p := range q.Slice.Health.Probes {
		most, pause := max(p.FailAfter, 1), p.Every.D()
		if p.Query != nil { // a number speaks for some time already
			most, pause = min(most, 2), min(pause, queryPause)
		}
		for try := range most {
			if try > 0 && !sleep(ctx, pause) {
				return v, "", ctx.Err()
			}
			s := w.ask(ctx, p)
			if ctx.Err() != nil {
				return v, "", ctx.Err()
			}
			w.add(i, s)
			if s.ok {
				break
			}
			if s.unasked && p.Query == nil {
				blind = s.answer
			}
		}
		if w.inRow[i] >= most {
			return w.verdict(migration.Fail, fmt.Sprintf("probe %s failed %d times in a row, last: %s", name(p), w.inRow[i], w.last[i]), i),
				"", nil
		}
		if w.good[i] == 0 && (p.Query == nil || w.inRow[i] > 0) {
			return w.verdict(migration.Inconclusive, fmt.Sprintf("probe %s had no good answer, last: %s", name(p), w.last[i]), i), blind,
				nil
		}
	}
	return w.verdict(migration.Pass, "every probe had a good answer", -1), "", nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
