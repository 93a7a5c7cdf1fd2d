package files

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// What S3 takes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html.
const (
	maxParts  = 10_000
	maxPart   = 5 << 30            // bytes
	maxObject = maxParts * maxPart // bytes
)

// partsAtOnce is how many parts of one file travel at a time.
const partsAtOnce = 4

// partFor is the size of the parts of an object of this size: part, or as many MiB as leave no more
// parts than S3 takes.
func partFor(part, size int64) int64 {
	least := (size + maxParts - 1) / maxParts
	if least <= part {
		return part
	}
	const mib = 1 << 20
	return (least + mib - 1) / mib * mib
}

// checkSize says why a file of this size cannot be an object; "": it can.
func checkSize(size int64) string {
	if size > maxObject {
		return fmt.Sprintf("it has %d bytes, and an object of S3 at most %d", size, int64(maxObject))
	}
	return ""
}

// upload is one in parts. What was sent before a worker was killed need not be sent again.
type upload struct {
	id    string                                     // of one that an earlier pass began; "": none
	begun func(ctx context.Context, id string) error // records the id, so that the next pass finds it
}

// putParts writes a long object in parts, each with its checksum. It leaves the parts for the next
// pass when it is cut off, and removes them when they are of no use.
func (b *bucket) putParts(ctx context.Context, o object, up *upload) (stored, error) {
	sent, err := b.sent(ctx, o.path, up.id)
	if errors.Is(err, errNoUpload) {
		up.id, err = "", nil
	}
	if err != nil {
		return stored{}, err
	}
	if up.id == "" {
		if up.id, err = b.begin(ctx, o); err != nil {
			return stored{}, err
		}
		if err := up.begun(ctx, up.id); err != nil {
			return stored{}, errors.Join(err, b.abort(context.WithoutCancel(ctx), o.path, up.id))
		}
	}
	st, err := b.sendAndComplete(ctx, o, up.id, sent)
	if errors.Is(err, errChanged) || errors.Is(err, errCondition) {
		err = errors.Join(err, b.abort(context.WithoutCancel(ctx), o.path, up.id))
	}
	return st, err
}

func (b *bucket) begin(ctx context.Context, o object) (string, error) {
	out, err := b.api.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.name, Key: b.key(o.path), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		Metadata: o.said.with(o.looks, o.sha), ContentType: o.said.typeOf(o.path), CacheControl: o.said.cacheControl,
		ContentDisposition: o.said.disposition, ContentEncoding: o.said.encoding, ContentLanguage: o.said.language,
		WebsiteRedirectLocation: o.said.redirect, StorageClass: o.said.storageClass,
	}, b.options...)
	if err != nil {
		return "", classify(err)
	}
	return aws.ToString(out.UploadId), nil
}

// errNoUpload says that there is no such upload: it was completed or removed.
var errNoUpload = errors.New("the upload in parts is gone")

// sent are the parts that S3 has of an upload, by number.
func (b *bucket) sent(ctx context.Context, p, id string) (map[int32]types.Part, error) {
	out := map[int32]types.Part{}
	if id == "" {
		return out, nil
	}
	pages := s3.NewListPartsPaginator(b.api, &s3.ListPartsInput{Bucket: &b.name, Key: b.key(p), UploadId: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, b.options...)
		if err != nil {
			return nil, fmt.Errorf("list the parts of %s: %w", p, uploadError(err))
		}
		for _, part := range page.Parts {
			out[aws.ToInt32(part.PartNumber)] = part
		}
	}
	return out, nil
}

func uploadError(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "NoSuchUpload" {
		return errNoUpload
	}
	return classify(err)
}

// abort removes the parts of an upload.
func (b *bucket) abort(ctx context.Context, p, id string) error {
	_, err := b.api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: b.key(p), UploadId: &id}, b.options...)
	if err == nil || errors.Is(uploadError(err), errNoUpload) {
		return nil
	}
	return fmt.Errorf("remove the parts of %s: %w", p, err)
}

// sendAndComplete reads each part twice, for its checksum and to send it, and keeps none in memory:
// of a file of 5 TiB one has 525 MiB. A part that changes in between is refused by S3, and one that
// changed since the file's digest was computed changed the file's looks.
func (b *bucket) sendAndComplete(ctx context.Context, o object, id string, sent map[int32]types.Part) (stored, error) {
	size, part := o.looks.Size, partFor(b.part, o.looks.Size)
	done := make([]types.CompletedPart, (size+part-1)/part)
	digests := make([]Digest, len(done))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(partsAtOnce)
	for i := range done {
		g.Go(func() (err error) {
			at := int64(i) * part
			n := int32(i) + 1 //nolint:gosec // up to 10,000
			done[i], digests[i], err = b.sendPart(gctx, o, id, n, io.NewSectionReader(o.body, at, min(part, size-at)), sent[n])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return stored{}, err
	}
	if f, ok := o.body.(*os.File); ok {
		if err := unchanged(f, o.looks); err != nil {
			return stored{}, err
		}
	}
	if err := o.commit(ctx); err != nil {
		return stored{}, err
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &b.name, Key: b.key(o.path), UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	}
	in.IfMatch, in.IfNoneMatch = condition(o.etag)
	out, err := b.api.CompleteMultipartUpload(ctx, in, b.options...)
	if errors.Is(uploadError(err), errNoUpload) {
		return stored{}, errGone // the answer to a first request may have been lost
	}
	if err != nil {
		return stored{}, classify(err)
	}
	return stored{ETag: aws.ToString(out.ETag), Size: size, Checksum: composite(digests), SHA256: o.sha}, nil
}

// composite is the checksum that S3 keeps of an object in parts: it has verified each of them.
func composite(parts []Digest) string {
	sums := sha256.New()
	for _, d := range parts {
		sums.Write(d[:])
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(sums.Sum(nil)), len(parts))
}

// sendPart sends a part unless S3 has the same already.
func (b *bucket) sendPart(
	ctx context.Context, o object, id string, n int32, piece *io.SectionReader, has types.Part,
) (types.CompletedPart, Digest, error) {
	h, sha := sha256.New(), Digest{}
	copied, err := io.Copy(h, withContext(ctx, piece))
	if err == nil && copied != piece.Size() {
		err = errChanged
	}
	if err != nil {
		return types.CompletedPart{}, sha, err
	}
	h.Sum(sha[:0])
	sum := sha.base64()
	if aws.ToString(has.ChecksumSHA256) == sum && aws.ToInt64(has.Size) == piece.Size() {
		return types.CompletedPart{PartNumber: &n, ETag: has.ETag, ChecksumSHA256: &sum}, sha, nil
	}
	if _, err := piece.Seek(0, io.SeekStart); err != nil {
		return types.CompletedPart{}, sha, err
	}
	in := &s3.UploadPartInput{
		Bucket: &b.name, Key: b.key(o.path), UploadId: &id, PartNumber: &n,
		Body: piece, ContentLength: aws.Int64(piece.Size()), ChecksumSHA256: &sum,
	}
	out, err := b.api.UploadPart(ctx, in, append(b.options[:len(b.options):len(b.options)], signedAs(sha))...)
	if err != nil {
		return types.CompletedPart{}, sha, uploadError(err)
	}
	return types.CompletedPart{PartNumber: &n, ETag: out.ETag, ChecksumSHA256: &sum}, sha, nil
}
