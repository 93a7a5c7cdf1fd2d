package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
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
	s3.ListPartsAPIClient
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	CreateMultipartUpload(context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *s3.UploadPartInput, ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput,
		error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
}

// bucket is the customer's prefix.
type bucket struct {
	api     API
	name    string
	prefix  string
	part    int64 // bytes of a part; what is longer goes in parts, larger ones if there would be too many
	options []func(*s3.Options)
}

// remote is an object as listed.
type remote struct {
	ETag string
	Size int64
}

// stored is what S3 says it keeps.
type stored struct {
	ETag     string
	Size     int64
	Checksum string // SHA-256 as S3 keeps it; empty: none
	SHA256   Digest // as the uploader said; zero: not Drover's
	Local    Local  // as the uploader said; only the carried part
	Modified time.Time
	said     said
}

// is says that an object is what a file is.
func (s stored) is(l Local, sha Digest) bool {
	return s.SHA256 == sha && s.Size == l.Size && s.Local.carried() == l.carried() && agrees(sha, s.Checksum) == nil
}

// link is the target of a symbolic link. Its object's content is the target as well, so that
// metadata that was kept with other content makes no link.
func (s stored) link() (string, bool) {
	return s.Local.Link, s.Local.Link != "" && sha256.Sum256([]byte(s.Local.Link)) == s.SHA256 && int64(len(s.Local.Link)) == s.Size
}

// said is what an object's writer says of it to those who fetch it. It stays when Drover replaces
// the content. The zero value leaves all to the file's name.
type said struct {
	contentType, cacheControl, disposition, encoding, language, redirect *string
	storageClass                                                         types.StorageClass
	metadata                                                             map[string]string // without Drover's own
}

// The keys of user metadata. Values are ASCII.
const (
	metaSHA, metaMode, metaMTime = "drover-sha256", "drover-mode", "drover-mtime"
	metaUID, metaGID, metaLink   = "drover-uid", "drover-gid", "drover-link"
)

// metadata is what an object says of its file, beside what it said already.
func (s said) with(l Local, sha Digest) map[string]string {
	m := maps.Clone(s.metadata)
	if m == nil {
		m = map[string]string{}
	}
	m[metaSHA], m[metaMode] = sha.String(), strconv.FormatUint(uint64(l.Mode), 8)
	m[metaMTime] = fmt.Sprintf("%d.%09d", l.MTime.Sec, l.MTime.Nsec)
	m[metaUID], m[metaGID] = strconv.FormatUint(uint64(l.UID), 10), strconv.FormatUint(uint64(l.GID), 10)
	if l.Link != "" {
		m[metaLink] = url.QueryEscape(l.Link)
	}
	return m
}

// typeOf is what a browser is told of a file.
func (s said) typeOf(p string) *string {
	if s.contentType != nil {
		return s.contentType
	}
	return contentType(p)
}

// fromMetadata reads what metadata wrote; ok is false for an object that Drover did not write.
func fromMetadata(m map[string]string, size int64) (l Local, sha Digest, ok bool) {
	mode, e1 := strconv.ParseUint(m[metaMode], 8, 32)
	mtime, e2 := parseStamp(m[metaMTime])
	uid, e3 := strconv.ParseUint(m[metaUID], 10, 32)
	gid, e4 := strconv.ParseUint(m[metaGID], 10, 32)
	link, e5 := url.QueryUnescape(m[metaLink])
	raw, e6 := hex.DecodeString(m[metaSHA])
	if errors.Join(e1, e2, e3, e4, e5, e6) != nil || len(raw) != len(sha) {
		return Local{}, Digest{}, false
	}
	return Local{Size: size, MTime: mtime, Mode: uint32(mode), UID: uint32(uid), GID: uint32(gid), Link: link}, Digest(raw), true
}

func parseStamp(s string) (Stamp, error) {
	sec, nsec, _ := strings.Cut(s, ".")
	out := Stamp{}
	var err error
	if out.Sec, err = strconv.ParseInt(sec, 10, 64); err != nil {
		return out, err
	}
	n, err := strconv.ParseUint("0"+nsec, 10, 31)
	out.Nsec = int32(n) //nolint:gosec // 31 bits
	return out, err
}

func (b *bucket) key(p string) *string { return aws.String(b.prefix + p) }

func (b *bucket) head(ctx context.Context, p string) (stored, error) {
	in := &s3.HeadObjectInput{Bucket: &b.name, Key: b.key(p), ChecksumMode: types.ChecksumModeEnabled}
	out, err := b.api.HeadObject(ctx, in, b.options...)
	if err != nil {
		return stored{}, classify(err)
	}
	s := stored{
		ETag: aws.ToString(out.ETag), Size: aws.ToInt64(out.ContentLength), Checksum: aws.ToString(out.ChecksumSHA256),
		Modified: aws.ToTime(out.LastModified),
	}
	s.Local, s.SHA256, _ = fromMetadata(out.Metadata, s.Size)
	s.said = said{
		contentType: out.ContentType, cacheControl: out.CacheControl, disposition: out.ContentDisposition, encoding: out.ContentEncoding,
		language: out.ContentLanguage, redirect: out.WebsiteRedirectLocation, storageClass: out.StorageClass,
		metadata: foreign(out.Metadata),
	}
	return s, nil
}

// foreign is metadata without Drover's own.
func foreign(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if !strings.HasPrefix(k, "drover-") {
			out[k] = v
		}
	}
	return out
}

// condition is what must still be so: the object has this ETag, or "" does not exist.
func condition(etag string) (ifMatch, ifNoneMatch *string) {
	if etag == "" {
		return nil, aws.String("*")
	}
	return &etag, nil
}

func (b *bucket) remove(ctx context.Context, p, etag string) error {
	_, err := b.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: b.key(p), IfMatch: &etag}, b.options...)
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
		case "InvalidObjectState":
			return refusal("the object is archived: restore it in S3, and it is carried by the next pass")
		}
	}
	return err
}
