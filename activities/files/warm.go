package files

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/files"
)

// PassFilesRequest asks for a warm pass over the files of some customers of a dataset.
type PassFilesRequest struct {
	Shelf
	Customers []migration.Customer `json:"customers"` // their ids and tenants
}

// PassFilesResult is what a warm pass did.
type PassFilesResult struct {
	Passed []string `json:"passed"` // whose turn is over, in any way; all that were asked for, but after a cancel
	Copied int64    `json:"copied"` // files
	Bytes  int64    `json:"bytes"`  // read to compare, or carried
	// Unequal are customers that have something to be looked at again, or could not be passed.
	Unequal []string `json:"unequal,omitempty"`
	// Failures are why, of the first of them.
	Failures []string `json:"failures,omitempty"`
}

// PassBeat is what its heartbeats say.
type PassBeat struct {
	migration.Progress                 // of the pass of one customer, the last that told
	SoFar              PassFilesResult `json:"soFar"`
}

const (
	// atATime is how many customers' files are passed at once. Each pass has many files under way
	// by itself; small ones wait for answers most of the time.
	atATime = 4
	// maxFailures is how many are worth carrying in a history.
	maxFailures = 5
)

// PassFiles makes a warm pass over the files of each customer, from its home to the other side. The
// home record says which that is, before the pass of each customer and before each of its effects;
// a pass stops as soon as a Move begins. What fails for one customer keeps no other.
//
// Run twice, it carries what is left. As a zombie it is stopped by the home record, and by the
// conditions on what it saw: an object by its ETag, a file by its looks. Cut off between its
// effects and its answer, what it carried is found again by the manifest, or by what the objects
// say of themselves; another attempt goes on with whose turn was not over. Cancelled it answers
// temporal.CanceledError, whose details are the PassFilesResult by then.
func (a *Activities) PassFiles(ctx context.Context, req PassFilesRequest) (PassFilesResult, error) {
	if req.Fence == nil || req.Dataset.Files == nil {
		return PassFilesResult{}, permanent.New("NoFence", nil, "dataset %q has no files, or is fenced by no database; give it fencedBy "+
			"in the plan",
			req.Dataset.Name)
	}
	w := &warming{}
	w.resume(ctx)
	say, stop := heartbeat.Saying[PassBeat](context.WithoutCancel(ctx))
	defer stop()
	w.tell = say
	var all errgroup.Group
	all.SetLimit(atATime)
	for _, c := range req.Customers {
		if slices.Contains(w.before, c.ID) {
			continue
		}
		all.Go(func() error {
			if ctx.Err() == nil {
				r, err := a.warm(ctx, FilesRequest{Shelf: req.Shelf, Customer: c}, w.progress)
				w.passed(ctx, c.ID, r, err)
			}
			return nil
		})
	}
	_ = all.Wait()
	if ctx.Err() != nil {
		return PassFilesResult{}, temporal.NewCanceledError(w.result)
	}
	return w.result, nil
}

// warm makes a pass over the files of one customer, away from where its home record says.
func (a *Activities) warm(ctx context.Context, req FilesRequest, progress func(migration.Progress)) (engine.Result, error) {
	h, err := a.homes.Home(ctx, req.Plan, *req.Fence, req.FenceTarget, req.Customer.Tenant)
	if err != nil {
		return engine.Result{}, fmt.Errorf("read the home record: %w", err)
	}
	if req.From = h.Home(); req.From == migration.NoHome {
		return engine.Result{}, fmt.Errorf("its data names no home, and no pass touches it: %s", h.Undecided())
	}
	g, err := a.guard(ctx, req)
	if err != nil {
		return engine.Result{}, err
	}
	if err := g.warm(ctx); err != nil {
		return engine.Result{}, err
	}
	job, err := a.job(ctx, req, g.warm)
	if err != nil {
		return engine.Result{}, err
	}
	job.Progress = progress
	r, err := job.Pass(ctx)
	return r, classify(err)
}

// warming is what the passes of one activity have done together.
type warming struct {
	tell   func(PassBeat)
	before []string // whose turn was over in an earlier attempt

	mu     sync.Mutex
	result PassFilesResult
	now    migration.Progress
}

// resume takes up what an earlier attempt said last.
func (w *warming) resume(ctx context.Context) {
	if activity.IsActivity(ctx) && activity.HasHeartbeatDetails(ctx) {
		var last PassBeat
		if activity.GetHeartbeatDetails(ctx, &last) == nil { // else they are of another version: from the beginning
			w.result, w.before = last.SoFar, slices.Clone(last.SoFar.Passed)
		}
	}
}

// passed notes the end of one customer's pass. One that a cancel cut off has not had its turn.
func (w *warming) passed(ctx context.Context, id string, r engine.Result, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result.Copied += r.Copied
	w.result.Bytes += r.Bytes
	if err != nil && ctx.Err() != nil {
		return
	}
	w.result.Passed = append(w.result.Passed, id)
	why := ""
	switch {
	case err != nil:
		why = err.Error()
	case len(r.Conflicts) > 0:
		why = r.Conflicts[0]
	}
	if why != "" {
		w.result.Unequal = append(w.result.Unequal, id)
		if len(w.result.Failures) < maxFailures {
			w.result.Failures = append(w.result.Failures, fmt.Sprintf("files of customer %q: %s", id, why))
		}
	}
	w.say()
}

// progress notes how far the pass of one customer is.
func (w *warming) progress(p migration.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = p
	w.say()
}

// say tells where the passes are. mu is held.
func (w *warming) say() {
	far := w.result
	far.Passed, far.Unequal, far.Failures = slices.Clone(far.Passed), slices.Clone(far.Unequal), slices.Clone(far.Failures)
	w.tell(PassBeat{Progress: w.now, SoFar: far})
}
