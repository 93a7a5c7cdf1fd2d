package files

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// action is one thing to do in a pass.
type action struct {
	path   string
	local  *Local  // nil: no file
	remote *remote // nil: no object
	entry  Entry   // as the manifest has it
	known  bool    // the manifest has it
	delete bool    // on the side that is not home
}

// pass lists both sides, compares them with the manifest and carries what differs: deletions first, since a file may have become a
// folder.
func (r *run) pass(ctx context.Context) error {
	r.res = Result{}
	locals, remotes := map[string]Local{}, map[string]remote{}
	g, gctx := errgroup.WithContext(ctx)
	refusedHere, refusedThere := map[string]string{}, map[string]string{}
	if r.tree != nil {
		g.Go(func() (err error) { locals, refusedHere, err = r.tree.walk(gctx, r.Prefix); return err })
	}
	g.Go(func() (err error) { remotes, refusedThere, err = r.bucket.list(gctx); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	if len(locals)+len(refusedHere) == 0 && r.m.carried() && (r.From == migration.OnPrem || len(remotes) > 0) {
		return ErrNoTree
	}
	r.refuse(refusedHere, refusedThere)
	deletions, copies := r.plan(locals, remotes)
	if len(deletions)+len(copies) > 0 {
		if err := r.intend(ctx, append(slices.Clone(deletions), copies...)); err != nil {
			return err
		}
	}
	for _, step := range []func() error{
		func() error { return r.carry(ctx, deletions) },
		func() error { return r.carry(ctx, copies) },
		func() error { return r.verify(ctx) },
	} {
		if err := step(); err != nil {
			// What was done is kept, whatever stopped the rest; the error that matters is the first.
			return errors.Join(err, r.save(context.WithoutCancel(ctx)))
		}
	}
	r.res.Objects = int64(len(r.m.Entries))
	slices.Sort(r.res.Conflicts)
	if !r.dirty {
		return nil
	}
	return r.save(ctx)
}

// refuse records what cannot be carried. What is refused away from home is none of ours and does not stand in the way.
func (r *run) refuse(here, there map[string]string) {
	home, away := here, there
	if r.From == migration.AWS {
		home, away = there, here
	}
	for p, why := range home {
		r.differs(p, "cannot be carried: "+why)
	}
	for p, why := range away {
		r.note(p, "left alone away from home: "+why, 0)
	}
}

// plan decides by looks and ETags alone; nothing is read.
func (r *run) plan(locals map[string]Local, remotes map[string]remote) (deletions, copies []action) {
	paths := map[string]bool{}
	for p := range locals {
		paths[p] = true
	}
	for p := range remotes {
		paths[p] = true
	}
	for p := range r.m.Entries {
		if !paths[p] {
			delete(r.m.Entries, p) // gone on both sides
			r.dirty = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		a := action{path: p}
		a.entry, a.known = r.m.Entries[p]
		if l, ok := locals[p]; ok {
			a.local = &l
		}
		if o, ok := remotes[p]; ok {
			a.remote = &o
		}
		if a.agreed() {
			continue
		}
		atHome := a.local != nil
		if r.From == migration.AWS {
			atHome = a.remote != nil
		}
		switch {
		case atHome:
			copies = append(copies, a)
		case a.known:
			a.delete = true
			deletions = append(deletions, a)
		default:
			r.differs(p, "is only on the side that is not home and was never carried: remove it, or put it where it belongs")
		}
	}
	return deletions, copies
}

// agreed says that both sides are as they were when they agreed.
func (a action) agreed() bool {
	return a.known && !a.entry.Pending && !a.entry.Racy && a.local != nil && a.remote != nil && a.entry.Local == *a.local && a.entry.ETag == a.remote.ETag
}

// intend writes down what is about to be touched. Without it a file that a killed pass had carried, and that its owner then deleted,
// would be a stranger on the other side.
func (r *run) intend(ctx context.Context, actions []action) error {
	changed := false
	for _, a := range actions {
		if e, ok := r.m.Entries[a.path]; !ok {
			e.Pending = true
			r.m.Entries[a.path] = e
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return r.save(ctx)
}

// carry does actions, several at a time. A conflict is recorded and left to the next pass; an error stops.
func (r *run) carry(ctx context.Context, actions []action) error {
	workers := r.Workers
	if workers <= 0 {
		workers = DefaultWorkers
	}
	r.total = 0
	for _, a := range actions {
		r.total += a.size(r.From)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, a := range actions {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			err := r.one(gctx, a)
			var no refusal
			switch {
			case errors.As(err, &no), errors.Is(err, errChanged), errors.Is(err, errCondition), errors.Is(err, errGone), errors.Is(err, fs.ErrNotExist):
				r.differs(a.path, err.Error())
			case err != nil:
				return err
			}
			r.tell(a.size(r.From))
			if r.saveDue() {
				return r.save(gctx)
			}
			return nil
		})
	}
	return g.Wait()
}

func (a action) size(from migration.Side) int64 {
	switch {
	case a.delete:
		return 0
	case from == migration.AWS:
		return a.remote.Size
	default:
		return a.local.Size
	}
}

func (r *run) one(ctx context.Context, a action) error {
	switch {
	case a.delete && r.From == migration.OnPrem:
		return r.deleteObject(ctx, a)
	case a.delete:
		return r.deleteFile(ctx, a)
	case r.From == migration.OnPrem:
		return r.upload(ctx, a)
	default:
		return r.download(ctx, a)
	}
}

func (r *run) saveDue() bool {
	r.saveMu.Lock()
	defer r.saveMu.Unlock()
	if time.Since(r.lastSaved) < saveEvery {
		return false
	}
	r.lastSaved = time.Now()
	return true
}

// measureFor is how long a rate is not named: too little was seen.
const measureFor = 2 * time.Second

func (r *run) tell(bytes int64) {
	r.mu.Lock()
	r.res.Bytes += bytes
	p := migration.Progress{Done: r.res.Bytes, Total: r.total, Measuring: time.Since(r.began) < measureFor}
	r.mu.Unlock()
	if !p.Measuring {
		p.Rate = float64(p.Done) / time.Since(r.began).Seconds()
		if p.Rate > 0 {
			p.ETA = migration.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
		}
	}
	if r.Progress != nil {
		r.Progress(p)
	}
}

// settle records that both sides of a path agree.
func (r *run) settle(p string, e Entry, copied bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m.Entries[p] = e
	r.dirty = true
	if copied {
		r.res.Copied++
	}
}

func (r *run) forget(p string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.m.Entries, p)
	r.dirty = true
	r.res.Deleted++
}
