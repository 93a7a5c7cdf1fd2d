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
	DefaultWorkers = 8
)

// saveEvery is how often a long pass saves its manifest, so that a killed worker does not begin again.
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
	Workers int            // files at a time; 0: DefaultWorkers
	// Allowed is asked immediately before every effect on either side; an error stops the pass. nil allows all.
	Allowed func(context.Context) error
	// Progress is told now and then; it must be quick. nil: nobody.
	Progress func(migration.Progress)
}

// Result of a pass.
type Result struct {
	Objects   int64    // on both sides at the end
	Copied    int64    // files whose content or looks were carried
	Deleted   int64    //
	Bytes     int64    // carried
	Verified  int64    // files whose checksums both sides were asked for
	Conflicts []string // what was not carried, or was overwritten although it had changed away from home; each with its path
	open      int      // how many of the conflicts mean that the sides differ
}

// NotEqualError says that after the last pass the two sides differ.
type NotEqualError struct{ Differences []string }

func (e *NotEqualError) Error() string {
	return fmt.Sprintf("files differ between the sides after the last pass: %s", listing(e.Differences))
}

func listing(s []string) string {
	const most = 5
	if len(s) > most {
		return fmt.Sprintf("%q and %d more", s[:most], len(s)-most)
	}
	return fmt.Sprintf("%q", s)
}

// ErrNoTree says that the customer's folder, or everything in it, is missing although files were carried before: an empty folder is also what
// is left where a file system is not mounted, and to take it for the truth would delete the other side's files.
var ErrNoTree = errors.New("nothing is there although files were carried before: mount its file system; if all was deleted on purpose, make the folder with one empty file in it")

// ErrManifest says that another pass has saved the manifest meanwhile: this one stops, and the next one reads again.
var ErrManifest = errors.New("another pass over the same files has saved its manifest")

// run is one pass under way.
type run struct {
	*Job
	tree   *tree
	bucket *bucket

	mu        sync.Mutex
	m         *Manifest
	etag      string // of the manifest as stored
	dirty     bool   // the manifest is not as stored
	res       Result
	total     int64
	began     time.Time
	saveMu    sync.Mutex
	lastSaved time.Time
}

// Pass makes one warm pass: whatever differs from the last agreement is carried from Job.From to the other side.
func (j *Job) Pass(ctx context.Context) (Result, error) {
	r, err := j.start(ctx)
	if err != nil {
		return Result{}, j.wrap(err)
	}
	defer r.close()
	if err := r.pass(ctx); err != nil {
		return r.res, j.wrap(err)
	}
	return r.res, nil
}

// finalRounds is how often Final passes until nothing is left to carry. Writers are fenced: a second round finds nothing, unless a
// late pass of a cut-off worker was at it.
const finalRounds = 3

// Final is the last pass, inside a freeze: it passes until nothing is left to carry, then holds the checksums of both sides against
// each other, for everything that was not verified since it changed. The sides are equal if it returns no error.
func (j *Job) Final(ctx context.Context) (Result, error) {
	r, err := j.start(ctx)
	if err != nil {
		return Result{}, j.wrap(err)
	}
	defer r.close()
	var sum Result
	for range finalRounds {
		if err := r.pass(ctx); err != nil {
			return sum.add(r.res), j.wrap(err)
		}
		sum = sum.add(r.res)
		if r.res.Copied+r.res.Deleted == 0 && r.res.open == 0 {
			return sum, nil
		}
	}
	if r.res.open > 0 {
		return sum, j.wrap(&NotEqualError{Differences: r.res.Conflicts})
	}
	return sum, j.wrap(errors.New("files still changed in the last of three passes although writes are fenced: does something write past the fence?"))
}

func (s Result) add(n Result) Result {
	n.Copied, n.Deleted, n.Bytes, n.Verified = n.Copied+s.Copied, n.Deleted+s.Deleted, n.Bytes+s.Bytes, n.Verified+s.Verified
	n.Conflicts = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(s.Conflicts), n.Conflicts...))))
	return n
}

func (j *Job) wrap(err error) error {
	return fmt.Errorf("files of %s and s3://%s/%s: %w", j.Root, j.Bucket, j.Prefix, err)
}

func (j *Job) start(ctx context.Context) (*run, error) {
	body, etag, err := j.Store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	m, err := decodeManifest(body)
	if err != nil {
		return nil, err
	}
	// Only for a customer that never had files the folder is made, or taken for empty. For any other the real one is elsewhere, behind
	// a mount that is missing: what is carried into another folder is hidden once the mount is back. A manifest is saved before the
	// first file is carried; one without entries is of a customer whose files were all deleted.
	never := etag == ""
	t, err := openTree(j.Root, never && j.From == migration.AWS)
	if errors.Is(err, fs.ErrNotExist) {
		if !never {
			return nil, ErrNoTree
		}
		t, err = nil, nil // a customer that has no files yet
	}
	if err != nil {
		return nil, err
	}
	r := &run{Job: j, tree: t, m: m, etag: etag, began: time.Now(), lastSaved: time.Now()}
	r.bucket = &bucket{api: j.S3, name: j.Bucket, prefix: j.Prefix, part: j.Part}
	if r.bucket.part <= 0 {
		r.bucket.part = DefaultPart
	}
	return r, nil
}

func (r *run) close() {
	if r.tree != nil {
		r.tree.close()
	}
}

func (r *run) allowed(ctx context.Context) error {
	if r.Allowed == nil {
		return nil
	}
	return r.Allowed(ctx)
}

// save stores the manifest in place of the one that was read.
func (r *run) save(ctx context.Context) error {
	r.saveMu.Lock()
	defer r.saveMu.Unlock()
	r.mu.Lock()
	body, err := r.m.encode()
	r.dirty = false
	r.mu.Unlock()
	if err != nil {
		return err
	}
	etag, err := r.Store.Save(ctx, body, r.etag)
	if err != nil {
		return fmt.Errorf("save the manifest: %w", err)
	}
	r.etag, r.lastSaved = etag, time.Now()
	return nil
}

// differs records what leaves the sides different; notes what does not.
func (r *run) differs(p, what string) { r.note(p, what, 1) }

func (r *run) note(p, what string, open int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.res.Conflicts = append(r.res.Conflicts, fmt.Sprintf("%s: %s", p, what))
	r.res.open += open
}
