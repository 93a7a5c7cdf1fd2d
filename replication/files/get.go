package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// get asks for an object's content, exactly that of an ETag, and answers what S3 says of it. The
// caller closes the body.
func (b *bucket) get(ctx context.Context, p, etag string) (stored, io.ReadCloser, error) {
	in := &s3.GetObjectInput{Bucket: &b.name, Key: b.key(p), IfMatch: &etag, ChecksumMode: types.ChecksumModeEnabled}
	out, err := b.api.GetObject(ctx, in, b.options...)
	if err != nil {
		return stored{}, nil, classify(err)
	}
	st := stored{
		ETag: aws.ToString(out.ETag), Size: aws.ToInt64(out.ContentLength), Checksum: aws.ToString(out.ChecksumSHA256),
		Modified: aws.ToTime(out.LastModified),
	}
	st.Local, st.SHA256, _ = fromMetadata(out.Metadata, st.Size)
	return st, out.Body, nil
}

// getParts writes a long object's content to a file, several ranges at a time, and answers its
// digest.
func (b *bucket) getParts(ctx context.Context, p string, st stored, f *os.File) (d Digest, err error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(partsAtOnce)
	for at := int64(0); at < st.Size; at += b.part {
		g.Go(func() error { return b.getRange(gctx, p, st.ETag, at, min(b.part, st.Size-at), f) })
	}
	if err := g.Wait(); err != nil {
		return d, err
	}
	h := sha256.New()
	n, err := io.Copy(h, withContext(ctx, io.NewSectionReader(f, 0, st.Size)))
	if err == nil && n != st.Size {
		err = io.ErrUnexpectedEOF
	}
	h.Sum(d[:0])
	return d, err
}

func (b *bucket) getRange(ctx context.Context, p, etag string, at, n int64, f *os.File) error {
	out, err := b.api.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &b.name, Key: b.key(p), IfMatch: &etag, Range: aws.String(fmt.Sprintf("bytes=%d-%d", at, at+n-1)),
	}, b.options...)
	if err != nil {
		return classify(err)
	}
	got, err := io.Copy(io.NewOffsetWriter(f, at), out.Body)
	if err == nil && got != n {
		err = io.ErrUnexpectedEOF
	}
	if err := errors.Join(err, out.Body.Close()); err != nil {
		return b.broke(p, err)
	}
	return nil
}

// broke says at which end an object broke off on its way home.
func (b *bucket) broke(p string, err error) error {
	if errors.As(err, new(*fs.PathError)) {
		return fmt.Errorf("it cannot be written on premises: %w", err)
	}
	return fmt.Errorf("read s3://%s/%s: %w", b.name, *b.key(p), err)
}
