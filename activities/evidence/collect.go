package evidence

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	engine "github.com/drover-migration/drover/evidence"
	"github.com/drover-migration/drover/internal/version"
	"github.com/drover-migration/drover/migration"
)

// atOnce is how many customers are read at the same time.
const atOnce = 16

// collect reads everything that the bundle is about. What Temporal no longer has is said to be
// missing; of any other trouble the next attempt may be free.
func (a *Activities) collect(ctx context.Context, req KeepRequest, say func(customers int)) (engine.Facts, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return engine.Facts{}, err
	}
	f := engine.Facts{Ref: req.Spec, Spec: spec, Batch: req.Batch, Run: req.Run, Customers: map[string]migration.CustomerStatus{}}
	if f.Status, err = a.plans.Batch(ctx, req.Spec.Plan, req.Batch); err != nil {
		return f, fmt.Errorf("read batch %s: %w", req.Batch, err)
	}
	server, err := a.plans.ServerVersion(ctx)
	if err != nil {
		return f, fmt.Errorf("read the version of Temporal: %w", err)
	}
	f.Software = []engine.Software{{Of: "drover", Version: version.String()}, {Of: "temporal", Version: server}}
	switch f.Plan, err = a.plans.Migration(ctx, req.Spec.Plan); {
	case errors.Is(err, ErrGone):
		f.Missing = append(f.Missing, engine.Missing{Of: "plan", Why: ErrGone.Error()})
	case err != nil:
		return f, fmt.Errorf("read plan %s: %w", req.Spec.Plan, err)
	}
	return f, a.customers(ctx, &f, say)
}

// customers reads each customer, with its timeline.
func (a *Activities) customers(ctx context.Context, f *engine.Facts, say func(customers int)) error {
	var mu sync.Mutex
	gone := map[string]bool{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, c := range f.Status.Customers {
		g.Go(func() error {
			full, err := a.plans.Customer(ctx, f.Ref.Plan, c.ID)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, ErrGone):
				gone[c.ID] = true
			case err != nil:
				return fmt.Errorf("read customer %s: %w", c.ID, err)
			default:
				f.Customers[c.ID] = full
			}
			say(len(gone) + len(f.Customers))
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, c := range f.Status.Customers { // in the plan's order
		if gone[c.ID] {
			f.Missing = append(f.Missing, engine.Missing{Of: "timeline of customer " + c.ID, Why: ErrGone.Error()})
		}
	}
	return nil
}
