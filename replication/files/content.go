package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"syscall"
)

// errChanged says that a file is not the one that was seen a moment ago.
var errChanged = errors.New("it changed while it was copied")

// content is a file's, to be sent.
type content interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// inMemory is the content of a small file, or of a link, which is its target.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// smallFile is up to how many bytes a file is read once and kept until it is sent. A larger one is
// read again.
const smallFile = 1 << 20

// open opens a file that looks as it did.
func (t *tree) open(p string, l Local) (*os.File, error) {
	f, err := t.root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe that took the file's place would make us wait
	if err != nil {
		return nil, err
	}
	if err := unchanged(f, l); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// unchanged says that an open file still looks as it did.
func unchanged(f *os.File, l Local) error {
	info, err := f.Stat()
	if err == nil && looks(info) != l {
		err = errChanged
	}
	return err
}

// content reads a file whole for its digest, and gives it again to be sent. The caller closes it.
// errChanged: somebody wrote to it meanwhile, and what was read may be of before and after.
func (t *tree) content(ctx context.Context, p string, l Local) (content, Digest, error) {
	var d Digest
	if l.Link != "" {
		return inMemory{bytes.NewReader([]byte(l.Link))}, sha256.Sum256([]byte(l.Link)), nil
	}
	f, err := t.open(p, l)
	if err != nil {
		return nil, d, err
	}
	var small bytes.Buffer
	into := io.Discard
	if l.Size <= smallFile {
		small.Grow(int(l.Size) + 1)
		into = &small
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, into), withContext(ctx, io.LimitReader(f, l.Size+1)))
	if err == nil && n != l.Size {
		err = errChanged
	}
	if err == nil {
		err = unchanged(f, l)
	}
	h.Sum(d[:0])
	if err != nil || l.Size <= smallFile {
		err = errors.Join(err, f.Close())
		return inMemory{bytes.NewReader(small.Bytes())}, d, err
	}
	return f, d, nil
}

// digest is the SHA-256 of a file that looks as it did.
func (t *tree) digest(ctx context.Context, p string, l Local) (Digest, error) {
	body, d, err := t.content(ctx, p, l)
	if err != nil {
		return d, err
	}
	return d, body.Close()
}

// withContext makes reading end with ctx.
func withContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context //nolint:containedctx // it lives as long as one copy
	io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}
