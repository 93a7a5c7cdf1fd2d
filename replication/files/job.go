package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Defaults of a Job.
const (
	DefaultPart    = 32 << 20 // bytes; S3 takes parts of at least 5 MiB
	DefaultWorkers = 64
)

// saveEvery is how often a long pass saves its manifest, so that a killed worker does not begin
// again.
const saveEvery = 20 * time.Second

// Job is what a pass is over: one customer's folder and prefix.
type Job struct {
	Root    string         // the customer's folder
	S3      API            //
	Bucket  string         //
	Prefix  string         // the customer's, with its final slash
	From    migration.Side // the home: its files win
	Store   Store          // of the manifest
	Part    int64          // bytes of a part, more in files of over 10,000 parts; 0: DefaultPart
	Workers int            // files at a time, at most; fewer where more do not help; 0: DefaultWorkers
	Verify  bool           // Pass looks at the side away from home again, also where the manifest says how it is
	// Allowed is asked immediately before every effect on either side; an error stops the pass. nil
	// allows all.
	Allowed func(context.Context) error
	// Progress is told now and then; it must be quick. nil: nobody.
	Progress func(migration.Progress)
	// Carried is told of each file that was carried; it must be quick. nil: nobody.
	Carried func(bytes int64)
}

// Result of a pass.
type Result struct {
	Objects   int64    // at home at the end
	Copied    int64    // files whose content or looks were carried
	Deleted   int64    //
	Bytes     int64    // carried
	Verified  int64    // files of which the checksums of both sides were held against each other
	Conflicts []string // what was not carried, or was overwritten although it had changed away from home; each with its path

	differences []string // the conflicts that mean that the sides differ
	open        int      // how many those are
	lasting     int      // how many of those stay until somebody does something
}

// maxConflicts is how many conflicts a result names. All are counted.
const maxConflicts = 1000

// NotEqualError says that after the last pass the two sides differ.
type NotEqualError struct {
	Differences []string // the first of them, each with its path
	Count       int
}

func (e *NotEqualError) Error() string {
	return "files differ between the sides after the last pass: " + listing(e.Differences, e.Count)
}

func listing(s []string, count int) string {
	const most = 5
	if count > most {
		return fmt.Sprintf("%q and %d more", s[:min(most, len(s))], count-most)
	}
	return fmt.Sprintf("%q", s)
}

// ErrNoTree says that the customer's folder, or everything in it, is missing although files were
// carried before: an empty folder is also what is left where a file system is not mounted, and to
// take it for the truth would delete the other side's files.
var ErrNoTree = errors.New("nothing is there although files were carried before: mount its file system; " +
	"if all was deleted on purpose, make the folder with one empty file in it")

// ErrManifest says that another pass has saved the manifest meanwhile: this one stops, and the next
// one reads again.
var ErrManifest = errors.New("another pass over the same files has saved its manifest")

// Run is a pass under way, and what it keeps for the next one.
type Run struct {
	*Job
	tree      *tree // nil: there is no folder yet
	bucket    *bucket
	ledger    *ledger
	pace      *pace
	allowed   func(context.Context) error
	frozen    bool          // the pass is inside a freeze
	predicted time.Duration // of the last pass

	mu    sync.Mutex
	res   Result
	doubt map[string]bool // paths at which something stood in the way: what is there away from home is asked
	total int64
	began time.Time
	saved time.Time
}

// Pass makes one warm pass: whatever differs from the last agreement is carried from Job.From to
// the other side. It looks at both sides only if this was not done yet since the home is where it
// is: nobody but Drover writes away from home. Job.Verify has it look again.
func (j *Job) Pass(ctx context.Context) (Result, error) {
	r, err := j.start(ctx)
	if err != nil {
		return Result{}, err
	}
	defer r.Close()
	at := homeOnly
	if j.Verify || r.ledger.home != j.From {
		at = bothSides
	}
	err = r.warm(ctx, at)
	return r.res, j.wrap(err)
}

// Warm makes a warm pass and keeps what the last pass needs, so that this costs what changed and a
// look at each file at home. It then rehearses the last pass, for Predicted. Call Close in the end.
// *NotEqualError: something stands in the way that the last pass would meet too.
//
// The last pass that follows does not look at the side away from home again. That is sound since
// nobody but Drover writes there, and since each write is conditional on what was seen there.
func (j *Job) Warm(ctx context.Context) (*Run, error) {
	r, err := j.start(ctx)
	if err != nil {
		return nil, err
	}
	err = r.warm(ctx, bothSides)
	if err == nil && r.res.lasting > 0 {
		err = r.res.notEqual()
	}
	if err == nil {
		began := time.Now()
		err = r.pass(ctx, homeOnly)
		r.predicted = time.Since(began)
	}
	if err != nil {
		r.Close()
		return nil, j.wrap(err)
	}
	return r, nil
}

// warm is a pass before a freeze, after which the manifest is in order for the next one.
func (r *Run) warm(ctx context.Context, at sides) error {
	err := r.pass(ctx, at)
	r.ledger.sweep(context.WithoutCancel(ctx))
	return err
}

// Predicted is how long Final takes if nothing changes until then.
func (r *Run) Predicted() time.Duration { return r.predicted }

// finalRounds is how often the last pass tries what did not succeed: a late pass of a cut-off
// worker may have been at it.
const finalRounds = 3

// Final is the last pass, inside a freeze. It carries what changed at home since the warm pass,
// each file verified by its checksums. allowed takes the place of Job.Allowed; it is not asked
// where nothing is carried. The sides are equal if it returns no error. It ends soon after ctx
// does, and at once where S3 refuses connections.
func (r *Run) Final(ctx context.Context, allowed func(context.Context) error) (Result, error) {
	r.allowed = allowed
	if r.tree == nil {
		if err := r.findTree(); err != nil {
			return Result{}, r.wrap(err)
		}
	}
	return r.final(ctx, homeOnly)
}

// Final is the last pass, inside a freeze, by one that made no warm pass before: it looks at both
// sides.
func (j *Job) Final(ctx context.Context) (Result, error) {
	r, err := j.start(ctx)
	if err != nil {
		return Result{}, err
	}
	defer r.Close()
	return r.final(ctx, bothSides)
}

func (r *Run) final(ctx context.Context, at sides) (Result, error) {
	r.frozen = true
	r.bucket.impatient()
	var sum Result
	for range finalRounds {
		if err := r.pass(ctx, at); err != nil {
			return sum.add(r.res), r.wrap(err)
		}
		sum = sum.add(r.res)
		if r.res.open == 0 {
			return sum, nil
		}
	}
	return sum, r.wrap(r.res.notEqual())
}

func (s Result) notEqual() error {
	return &NotEqualError{Differences: slices.Sorted(slices.Values(s.differences)), Count: s.open}
}

func (s Result) add(n Result) Result {
	n.Copied, n.Deleted, n.Bytes, n.Verified = n.Copied+s.Copied, n.Deleted+s.Deleted, n.Bytes+s.Bytes, n.Verified+s.Verified
	n.Conflicts = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(s.Conflicts), n.Conflicts...))))
	return n
}

func (j *Job) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("files of %s and s3://%s/%s: %w", j.Root, j.Bucket, j.Prefix, err)
}

func (j *Job) start(ctx context.Context) (*Run, error) {
	l, err := openLedger(ctx, j.Store)
	if err != nil {
		return nil, j.wrap(err)
	}
	workers := j.Workers
	if workers <= 0 {
		workers = DefaultWorkers
	}
	r := &Run{Job: j, ledger: l, pace: newPace(workers), allowed: j.Allowed, doubt: map[string]bool{}}
	r.bucket = &bucket{api: j.S3, name: j.Bucket, prefix: j.Prefix, part: j.Part}
	if r.bucket.part <= 0 {
		r.bucket.part = DefaultPart
	}
	return r, j.wrap(r.findTree())
}

// findTree opens the customer's folder. It is made only if this customer never had files, and only
// to receive some. Otherwise a mount is missing, and what is carried into another folder would
// disappear under it. A manifest is saved before the first file is carried; one without entries is
// of a customer whose files were all deleted.
func (r *Run) findTree() error {
	t, err := openTree(r.Root, r.ledger.never() && r.From == migration.AWS)
	switch {
	case errors.Is(err, fs.ErrNotExist) && r.ledger.never():
		return nil // a customer that has no files yet
	case errors.Is(err, fs.ErrNotExist):
		return ErrNoTree
	}
	r.tree = t
	return err
}

// Close lets go of the folder.
func (r *Run) Close() {
	if r.tree != nil {
		r.tree.close()
		r.tree = nil
	}
}

func (r *Run) ask(ctx context.Context) error {
	if r.allowed == nil {
		return nil
	}
	return r.allowed(ctx)
}

// save stores the manifest in place of the one that was read. What it says of the tree is safe on
// disk then. Inside a freeze nothing goes to segments.
func (r *Run) save(ctx context.Context, most int) error {
	if r.frozen {
		most = maxHead
	}
	if r.tree != nil {
		if err := r.tree.sync(); err != nil {
			return err
		}
	}
	return r.ledger.save(ctx, most)
}

// differs records what leaves the sides different until somebody does something.
func (r *Run) differs(p, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conflict(p, what, true)
	r.res.lasting++
}

// stood records what stood in the way at a path; the next pass may find it gone.
func (r *Run) stood(p, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conflict(p, what, true)
	r.doubt[p] = true
}

// note records what is worth knowing, and leaves the sides equal.
func (r *Run) note(p, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conflict(p, what, false)
}

func (r *Run) conflict(p, what string, differs bool) {
	said := p + ": " + what
	if len(r.res.Conflicts) < maxConflicts {
		r.res.Conflicts = append(r.res.Conflicts, said)
	}
	if !differs {
		return
	}
	r.res.open++
	if len(r.res.differences) < maxConflicts {
		r.res.differences = append(r.res.differences, said)
	}
}
