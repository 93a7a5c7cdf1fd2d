package files

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// download carries an object to the tree.
func (r *Run) download(ctx context.Context, a action) error {
	was := a.known && a.entry.agreed() && a.local != nil
	if was && a.remote.ETag == a.entry.ETag && a.entry.Local.carried() == a.local.carried() {
		if same, err := r.sameFile(ctx, a); err != nil || same {
			return err
		}
	}
	if was && a.entry.Local.carried() != a.local.carried() {
		r.note(a.path, "had been changed on premises while its home is AWS; it was overwritten with what its home has")
	}
	if a.remote.Size > r.bucket.part {
		return r.downloadLong(ctx, a)
	}
	st, body, err := r.bucket.get(ctx, a.path, a.remote.ETag)
	if err != nil {
		return err
	}
	if target, ok := st.link(); ok {
		return errors.Join(body.Close(), r.downloadLink(ctx, a, st, target))
	}
	err = r.place(ctx, a, &st, func(f *os.File) (d Digest, err error) {
		h := sha256.New()
		_, err = io.Copy(io.MultiWriter(f, h), body)
		if err != nil && strings.Contains(err.Error(), "checksum did not match") { // the client's error has no type
			return d, refusal("the object is damaged: " + err.Error())
		}
		if err != nil {
			return d, r.bucket.broke(a.path, err)
		}
		h.Sum(d[:0])
		return d, nil
	})
	return errors.Join(err, body.Close())
}

// sameFile says that a file whose object is as agreed has the content that was agreed on too: its
// looks changed only in what a backup may touch, or it is young.
func (r *Run) sameFile(ctx context.Context, a action) (bool, error) {
	e := a.entry
	e.Racy = racySince(*a.local, a.entry)
	sha, err := r.tree.digest(ctx, a.path, *a.local)
	if err != nil || sha != a.entry.SHA256 {
		return false, err
	}
	e.Local = *a.local
	return true, r.settle(ctx, a.path, e, false)
}

func (r *Run) downloadLong(ctx context.Context, a action) error {
	st, err := r.bucket.head(ctx, a.path)
	if err != nil {
		return err
	}
	if st.ETag != a.remote.ETag {
		return errCondition
	}
	return r.place(ctx, a, &st, func(f *os.File) (Digest, error) { return r.bucket.getParts(ctx, a.path, st, f) })
}

// place puts an object's content into the tree, and settles the two. fill writes the content and
// answers its digest.
func (r *Run) place(ctx context.Context, a action, st *stored, fill func(*os.File) (Digest, error)) error {
	var sha Digest
	l, err := r.tree.write(a.path, func(f *os.File) (Local, error) {
		var err error
		if sha, err = fill(f); err != nil {
			return Local{}, err
		}
		if err := agrees(sha, st.Checksum); err != nil {
			return Local{}, err
		}
		if a.known && a.entry.agreed() && a.entry.ETag == st.ETag && a.entry.SHA256 != sha {
			return Local{}, refusal(fmt.Sprintf("the object has SHA-256 %s, and had %s when it was carried, under the same ETag: it was "+
				"damaged",
				sha, a.entry.SHA256))
		}
		return r.wanted(a, *st, sha), nil
	}, a.local, func() error { return r.ask(ctx) })
	if err != nil {
		return err
	}
	e := Entry{Local: l, SHA256: sha, ETag: st.ETag, Checksum: st.Checksum, Verified: true} // S3 gave its checksum with the content
	if r.frozen {
		e.Racy = racySince(l, e) // the application may write here within a tick of the clock; before a freeze nobody does
	}
	return r.settle(ctx, a.path, e, true)
}

func (r *Run) downloadLink(ctx context.Context, a action, st stored, target string) error {
	if (a.local == nil || a.local.Link != target) && escapes(a.path, target) {
		return refusal(fmt.Sprintf("a symbolic link that leads out of the tree (%q) is not made from what a bucket says", target))
	}
	l, err := r.tree.link(a.path, st.Local, a.local, func() error { return r.ask(ctx) })
	if err != nil {
		return err
	}
	return r.settle(ctx, a.path, Entry{Local: l, SHA256: st.SHA256, ETag: st.ETag, Checksum: st.Checksum, Verified: true}, true)
}

// wanted is how the file shall look: as its object says, if what it says is about this content
// (whoever writes an object anew may have kept its metadata); where it says nothing, as the file
// looked that it replaces; else plain.
func (r *Run) wanted(a action, st stored, sha Digest) Local {
	if st.SHA256 == sha {
		return st.Local
	}
	want := Local{Mode: 0o644, MTime: stamp(st.Modified), UID: r.tree.uid, GID: r.tree.gid}
	if a.local != nil && a.local.Link == "" {
		want.Mode, want.UID, want.GID = a.local.Mode, a.local.UID, a.local.GID
	}
	return want
}

// agrees compares a digest with a whole object's checksum as S3 keeps it; one made of parts
// ("...-N") is not comparable.
func agrees(sha Digest, checksum string) error {
	raw, err := base64.StdEncoding.DecodeString(checksum)
	if err == nil && len(raw) == sha256.Size && Digest(raw) != sha {
		return refusal(fmt.Sprintf("the content has SHA-256 %s, S3 keeps the checksum %x", sha, raw))
	}
	return nil
}
