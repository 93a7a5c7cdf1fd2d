package files

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// refusal says why a file is not carried; the others are.
type refusal string

func (r refusal) Error() string { return string(r) }

// carry does actions, several at a time. What stands in the way of one is recorded and left to the
// next pass; an error stops.
func (r *Run) carry(ctx context.Context, actions []action) error {
	if len(actions) == 0 {
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, a := range actions {
		if r.pace.start(gctx) != nil {
			break
		}
		g.Go(func() error {
			began := time.Now()
			err := r.one(gctx, a)
			if took := time.Since(began); a.size(r.From) <= smallFile {
				r.pace.end(took)
			} else {
				r.pace.end(0)
			}
			if err != nil && gctx.Err() == nil && ofOne(err) {
				if lasts(err) {
					r.differs(a.path, err.Error())
				} else {
					r.stood(a.path, err.Error())
				}
				err = nil
			}
			if err != nil {
				return err
			}
			r.tell(a.size(r.From))
			if r.saveDue() {
				return r.save(gctx, manyChanges)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// ofOne says that an error is of one file and that the others can be carried.
func ofOne(err error) bool {
	return lasts(err) || errors.Is(err, errChanged) || errors.Is(err, errCondition) || errors.Is(err, errGone) || gone(err)
}

// lasts says that an error of one file stays until somebody does something.
func lasts(err error) bool {
	var no refusal
	var at *fs.PathError
	if errors.As(err, &no) {
		return true
	}
	if !errors.As(err, &at) {
		return false
	}
	return slices.ContainsFunc(ofOneFile, func(e error) bool { return errors.Is(err, e) })
}

// ofOneFile are the answers of a file system that another file may not get: on a disk that is full
// smaller files find room, and those that go make some.
var ofOneFile = []error{fs.ErrPermission, syscall.EROFS, syscall.EIO, syscall.ENAMETOOLONG, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}

func (a action) size(from migration.Side) int64 {
	switch {
	case a.do != carryOver:
		return 0
	case from == migration.AWS:
		return a.remote.Size
	default:
		return a.local.Size
	}
}

// triesOfOne is how often a file that changes while it is read is read again in a pass.
const triesOfOne = 3

func (r *Run) one(ctx context.Context, a action) error {
	if err := r.askAway(ctx, &a); err != nil {
		return err
	}
	if a.entry.Upload != "" && (a.do == removeAway || r.From == migration.AWS) {
		if err := r.bucket.abort(ctx, a.path, a.entry.Upload); err != nil {
			return err
		}
	}
	switch {
	case a.do == removeAway && r.From == migration.OnPrem:
		return r.deleteObject(ctx, a)
	case a.do == removeAway:
		return r.deleteFile(ctx, a)
	case a.do == compareBoth:
		return r.compareAgain(ctx, a.path, a.entry)
	case r.From == migration.AWS:
		return r.download(ctx, a)
	}
	for try := 1; ; try++ {
		err := r.upload(ctx, a)
		if !errors.Is(err, errChanged) || try == triesOfOne {
			return err
		}
		now, why, err := r.tree.look(a.path)
		if err != nil {
			return err
		}
		if why != "" {
			return refusal(why)
		}
		a.local = &now
	}
}

// askAway looks at one path away from home where the pass has not, and where the manifest does not
// say how it is. An object that may be there is not asked about before a first put: that is
// conditional.
func (r *Run) askAway(ctx context.Context, a *action) error {
	if !a.unseen || a.known && a.entry.agreed() && !r.doubted(a.path) {
		return nil
	}
	if r.From == migration.AWS {
		if r.tree == nil {
			return nil
		}
		l, why, err := r.tree.look(a.path)
		if gone(err) || why != "" {
			return nil // what else may be there is in the way when the file is put in place
		}
		a.local = &l
		return err
	}
	if !a.known {
		return nil
	}
	st, err := r.bucket.head(ctx, a.path)
	if errors.Is(err, errGone) {
		return nil
	}
	a.remote = &remote{ETag: st.ETag, Size: st.Size}
	return err
}

func (r *Run) saveDue() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.saved) < saveEvery {
		return false
	}
	r.saved = time.Now()
	return true
}

// measureFor is how long a rate is not named: too little was seen.
const measureFor = 2 * time.Second

func (r *Run) tell(bytes int64) {
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
	if r.Carried != nil && bytes > 0 {
		r.Carried(bytes)
	}
}

// settle records that both sides of a path agree. An entry that is not verified yet is compared at
// once.
func (r *Run) settle(ctx context.Context, p string, e Entry, copied bool) error {
	r.record(p, e, copied)
	if e.Verified {
		return nil
	}
	return r.compareAgain(ctx, p, e)
}

func (r *Run) record(p string, e Entry, copied bool) {
	r.ledger.set(p, e)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.doubt, p)
	if copied {
		r.res.Copied++
	}
	if e.Verified {
		r.res.Verified++
	}
}

func (r *Run) forget(p string) {
	r.ledger.forget(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.doubt, p)
	r.res.Deleted++
}

func (r *Run) deleteObject(ctx context.Context, a action) error {
	if a.remote != nil {
		if err := r.ask(ctx); err != nil {
			return err
		}
		if err := r.bucket.remove(ctx, a.path, a.remote.ETag); err != nil {
			return err
		}
	}
	r.forget(a.path)
	return nil
}

func (r *Run) deleteFile(ctx context.Context, a action) error {
	if a.local != nil {
		if err := r.ask(ctx); err != nil {
			return err
		}
		if err := r.tree.remove(a.path, *a.local); err != nil {
			return err
		}
	}
	r.forget(a.path)
	return nil
}
