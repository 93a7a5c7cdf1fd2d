package freeze

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

// How long the check may take, and how often it is made. It waits for a beat of replication, which
// may be as late as the plan lets it be; probes have a time-out of their own.
const (
	checkOver      = 10 * time.Second       // of one attempt, over the plan's maxLag
	checkAttempts  = 3                      // that all may take together
	checkLeast     = 30 * time.Second       // all together, however little lag the plan allows
	checkPause     = 50 * time.Millisecond  // before the second attempt; grows by half
	checkPauseMost = 500 * time.Millisecond // before any
	notePatience   = 10 * time.Second       // with a note: nothing depends on it
)

// lasting are the errors of a check that another attempt would meet again.
var lasting = []error{engine.ErrNotPrepared, engine.ErrOtherPlan, engine.ErrOtherServer, engine.ErrDoubtedServer,
	engine.ErrFinal}

// check asks everything that can be asked before anything is touched: each database at the site
// whether the customer can leave its home, and the machines of the destination whether they serve
// it. It writes a beat, and the note, and nothing else. What fails is asked again: a connection
// that was lost costs no try.
func (f *freezing) check(ctx context.Context) error {
	attempt := checkOver + f.req.Slice.Policy.MaxLag.D()
	ctx, cancel := context.WithTimeout(ctx, max(checkAttempts*attempt, checkLeast))
	defer cancel()
	g, gctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	found := make([][]migration.Finding, len(f.databases)+1) // in the plan's order, then the machines
	for i, d := range f.databases {
		g.Go(func() error {
			ready, err := again(gctx, attempt, func(ctx context.Context) (engine.Readiness, error) {
				policy := f.req.Slice.Policy
				return d.pair.Ready(ctx, f.req.From, f.req.Slice.Customer.Tenant, engine.Limits{Lease: policy.FreezeBudget.D(),
					MaxLag: policy.MaxLag.D(), Hooks: f.hooksTake()})
			})
			mu.Lock()
			defer mu.Unlock()
			found[i] = ready.Findings
			f.result.Predicted = max(f.result.Predicted, migration.Duration(ready.Predicted))
			return err
		})
	}
	if first := slices.IndexFunc(f.databases, func(d *database) bool { return d.first }); first >= 0 && f.req.Note != nil {
		g.Go(func() error { f.note(gctx, f.databases[first]); return nil })
	}
	if len(f.req.Machines) > 0 && slices.ContainsFunc(f.databases, func(d *database) bool { return d.first }) {
		g.Go(func() (err error) {
			found[len(f.databases)], err = again(gctx, 0, func(ctx context.Context) ([]migration.Finding, error) {
				return f.doctor.CheckDestination(ctx, f.req.Slice, f.req.From.Other(), f.req.Machines)
			})
			return err
		})
	}
	err := g.Wait()
	f.result.Findings = slices.Concat(found...)
	return err
}

// note has the origin remember what the request says of the customer.
func (f *freezing) note(ctx context.Context, d *database) {
	ctx, cancel := context.WithTimeout(ctx, notePatience)
	defer cancel()
	_, err := again(ctx, 0, func(ctx context.Context) (migration.Word, error) {
		return d.pair.WriteNote(ctx, f.req.From, f.req.Slice.Customer.Tenant, *f.req.Note)
	})
	if err != nil && activity.IsActivity(ctx) {
		activity.GetLogger(ctx).Warn("not noted in the customer's data", "customer", f.req.Slice.Customer.ID, "error", err)
	}
}

// again asks until it is answered, or ctx ends: then the last error counts. One attempt takes no
// longer than attempt; 0: as long as it likes.
func again[T any](ctx context.Context, attempt time.Duration, ask func(context.Context) (T, error)) (T, error) {
	for pause := checkPause; ; pause = min(pause*3/2, checkPauseMost) {
		actx, cancel := ctx, context.CancelFunc(func() {})
		if attempt > 0 {
			actx, cancel = context.WithTimeout(ctx, attempt)
		}
		v, err := ask(actx)
		cancel()
		if err == nil || slices.ContainsFunc(lasting, func(l error) bool { return errors.Is(err, l) }) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, fmt.Errorf("check: %w", err)
		case <-time.After(pause):
		}
	}
}
