package files

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// refusal says why a file is not carried; the others are.
type refusal string

func (r refusal) Error() string { return string(r) }

// racyWithin is how long after a change of a file a second one may look the same: longer than a tick of the kernel's clock.
const racyWithin = 100 * time.Millisecond

func racy(l Local) bool {
	return time.Since(time.Unix(0, max(l.CTime, l.MTime))) < racyWithin
}

// upload carries a file to the bucket.
func (r *run) upload(ctx context.Context, a action) error {
	young := racy(*a.local) // asked before the content is read
	sha, err := r.tree.sha256(a.path, *a.local)
	if err != nil {
		return err
	}
	e := Entry{Local: *a.local, SHA256: sha, Racy: young}
	if same, err := r.sameObject(ctx, a, &e); err != nil || same {
		if same {
			r.settle(a.path, e, false)
		}
		return err
	}
	etag := ""
	if a.remote != nil {
		etag = a.remote.ETag
		if a.known && !a.entry.Pending && a.entry.ETag != etag {
			r.note(a.path, "had been changed on AWS while its home is on premises; it was overwritten with what its home has", 0)
		}
	}
	body, err := r.tree.content(a.path, *a.local)
	if err != nil {
		return err
	}
	st, err := r.bucket.put(ctx, a.path, *a.local, sha, body, etag, func() error { return r.allowed(ctx) })
	if err := errors.Join(err, body.Close()); err != nil {
		return err
	}
	e.ETag, e.Checksum = st.ETag, st.Checksum
	r.settle(a.path, e, true)
	return nil
}

// sameObject says that the object already is what the file is: only the file's looks changed in a way that is not carried, or a pass
// that was killed had carried it.
func (r *run) sameObject(ctx context.Context, a action, e *Entry) (bool, error) {
	if a.remote == nil || a.remote.Size != a.local.Size {
		return false, nil
	}
	if a.known && !a.entry.Pending && a.remote.ETag == a.entry.ETag {
		if a.entry.SHA256 != e.SHA256 || a.entry.Local.carried() != a.local.carried() {
			return false, nil
		}
		e.ETag, e.Checksum, e.Verified = a.entry.ETag, a.entry.Checksum, a.entry.Verified
		return true, nil
	}
	st, err := r.bucket.head(ctx, a.path)
	if errors.Is(err, errGone) {
		return false, errGone
	}
	if err != nil {
		return false, err
	}
	if st.ETag != a.remote.ETag || st.SHA256 != e.SHA256 || st.Local.carried() != a.local.carried() {
		return false, nil
	}
	e.ETag, e.Checksum = st.ETag, st.Checksum
	return true, nil
}

// download carries an object to the tree.
func (r *run) download(ctx context.Context, a action) error {
	if a.known && !a.entry.Pending && a.local != nil && a.remote.ETag == a.entry.ETag && a.entry.Local.carried() == a.local.carried() {
		// The object is as agreed and the file looks it, but for what a backup may touch, or for its youth: its content decides.
		young := racy(*a.local)
		sha, err := r.tree.sha256(a.path, *a.local)
		if err != nil {
			return err
		}
		if sha == a.entry.SHA256 {
			e := a.entry
			e.Local, e.Racy = *a.local, young
			r.settle(a.path, e, false)
			return nil
		}
	}
	if a.known && !a.entry.Pending && a.local != nil && a.entry.Local.carried() != a.local.carried() {
		r.note(a.path, "had been changed on premises while its home is AWS; it was overwritten with what its home has", 0)
	}
	st, err := r.bucket.head(ctx, a.path)
	if err != nil {
		return err
	}
	if st.ETag != a.remote.ETag {
		return errCondition
	}
	if target, ok := st.link(); ok {
		return r.downloadLink(ctx, a, st, target)
	}
	var sha string
	l, err := r.tree.write(a.path, func(w io.Writer) (Local, error) {
		h := sha256.New()
		if err := r.bucket.get(ctx, a.path, st.ETag, a.remote.Size, io.MultiWriter(w, h)); err != nil {
			return Local{}, err
		}
		sha = hex.EncodeToString(h.Sum(nil))
		if err := agrees(sha, st.Checksum); err != nil {
			return Local{}, err
		}
		if a.known && a.entry.ETag == st.ETag && a.entry.SHA256 != sha {
			return Local{}, refusal(fmt.Sprintf("the object has SHA-256 %s, and had %s when it was carried, under the same ETag: it was damaged", sha, a.entry.SHA256))
		}
		return r.wanted(a, st, sha), nil
	}, a.local, func() error { return r.allowed(ctx) })
	if err != nil {
		return err
	}
	r.settle(a.path, Entry{Local: l, SHA256: sha, ETag: st.ETag, Checksum: st.Checksum, Racy: racy(l)}, true)
	return nil
}

func (r *run) downloadLink(ctx context.Context, a action, st stored, target string) error {
	if (a.local == nil || a.local.Link != target) && escapes(a.path, target) {
		return refusal(fmt.Sprintf("a symbolic link that leads out of the tree (%q) is not made from what a bucket says", target))
	}
	l, err := r.tree.link(a.path, st.Local, a.local, func() error { return r.allowed(ctx) })
	if err != nil {
		return err
	}
	r.settle(a.path, Entry{Local: l, SHA256: st.SHA256, ETag: st.ETag, Checksum: st.Checksum}, true)
	return nil
}

// wanted is how the file shall look: as its object says, if what it says is about this content (whoever writes an object anew may
// have kept its metadata); where it says nothing, as the file looked that it replaces; else plain.
func (r *run) wanted(a action, st stored, sha string) Local {
	if st.SHA256 == sha {
		return st.Local
	}
	want := Local{Mode: 0o644, MTime: st.Modified.UnixNano(), UID: r.tree.uid, GID: r.tree.gid}
	if a.local != nil && a.local.Link == "" {
		want.Mode, want.UID, want.GID = a.local.Mode, a.local.UID, a.local.GID
	}
	return want
}

// agrees compares a digest with a whole object's checksum as S3 keeps it; one made of parts ("...-N") is not comparable.
func agrees(sha, checksum string) error {
	raw, err := base64.StdEncoding.DecodeString(checksum)
	if err == nil && len(raw) == sha256.Size && hex.EncodeToString(raw) != sha {
		return refusal(fmt.Sprintf("the content has SHA-256 %s, S3 keeps the checksum %x", sha, raw))
	}
	return nil
}

func (r *run) deleteObject(ctx context.Context, a action) error {
	if a.remote != nil {
		if err := r.allowed(ctx); err != nil {
			return err
		}
		if err := r.bucket.remove(ctx, a.path, a.remote.ETag); err != nil {
			return err
		}
	}
	r.forget(a.path)
	return nil
}

func (r *run) deleteFile(ctx context.Context, a action) error {
	if a.local != nil {
		if err := r.allowed(ctx); err != nil {
			return err
		}
		if err := r.tree.remove(a.path, *a.local); err != nil {
			return err
		}
	}
	r.forget(a.path)
	return nil
}
