package files

import (
	"context"
	"errors"
	"io/fs"
)

// compareAgain asks both sides for their checksums: the file is read again, and S3 says what it
// keeps. It is for what was not verified as it was carried. An entry that differs is forgotten but
// for its name, so that the next pass carries it again.
func (r *Run) compareAgain(ctx context.Context, p string, e Entry) error {
	why, err := r.difference(ctx, p, e)
	if err != nil {
		return err
	}
	e.Verified, e.Pending = why == "", why != ""
	r.record(p, e, false)
	if why != "" {
		r.stood(p, why)
	}
	return nil
}

// difference says how the two sides of an entry differ; "": they do not.
func (r *Run) difference(ctx context.Context, p string, e Entry) (string, error) {
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
	sha, err := r.tree.digest(ctx, p, e.Local)
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
