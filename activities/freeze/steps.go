package freeze

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

const (
	fenceWait     = 250 * time.Millisecond // between two attempts to fence past a customer's long writers
	fencePatience = 12                     // such attempts before the try is given up
	openPatience  = 3 * time.Second        // how long a destination may find itself behind, once the origin is sealed
	pause         = 3 * time.Millisecond   // before a step that found somebody in its way is asked for again
	answerIn      = 50 * time.Millisecond  // kept back of a lease, so that what did not arrive is an answer and no time-out
)

// freezing is a freeze under way.
type freezing struct {
	req    Request
	files  Files
	doctor Doctor
	caller *hooks.Caller
	say    func(migration.MoveStep)
	result Result

	databases []*database // in the plan's order
	passes    []pass
	hooks     []hook
	give      func() // the turn back; nil: it is not ours
	lease     time.Time
}

// database is a customer's tenant in one of its databases.
type database struct {
	name  string
	first bool // of all the customer's databases: it is the commit point
	pair  *engine.Pair
	*engine.Freeze
}

// pass is the last one over one file dataset.
type pass struct {
	migration.Dataset
	fence *engine.Freeze // of the database that fences the files
	Pass
}

// steps in their order.
var steps = []migration.MoveStep{migration.StepChecking, migration.StepFencing,
	migration.StepDraining, migration.StepCalling, migration.StepSealing, migration.StepOpening}

// run is the freeze. Up to the seal a cancel stops it; from there on both sides may be closed, and
// it goes to its end.
func (f *freezing) run(ctx context.Context) error {
	first, last := slices.Index(steps, f.req.First), slices.Index(steps, f.req.Last)
	if first < 0 || last < first {
		return fmt.Errorf("freeze customer %q: there are no steps from %q to %q", f.req.Slice.Customer.ID, f.req.First, f.req.Last)
	}
	if steps[first] == migration.StepChecking {
		if err := f.check(ctx); err != nil || len(migration.Blockers(f.result.Findings)) > 0 || first == last {
			return err
		}
		first++
	}
	begins := steps[first] == migration.StepFencing
	if begins {
		if err := f.prepare(ctx); err != nil {
			return err
		}
		if err := f.warm(ctx); err != nil {
			return err
		}
	}
	if err := f.hold(ctx, begins); err != nil {
		return err
	}
	budget := f.req.Slice.Policy.FreezeBudget.D()
	f.lease = time.Now().Add(budget) // of a fence of an earlier activity less is left: the databases know
	do := map[migration.MoveStep]func(context.Context) error{
		migration.StepFencing: f.fence, migration.StepDraining: f.drain, migration.StepCalling: f.call, migration.StepSealing: f.seal,
		migration.StepOpening: f.openAll,
	}
	for _, step := range steps[first : last+1] {
		if step == migration.StepCalling && len(f.wanted()) == 0 {
			continue
		}
		if step == migration.StepSealing {
			if err := ctx.Err(); err != nil {
				return err
			}
			ctx = context.WithoutCancel(ctx)
		}
		f.result.Step = step
		f.say(step)
		if err := do[step](ctx); err != nil {
			return err
		}
	}
	return nil
}

// open finds the connections of every database at the site.
func (f *freezing) open(ctx context.Context, pairs Pairs) error {
	for i, d := range f.req.Slice.Databases {
		if d.Site() != f.req.Site {
			continue
		}
		p, err := pairs.Open(ctx, f.req.Spec.Plan, d, f.req.Slice.Target(d.Target()))
		if err != nil {
			return err
		}
		f.databases = append(f.databases, &database{name: d.Name, first: i == 0, pair: p, Freeze: p.Freeze(f.attempt())})
	}
	for _, d := range f.req.Slice.Files {
		if d.Site() != f.req.Site {
			continue
		}
		p := pass{Dataset: d}
		fence := f.req.Slice.Database(d.Files.FencedBy)
		if fence == nil {
			return fmt.Errorf("files %s: they are fenced by no database of this customer; give them fencedBy in the plan", d.Name)
		}
		pair, err := pairs.Open(ctx, f.req.Spec.Plan, *fence, f.req.Slice.Target(fence.Target()))
		if err != nil {
			return err
		}
		p.fence = pair.Freeze(f.attempt())
		f.passes = append(f.passes, p)
	}
	return nil
}

func (f *freezing) attempt() engine.Attempt {
	policy := f.req.Slice.Policy
	return engine.Attempt{From: f.req.From, Tenant: f.req.Slice.Customer.Tenant, Try: f.req.Try, Lease: policy.FreezeBudget.D(),
		Patience: policy.Patience.D()}
}

// warm makes the passes over files that take their time, while the customer writes.
func (f *freezing) warm(ctx context.Context) error {
	defer measure(&f.result.Took.Warm)()
	if err := f.begin(ctx, true); err != nil {
		return err
	}
	besides, and := engine.StepsTake, ""
	if take := f.hooksTake(); take > 0 {
		besides, and = besides+take, fmt.Sprintf(" and the hooks %s", take.Round(time.Millisecond))
	}
	for _, p := range f.passes {
		d := p.Predicted()
		if d > 0 {
			f.result.Predicted = max(f.result.Predicted, migration.Duration(d+besides))
		}
		if d+besides > f.req.Slice.Policy.FreezeBudget.D() {
			return fmt.Errorf("the last pass over %s would take %s%s, and the budget is %s: raise policy.freezeBudget", p.Name,
				d.Round(time.Millisecond), and, f.req.Slice.Policy.FreezeBudget)
		}
	}
	return nil
}

func (f *freezing) begin(ctx context.Context, warm bool) error {
	g, gctx := errgroup.WithContext(ctx)
	for i := range f.passes {
		p := &f.passes[i]
		g.Go(func() (err error) {
			p.Pass, err = f.files.Begin(gctx, Tree{Spec: f.req.Spec, Slice: f.req.Slice, Dataset: p.Dataset, From: f.req.From}, warm)
			if err != nil {
				return fmt.Errorf("pass over %s: %w", p.Name, plain(err))
			}
			return nil
		})
	}
	return g.Wait()
}

// hold takes the turn of all freezes of this process, then connections of each side, and rehearses
// the steps on them.
func (f *freezing) hold(ctx context.Context, rehearse bool) error {
	if len(f.databases) == 0 {
		return nil
	}
	if rehearse { // steps of a fence that stands already wait for nobody's
		turned := measure(&f.result.Took.Turn)
		give, err := f.databases[0].pair.Turn().Take(ctx)
		turned()
		if err != nil {
			return err
		}
		f.give = give
	}
	defer measure(&f.result.Took.Rehearse)()
	g, gctx := errgroup.WithContext(ctx)
	for _, d := range f.databases {
		g.Go(func() error {
			held, err := d.pair.HoldFreeze(gctx, d.Attempt)
			if err != nil {
				return err
			}
			d.Freeze = held
			if !rehearse {
				return nil
			}
			return held.Rehearse(gctx)
		})
	}
	return g.Wait()
}

// letGo gives connections and turn back.
func (f *freezing) letGo() {
	for _, d := range f.databases {
		d.Release()
	}
	if f.give != nil {
		f.give()
		f.give = nil
	}
}

func (f *freezing) release() {
	f.letGo()
	for _, p := range f.passes {
		if p.Pass != nil {
			p.Close()
		}
	}
}

// each asks every database of the site for a step at once, and says the first error in the plan's
// order.
func (f *freezing) each(do func(*database) error) error {
	errs := make([]error, len(f.databases))
	var all sync.WaitGroup
	for i, d := range f.databases {
		all.Go(func() { errs[i] = do(d) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

var errBusy = errors.New("the customer's writers did not finish in time: look for long transactions of its tenant")

// fence closes the origin to the customer. While writers under way keep all its databases open,
// others have the turn.
func (f *freezing) fence(ctx context.Context) error {
	defer measure(&f.result.Took.Fence)()
	fenced := make([]bool, len(f.databases))
	var mu sync.Mutex
	for range fencePatience {
		f.lease = time.Now().Add(f.req.Slice.Policy.FreezeBudget.D())
		busy := errors.New("busy")
		err := f.each(func(d *database) error {
			r, err := d.Fence(ctx)
			switch {
			case err != nil:
				return err
			case r.Word == migration.WordBusy:
				return busy
			case r.Word != migration.WordFenced:
				return said("fence", d.name, r.Word)
			}
			mu.Lock()
			defer mu.Unlock()
			fenced[slices.Index(f.databases, d)] = true
			if f.result.Fenced.IsZero() || r.At.Before(f.result.Fenced) {
				f.result.Fenced = r.At
			}
			return nil
		})
		if !errors.Is(err, busy) {
			return err
		}
		waited := !slices.Contains(fenced, true)
		if waited {
			f.letGo()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(fenceWait):
		}
		if waited {
			if err := f.hold(ctx, true); err != nil {
				return err
			}
		}
	}
	return errBusy
}

// drain waits until everything written before the fence is at the destination, rows by replication
// and files by the last pass, and compares the customer's rows and files on both sides while nobody
// writes them.
func (f *freezing) drain(ctx context.Context) error {
	defer measure(&f.result.Took.Drain)()
	ctx, cancel := context.WithDeadline(ctx, f.lease)
	defer cancel()
	for _, p := range f.passes {
		if p.Pass == nil { // the fence is an earlier activity's: nothing was begun before it
			if err := f.begin(ctx, false); err != nil {
				return err
			}
			break
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	checked := make([]migration.Checked, len(f.databases)+len(f.passes))
	for i, d := range f.databases {
		g.Go(func() error {
			found, err := d.Drain(gctx, time.Until(f.lease)-answerIn)
			mu.Lock()
			defer mu.Unlock()
			f.result.Rows += found.Rows
			checked[i] = migration.Checked{Dataset: d.name, Tables: found.Tables, Rows: found.Rows, Sum: found.Sum,
				OnPrem: d.Version(migration.OnPrem), AWS: d.Version(migration.AWS)}
			f.result.Took.Mark = max(f.result.Took.Mark, migration.Duration(found.Mark))
			switch {
			case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
				return fmt.Errorf("verify %s: the comparison of the customer's rows on both sides did not end within the freeze budget: %w",
					d.name, err)
			case err != nil:
				return err
			case found.Word != migration.WordFenced:
				return fmt.Errorf("drain %s: the mark did not arrive within the freeze budget: replication is behind", d.name)
			case len(found.Differences) > 0:
				return fmt.Errorf("verify %s: the sides differ: %s", d.name,
					strings.Join(found.Differences[:min(len(found.Differences), mostDifferences)], "; "))
			}
			return nil
		})
	}
	for i, p := range f.passes {
		g.Go(func() error {
			var took migration.Duration
			done := measure(&took)
			objects, err := p.Final(gctx, func(ctx context.Context) error { return stands(ctx, p.Name, p.fence) })
			done()
			mu.Lock()
			defer mu.Unlock()
			f.result.Objects += objects
			checked[len(f.databases)+i] = migration.Checked{Dataset: p.Name, Objects: objects}
			f.result.Took.Files = max(f.result.Took.Files, took)
			if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				err = fmt.Errorf("it did not end within the freeze budget: %w", err)
			}
			if err != nil {
				return fmt.Errorf("last pass over %s: %w", p.Name, plain(err))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	f.result.Checked, f.result.Verified = checked, time.Now().UTC()
	return nil
}

// plain is what an error of another activity says, without the words that Temporal puts around it.
func plain(err error) error {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return errors.New(app.Message())
	}
	return err
}

// mostDifferences keeps a result small: who sees ten will look for the rest.
const mostDifferences = 10

// stands allows an effect on files while the fence of this try stands.
func stands(ctx context.Context, name string, fence *engine.Freeze) error {
	ok, err := fence.Standing(ctx)
	if err == nil && !ok {
		err = fmt.Errorf("files %s: the fence of try %s on %s no longer stands", name, fence.Try, fence.From)
	}
	return err
}

// seal closes the origin for good, while the lease lives.
func (f *freezing) seal(ctx context.Context) error {
	defer measure(&f.result.Took.Seal)()
	err := f.each(func(d *database) error {
		for {
			r, err := d.Seal(ctx)
			switch {
			case err != nil:
				return err
			case r.Word == migration.WordSealed:
				return nil
			case r.Word != migration.WordBusy:
				return said("seal", d.name, r.Word)
			}
			time.Sleep(pause) // the lease ends it: the seal of a fence that has run out is refused
		}
	})
	if err == nil {
		f.result.Sealed = time.Now().UTC()
	}
	return err
}

// openAll makes the destination the home. The customer's first database is the commit point; the
// others open after it and only roll forward, which the workflow goes on with where this does not
// come to the end.
func (f *freezing) openAll(ctx context.Context) error {
	defer measure(&f.result.Took.Open)()
	f.result.RestOpen = true
	for _, d := range f.databases {
		at, err := openOne(ctx, d)
		switch {
		case err != nil && (d.first || f.result.Opened.IsZero()):
			return err
		case err != nil:
			f.result.RestOpen = false
		case d.first:
			f.result.Opened = at
		}
	}
	return nil
}

func openOne(ctx context.Context, d *database) (time.Time, error) {
	begun := time.Now()
	for {
		r, err := d.Open(ctx)
		switch {
		case err != nil:
			return time.Time{}, err
		case r.Word == migration.WordOpen:
			return r.At, nil
		case r.Word != migration.WordBehind && r.Word != migration.WordBusy || time.Since(begun) > openPatience:
			return time.Time{}, said("open", d.name, r.Word)
		}
		time.Sleep(pause)
	}
}

// measure adds the time until it is called again.
func measure(into *migration.Duration) func() {
	begun := time.Now()
	return func() { *into += migration.Duration(time.Since(begun)) }
}
