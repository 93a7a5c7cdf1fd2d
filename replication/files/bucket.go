package files

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// API is what is used of S3's client.
type API interface {
	s3.ListObjectsV2APIClient
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	CreateMultipartUpload(context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *s3.UploadPartInput, ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
}

// bucket is the customer's prefix.
type bucket struct {
	api    API
	name   string
	prefix string
	part   int64 // bytes of a part; what is longer goes in parts, larger ones if there would be too many
}

// remote is an object as listed.
type remote struct {
	ETag     string
	Size     int64
	Modified time.Time
}

// list lists the objects by path. refused are those whose keys cannot be paths, with the reason.
func (b *bucket) list(ctx context.Context) (found map[string]remote, refused map[string]string, err error) {
	found, refused = map[string]remote{}, map[string]string{}
	pages := s3.NewListObjectsV2Paginator(b.api, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &b.prefix, EncodingType: types.EncodingTypeUrl})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("list s3://%s/%s: %w", b.name, b.prefix, err)
		}
		for _, o := range page.Contents {
			key := aws.ToString(o.Key)
			if page.EncodingType == types.EncodingTypeUrl { // names that XML cannot carry
				if plain, err := url.QueryUnescape(key); err == nil {
					key = plain
				}
			}
			p := strings.TrimPrefix(key, b.prefix)
			if strings.HasSuffix(key, "/") && aws.ToInt64(o.Size) == 0 {
				continue // what consoles make to show a folder
			}
			if why := checkName(b.prefix, p); why != "" {
				refused[p] = "its key " + why
				continue
			}
			found[p] = remote{ETag: aws.ToString(o.ETag), Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)}
		}
	}
	return found, refused, nil
}

// stored is what S3 says it keeps.
type stored struct {
	ETag     string
	Checksum string // SHA-256 as S3 keeps it; empty: none
	SHA256   string // as the uploader said, hex; empty: not Drover's
	Local    Local  // as the uploader said; only the carried part
	Modified time.Time
}

// link is the target of a symbolic link. Its object's content is the target as well, so that metadata that was kept with other content
// makes no link.
func (s stored) link() (string, bool) {
	sum := sha256.Sum256([]byte(s.Local.Link))
	return s.Local.Link, s.Local.Link != "" && hex.EncodeToString(sum[:]) == s.SHA256 && int64(len(s.Local.Link)) == s.Local.Size
}

// The keys of user metadata. Values are ASCII.
const (
	metaSHA, metaMode, metaMTime, metaUID, metaGID, metaLink = "drover-sha256", "drover-mode", "drover-mtime", "drover-uid", "drover-gid", "drover-link"
)

func metadata(l Local, sha string) map[string]string {
	m := map[string]string{
		metaSHA: sha, metaMode: strconv.FormatUint(uint64(l.Mode), 8), metaMTime: strconv.FormatInt(l.MTime, 10),
		metaUID: strconv.FormatUint(uint64(l.UID), 10), metaGID: strconv.FormatUint(uint64(l.GID), 10),
	}
	if l.Link != "" {
		m[metaLink] = url.QueryEscape(l.Link)
	}
	return m
}

// fromMetadata reads what metadata wrote; ok is false for an object that Drover did not write.
func fromMetadata(m map[string]string, size int64) (l Local, sha string, ok bool) {
	mode, e1 := strconv.ParseUint(m[metaMode], 8, 32)
	mtime, e2 := strconv.ParseInt(m[metaMTime], 10, 64)
	uid, e3 := strconv.ParseUint(m[metaUID], 10, 32)
	gid, e4 := strconv.ParseUint(m[metaGID], 10, 32)
	link, e5 := url.QueryUnescape(m[metaLink])
	if errors.Join(e1, e2, e3, e4, e5) != nil || len(m[metaSHA]) != hex.EncodedLen(sha256.Size) {
		return Local{}, "", false
	}
	return Local{Size: size, MTime: mtime, Mode: uint32(mode), UID: uint32(uid), GID: uint32(gid), Link: link}, m[metaSHA], true
}

func (b *bucket) key(p string) *string { return aws.String(b.prefix + p) }

func (b *bucket) head(ctx context.Context, p string) (stored, error) {
	out, err := b.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: b.key(p), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return stored{}, classify(err)
	}
	s := stored{ETag: aws.ToString(out.ETag), Checksum: aws.ToString(out.ChecksumSHA256), Modified: aws.ToTime(out.LastModified)}
	s.Local, s.SHA256, _ = fromMetadata(out.Metadata, aws.ToInt64(out.ContentLength))
	return s, nil
}

// condition is what must still be so: the object has this ETag, or "" does not exist.
func condition(etag string) (ifMatch, ifNoneMatch *string) {
	if etag == "" {
		return nil, aws.String("*")
	}
	return &etag, nil
}

// put writes an object on a condition and answers what S3 keeps. S3 itself computes the checksum and refuses what differs.
func (b *bucket) put(ctx context.Context, p string, l Local, sha string, body content, etag string, commit func() error) (stored, error) {
	if l.Size > b.part {
		return b.putParts(ctx, p, l, sha, body, etag, commit)
	}
	raw, err := hex.DecodeString(sha)
	if err != nil {
		return stored{}, err
	}
	if err := commit(); err != nil {
		return stored{}, err
	}
	sum := base64.StdEncoding.EncodeToString(raw)
	in := &s3.PutObjectInput{Bucket: &b.name, Key: b.key(p), Body: body, ContentLength: &l.Size, Metadata: metadata(l, sha), ChecksumSHA256: &sum}
	in.IfMatch, in.IfNoneMatch = condition(etag)
	out, err := b.api.PutObject(ctx, in)
	if err != nil {
		return stored{}, classify(err)
	}
	return stored{ETag: aws.ToString(out.ETag), Checksum: sum}, nil
}

// What S3 takes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html.
const (
	maxParts  = 10_000
	maxPart   = 5 << 30            // bytes
	maxObject = maxParts * maxPart // bytes
)

// partFor is the size of the parts of an object of this size: part, or as many MiB as leave no more parts than S3 takes.
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

// putParts writes a long object in parts, each with its checksum. The parts of an upload that fails are removed.
func (b *bucket) putParts(ctx context.Context, p string, l Local, sha string, body content, etag string, commit func() error) (stored, error) {
	up, err := b.api.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.name, Key: b.key(p), Metadata: metadata(l, sha), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	if err != nil {
		return stored{}, classify(err)
	}
	out, err := b.uploadAndComplete(ctx, p, aws.ToString(up.UploadId), l.Size, sha, body, etag, commit)
	if err != nil {
		_, aerr := b.api.AbortMultipartUpload(context.WithoutCancel(ctx), &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: b.key(p), UploadId: up.UploadId})
		var gone *types.NoSuchUpload
		if aerr != nil && !errors.As(aerr, &gone) {
			err = errors.Join(err, fmt.Errorf("remove the parts of %s: %w", p, aerr))
		}
	}
	return out, err
}

// uploadAndComplete reads each part twice, for its checksum and to send it, and keeps none in memory: of a file of 5 TiB one has 525 MiB.
// A part that changes in between is refused by S3.
func (b *bucket) uploadAndComplete(ctx context.Context, p, id string, size int64, sha string, body content, etag string, commit func() error) (stored, error) {
	var done []types.CompletedPart
	whole, sums := sha256.New(), sha256.New()
	part := partFor(b.part, size)
	for n, at := int32(1), int64(0); at < size; n, at = n+1, at+part {
		piece := io.NewSectionReader(body, at, min(part, size-at))
		one := sha256.New()
		if _, err := io.CopyN(io.MultiWriter(whole, one), piece, piece.Size()); err != nil {
			return stored{}, errors.Join(errChanged, err)
		}
		if _, err := piece.Seek(0, io.SeekStart); err != nil {
			return stored{}, err
		}
		raw := one.Sum(nil)
		sums.Write(raw)
		sum := base64.StdEncoding.EncodeToString(raw)
		out, err := b.api.UploadPart(ctx, &s3.UploadPartInput{Bucket: &b.name, Key: b.key(p), UploadId: &id, PartNumber: &n,
			Body: piece, ContentLength: aws.Int64(piece.Size()), ChecksumSHA256: &sum})
		if err != nil {
			return stored{}, classify(err)
		}
		done = append(done, types.CompletedPart{PartNumber: aws.Int32(n), ETag: out.ETag, ChecksumSHA256: &sum})
	}
	if hex.EncodeToString(whole.Sum(nil)) != sha {
		return stored{}, errChanged
	}
	if err := commit(); err != nil {
		return stored{}, err
	}
	in := &s3.CompleteMultipartUploadInput{Bucket: &b.name, Key: b.key(p), UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: done}}
	in.IfMatch, in.IfNoneMatch = condition(etag)
	out, err := b.api.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return stored{}, classify(err)
	}
	return stored{ETag: aws.ToString(out.ETag), Checksum: fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(sums.Sum(nil)), len(done))}, nil
}

// get writes an object's content, exactly that of etag, to w; a long one in parts.
func (b *bucket) get(ctx context.Context, p, etag string, size int64, w io.Writer) error {
	for at := int64(0); at < size || size == 0; at += b.part {
		in := &s3.GetObjectInput{Bucket: &b.name, Key: b.key(p), IfMatch: &etag}
		if size > b.part {
			in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", at, min(at+b.part, size)-1))
		} else {
			in.ChecksumMode = types.ChecksumModeEnabled
		}
		out, err := b.api.GetObject(ctx, in)
		if err != nil {
			return classify(err)
		}
		_, err = io.Copy(w, out.Body)
		if err := errors.Join(err, out.Body.Close()); err != nil {
			return fmt.Errorf("read s3://%s/%s: %w", b.name, *b.key(p), err)
		}
		if size == 0 {
			return nil
		}
	}
	return nil
}

func (b *bucket) remove(ctx context.Context, p, etag string) error {
	_, err := b.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: b.key(p), IfMatch: &etag})
	if err := classify(err); !errors.Is(err, errGone) {
		return err
	}
	return nil
}

var (
	// errCondition says that the object is not the one that was listed.
	errCondition = errors.New("the object was changed by somebody else")
	// errGone says that there is no such object.
	errGone = errors.New("the object is gone")
)

func classify(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "PreconditionFailed", "ConditionalRequestConflict":
			return errCondition
		case "NoSuchKey", "NotFound":
			return errGone
		case "BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch":
			return errChanged // the file changed between its hash and its upload
		}
	}
	return err
}
