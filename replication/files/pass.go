package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

// sides says what a pass looks at.
type sides bool

const (
	homeOnly  sides = false // the side away from home is taken to be as the manifest says
	bothSides sides = true
)

// action is one thing to do in a pass.
type action struct {
	path   string
	local  *Local  // nil: no file
	remote *remote // nil: no object
	entry  Entry   // as the manifest has it
	known  bool    // the manifest has it
	unseen bool    // the side away from home was not looked at
	do     deed
}

type deed int

const (
	nothingToDo deed = iota
	carryOver        // from home
	removeAway       // what is gone at home
	compareBoth      // the checksums
)

// windowActions is how many actions are collected before they are done. Of a window the deletions
// come first, since a file may have become a folder.
const windowActions = 4096

// pass reads three streams in the order of the paths: the files, the objects and the manifest. What
// differs is carried, window by window, so that memory does not grow with the tree.
func (r *Run) pass(ctx context.Context, at sides) error {
	r.begin()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := r.compare(ctx, at)
	defer p.stop()
	err := r.checkTree(ctx, p)
	for more := true; more && err == nil; {
		var window []action
		window, more, err = p.window()
		if err == nil && len(window) > 0 {
			err = r.perform(ctx, window)
		}
	}
	r.res.Objects = p.objects
	if err == nil && at == bothSides {
		r.ledger.compared(r.From)
	}
	slices.Sort(r.res.Conflicts)
	if err != nil || r.ledger.changed() {
		// What was done is kept, whatever stopped the rest. The error that matters is the first.
		serr := r.save(context.WithoutCancel(ctx), someChanges)
		if err == nil {
			return serr
		}
	}
	return err
}

func (r *Run) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.res, r.total, r.began, r.saved = Result{}, 0, time.Now(), time.Now()
}

// comparison is the three streams of a pass.
type comparison struct {
	*Run
	at      sides
	files   *cursor[found]
	listing *cursor[listed]
	entries *cursor[record]
	objects int64  // seen at home
	hidden  string // a folder of the tree, with its slash, below which nothing is known
	last    string // the path that was looked at last
}

func (r *Run) compare(ctx context.Context, at sides) *comparison {
	c := &comparison{Run: r, at: at}
	var files iter.Seq2[[]found, error] = nothing[found]
	var objects iter.Seq2[[]listed, error] = nothing[listed]
	if r.tree != nil && (at == bothSides || r.From == migration.OnPrem) {
		files = r.tree.walk(ctx, r.Prefix)
	}
	if at == bothSides || r.From == migration.AWS {
		objects = r.bucket.list(ctx, r.ledger.spans())
	}
	c.files, c.listing, c.entries = read(files), read(objects), read(r.ledger.entries(ctx))
	return c
}

func (c *comparison) stop() {
	c.files.stop()
	c.listing.stop()
	c.entries.stop()
}

// checkTree refuses a folder in which nothing is left, as is where a file system is not mounted,
// before it is taken for the truth.
func (r *Run) checkTree(ctx context.Context, c *comparison) error {
	if r.frozen && r.From == migration.AWS {
		return nil // the folder is held open since the warm pass
	}
	files := c.files
	if r.tree != nil && c.at == homeOnly && r.From == migration.AWS {
		files = read(r.tree.walk(ctx, r.Prefix))
		defer files.stop()
	}
	first, err := files.peek()
	if err != nil || first != nil {
		return err
	}
	if r.From == migration.AWS {
		if o, err := c.listing.peek(); err != nil || o == nil {
			return err // nothing would be carried there
		}
	}
	for batch, err := range r.ledger.entries(ctx) {
		if err != nil {
			return err
		}
		if slices.ContainsFunc(batch, func(e record) bool { return e.agreed() }) {
			return ErrNoTree
		}
	}
	return nil
}

// window collects what is to be done next. more is false at the end of the streams.
func (c *comparison) window() (out []action, more bool, err error) {
	for len(out) < windowActions {
		a, ok, err := c.step()
		if err != nil || !ok {
			return out, false, err
		}
		if a.do != nothingToDo {
			out = append(out, a)
		}
	}
	return out, true, nil
}

// step looks at the next path of the three streams.
func (c *comparison) step() (a action, ok bool, err error) {
	f, err := c.files.peek()
	if err != nil {
		return a, false, err
	}
	o, err := c.listing.peek()
	if err != nil {
		return a, false, err
	}
	e, err := c.entries.peek()
	if err != nil {
		return a, false, err
	}
	if f == nil && o == nil && e == nil {
		return a, false, nil
	}
	p := least(f, o, e)
	if p <= c.last && c.last != "" {
		return a, false, fmt.Errorf("%q comes after %q: a listing must be in the order of the keys, as S3's is", p, c.last)
	}
	c.last, a.path = p, p
	refused := ""
	if f != nil && f.path == p {
		refused = c.takeFile(*f, &a)
		c.files.pop()
	}
	if o != nil && o.path == p {
		refused += c.takeObject(*o, &a)
		c.listing.pop()
	}
	if e != nil && e.path == p {
		a.entry, a.known = e.Entry, true
		c.entries.pop()
	}
	if refused == "" && !c.concealed(p) {
		c.decide(&a)
	}
	return a, true, nil
}

func least(f *found, o *listed, e *record) string {
	var paths []string
	if f != nil {
		paths = append(paths, f.path)
	}
	if o != nil {
		paths = append(paths, o.path)
	}
	if e != nil {
		paths = append(paths, e.path)
	}
	return slices.Min(paths)
}

// takeFile takes what a walk found, and answers why the path cannot be carried.
func (c *comparison) takeFile(f found, a *action) (refused string) {
	if f.hidden {
		c.hidden = f.path
	}
	if f.refused == "" {
		a.local = &f.local
		return ""
	}
	return c.refuse(f.path, f.refused, c.From == migration.OnPrem)
}

func (c *comparison) takeObject(o listed, a *action) (refused string) {
	if o.refused == "" {
		a.remote = &o.remote
		return ""
	}
	return c.refuse(o.path, o.refused, c.From == migration.AWS)
}

// refuse records what cannot be carried. What is refused away from home is none of ours and does
// not stand in the way.
func (c *comparison) refuse(p, why string, home bool) string {
	if home {
		c.differs(p, "cannot be carried: "+why)
		return why
	}
	c.note(p, "left alone away from home: "+why)
	return ""
}

// concealed says that a path is below a folder at home that cannot be read: that nothing was found
// there says nothing.
func (c *comparison) concealed(p string) bool {
	return c.hidden != "" && strings.HasPrefix(p, c.hidden) && c.From == migration.OnPrem
}

// decide says what is to be done at a path, by looks and ETags alone: nothing is read.
func (c *comparison) decide(a *action) {
	a.unseen = c.at == homeOnly || c.hidden != "" && strings.HasPrefix(a.path, c.hidden)
	if a.unseen {
		c.assume(a)
	}
	atHome := a.local != nil
	if c.From == migration.AWS {
		atHome = a.remote != nil
	}
	if atHome {
		c.objects++
	}
	switch {
	case atHome && c.settled(*a):
		if !a.entry.Verified {
			a.do = compareBoth
		}
	case atHome:
		a.do = carryOver
	case a.known && a.local == nil && a.remote == nil && !a.unseen && a.entry.Upload == "":
		c.ledger.forget(a.path) // gone on both sides
	case a.known:
		a.do = removeAway
	case a.local != nil || a.remote != nil:
		c.differs(a.path, "is only on the side that is not home and was never carried: remove it, or put it where it belongs")
	}
}

// assume takes the side away from home to be as the manifest says.
func (c *comparison) assume(a *action) {
	if !a.known || a.entry.Pending || c.doubted(a.path) {
		return // it is asked when its turn comes
	}
	if c.From == migration.AWS {
		was := a.entry.Local
		a.local = &was
		return
	}
	a.remote = &remote{ETag: a.entry.ETag, Size: a.entry.Local.Size}
}

func (r *Run) doubted(p string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.doubt[p]
}

// settled says that both sides are as they were when they agreed.
func (r *Run) settled(a action) bool {
	return a.known && a.entry.agreed() && a.entry.Racy.IsZero() && a.local != nil && a.remote != nil &&
		a.entry.Local == *a.local && a.entry.ETag == a.remote.ETag
}

// perform does a window: deletions first.
func (r *Run) perform(ctx context.Context, window []action) error {
	if err := r.intend(ctx, window); err != nil {
		return err
	}
	var deletions, rest []action
	for _, a := range window {
		if a.do == removeAway {
			deletions = append(deletions, a)
		} else {
			rest = append(rest, a)
		}
		r.total += a.size(r.From)
	}
	return errors.Join(r.carry(ctx, deletions), r.carry(ctx, rest))
}

// intend writes down what is about to be touched. Without it a file that a killed pass had carried,
// and that its owner then deleted, would be a stranger on the other side.
func (r *Run) intend(ctx context.Context, window []action) error {
	anew := false
	for _, a := range window {
		if !a.known {
			r.ledger.set(a.path, Entry{Pending: true})
			anew = true
		}
	}
	if !anew {
		return nil
	}
	return r.save(ctx, manyChanges)
}
