package files

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
)

// verify asks both sides for the checksums of everything that was not asked about since it changed: the file is read again, and S3
// says what it keeps. What differs is forgotten, so that the next pass carries it again.
func (r *run) verify(ctx context.Context) error {
	workers := r.Workers
	if workers <= 0 {
		workers = DefaultWorkers
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	r.mu.Lock()
	paths := slices.Sorted(maps.Keys(r.m.Entries))
	r.mu.Unlock()
	for _, p := range paths {
		r.mu.Lock()
		e, ok := r.m.Entries[p]
		r.mu.Unlock()
		if !ok || e.Verified || e.Pending {
			continue
		}
		g.Go(func() error {
			why, err := r.compare(gctx, p, e)
			if err != nil {
				return err
			}
			r.mu.Lock()
			r.res.Verified++
			e.Verified, e.Pending = why == "", why != ""
			r.m.Entries[p] = e
			r.dirty = true
			r.mu.Unlock()
			if why != "" {
				r.differs(p, why)
			}
			return nil
		})
	}
	return g.Wait()
}

// compare says how the two sides of an entry differ; "": they do not.
func (r *run) compare(ctx context.Context, p string, e Entry) (string, error) {
	st, err := r.bucket.head(ctx, p)
	switch {
	case errors.Is(err, errGone):
		return "the object is gone", nil
	case err != nil:
		return "", err
	case st.ETag != e.ETag:
		return "the object changed after it was carried", nil
	case st.Checksum != "" && e.Checksum != "" && st.Checksum != e.Checksum:
		return "S3 keeps another checksum than the one it was given", nil
	case agrees(e.SHA256, st.Checksum) != nil:
		return agrees(e.SHA256, st.Checksum).Error(), nil //nolint:nilerr // it is the answer
	}
	sha, err := r.tree.sha256(p, e.Local)
	switch {
	case errors.Is(err, errChanged), errors.Is(err, fs.ErrNotExist):
		return "the file changed after it was carried", nil
	case err != nil:
		return "", err
	case sha != e.SHA256:
		return "the file's content is not what was carried", nil
	}
	return "", nil
}
