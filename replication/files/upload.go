package files

import (
	"context"
	"errors"
	"time"
)

// racyWithin is how long after a change of a file a second one may look the same: longer than a
// tick of the kernel's clock.
const racyWithin = 100 * time.Millisecond

// racySince says that a file is so young that its looks prove nothing, by the time at which it was
// read; zero: it is not. Its last change counts, which nobody can date. By a clock that goes ahead
// of ours it was changed in the future: such a file is read once more by a later pass, which finds
// that it looks as it did.
func racySince(l Local, e Entry) time.Time {
	changed := l.CTime
	if changed == (Stamp{}) {
		changed = l.MTime
	}
	now := time.Now()
	if now.Sub(changed.Time()) >= racyWithin {
		return time.Time{}
	}
	if !e.Racy.IsZero() && e.Local == l && now.Sub(e.Racy) >= racyWithin {
		return time.Time{}
	}
	return now
}

// upload carries a file to the bucket.
func (r *Run) upload(ctx context.Context, a action) error {
	racy := racySince(*a.local, a.entry) // asked before the content is read
	body, sha, err := r.tree.content(ctx, a.path, *a.local)
	if err != nil {
		return err
	}
	err = r.send(ctx, a, Entry{Local: *a.local, SHA256: sha, Racy: racy}, body)
	return errors.Join(err, body.Close())
}

func (r *Run) send(ctx context.Context, a action, e Entry, body content) error {
	o := object{path: a.path, looks: e.Local, sha: e.SHA256, body: body, commit: r.ask}
	if a.remote != nil {
		same, st, err := r.sameObject(ctx, a, e)
		if err != nil {
			return err
		}
		if same {
			e.ETag, e.Checksum, e.Verified = st.ETag, st.Checksum, agrees(e.SHA256, st.Checksum) == nil && st.Checksum != ""
			return r.settle(ctx, a.path, e, false)
		}
		o.etag, o.said = a.remote.ETag, st.said
		if a.known && a.entry.agreed() && a.entry.ETag != o.etag {
			r.note(a.path, "had been changed on AWS while its home is on premises; it was overwritten with what its home has")
		}
	}
	up, err := r.resumed(ctx, a, e)
	if err != nil {
		return err
	}
	st, err := r.bucket.put(ctx, o, up)
	if err != nil {
		return err
	}
	e.ETag, e.Checksum, e.Verified = st.ETag, st.Checksum, st.Checksum != ""
	return r.settle(ctx, a.path, e, true)
}

// sameObject says that the object already is what the file is: only the file's looks changed in a
// way that is not carried, or a pass that was killed had carried it. Where it is not, st tells what
// it says of itself.
func (r *Run) sameObject(ctx context.Context, a action, e Entry) (same bool, st stored, err error) {
	untouched := a.known && a.entry.agreed() && a.remote.ETag == a.entry.ETag
	if untouched && a.entry.SHA256 == e.SHA256 && a.entry.Local.carried() == e.Local.carried() {
		return true, stored{ETag: a.entry.ETag, Checksum: a.entry.Checksum}, nil
	}
	st, err = r.bucket.head(ctx, a.path)
	if err != nil {
		return false, st, err
	}
	return st.ETag == a.remote.ETag && st.is(e.Local, e.SHA256), st, nil
}

// resumed is the upload in parts that an earlier pass began of the same file. One of another
// content is removed.
func (r *Run) resumed(ctx context.Context, a action, e Entry) (*upload, error) {
	up := &upload{begun: func(ctx context.Context, id string) error {
		begun := e
		begun.Pending, begun.Upload = true, id
		r.ledger.set(a.path, begun)
		return r.save(ctx, manyChanges)
	}}
	if a.entry.Upload == "" {
		return up, nil
	}
	if a.entry.SHA256 == e.SHA256 && a.entry.Local.carried() == e.Local.carried() {
		up.id = a.entry.Upload
		return up, nil
	}
	return up, r.bucket.abort(ctx, a.path, a.entry.Upload)
}
