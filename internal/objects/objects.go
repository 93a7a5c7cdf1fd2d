// Package objects is the state bucket: small objects with conditional writes, so that two workers
// that write the same thing never lose each other's. It is not for data that moves (that is
// replication/files) and keeps nothing in memory.
package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/drover-migration/drover/migration"
)

// What a caller can tell apart.
var (
	ErrNotFound = errors.New("no such object")
	ErrConflict = errors.New("the object was changed by somebody else") // a condition did not hold; read again
)

// Any as a Put's condition writes whatever is there.
const Any = "*"

// Bucket is what users of the state bucket need of it. *Store is one; tests have others.
type Bucket interface {
	// Get returns an object's bytes and its ETag, or ErrNotFound.
	Get(ctx context.Context, at migration.StateStore, target migration.Target, key string) (body []byte, etag string, err error)
	// Put writes an object if its ETag is ifMatch; "" wants it not to exist, Any does not care. It
	// answers the new ETag, or ErrConflict.
	Put(ctx context.Context, at migration.StateStore, target migration.Target, key string, body []byte, ifMatch string) (etag string,
		err error)
}

var _ Bucket = (*Store)(nil)

// API is what a Store uses of *s3.Client.
type API interface {
	s3.ListObjectsV2APIClient
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
}

// Store reads and writes objects below a plan's state store.
type Store struct {
	// S3 gives the client of a target; the worker keeps one for each.
	S3 func(context.Context, migration.Target) (*s3.Client, error)
}

func (s *Store) api(ctx context.Context, target migration.Target) (API, error) {
	return s.S3(ctx, target)
}

// Address is where a key below a plan's state store is: s3://BUCKET/PREFIX/KEY.
func Address(at migration.StateStore, key string) string {
	return "s3://" + at.Bucket + "/" + path.Join(at.Prefix, key)
}

// Key is the key below a plan's state store that an Address is of; false: it lies elsewhere.
func Key(at migration.StateStore, address string) (key string, ok bool) {
	prefix := Address(at, "x")
	return strings.CutPrefix(address, strings.TrimSuffix(prefix, "x"))
}

// Get returns an object's bytes and its ETag, or ErrNotFound.
func (s *Store) Get(ctx context.Context, at migration.StateStore, target migration.Target, key string) ([]byte, string, error) {
	c, err := s.api(ctx, target)
	if err != nil {
		return nil, "", err
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &at.Bucket, Key: aws.String(path.Join(at.Prefix, key))})
	if err != nil {
		return nil, "", wrap("read", at, key, err)
	}
	defer func() { _ = out.Body.Close() }()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, "", wrap("read", at, key, err)
	}
	return b, aws.ToString(out.ETag), nil
}

// Put writes an object on a condition and returns its new ETag: ifMatch "" wants the object not to
// exist, Any wants nothing, and anything else is the ETag it must still have. ErrConflict says that
// the condition did not hold.
//
// The answer to a first request may be lost. The client sends it again, and its own write breaks
// the condition. So an object that has exactly these bytes is taken for written. Two writers that
// must know of each other therefore write different bytes.
func (s *Store) Put(ctx context.Context, at migration.StateStore, target migration.Target, key string, body []byte,
	ifMatch string) (string, error) {
	c, err := s.api(ctx, target)
	if err != nil {
		return "", err
	}
	in := &s3.PutObjectInput{Bucket: &at.Bucket, Key: aws.String(path.Join(at.Prefix, key)), Body: bytes.NewReader(body),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256}
	switch ifMatch {
	case "":
		in.IfNoneMatch = aws.String("*")
	case Any:
	default:
		in.IfMatch = &ifMatch
	}
	out, err := c.PutObject(ctx, in)
	if err != nil {
		err = wrap("write", at, key, err)
		if errors.Is(err, ErrConflict) {
			if now, etag, gerr := s.Get(ctx, at, target, key); gerr == nil && bytes.Equal(now, body) {
				return etag, nil
			}
		}
		return "", err
	}
	return aws.ToString(out.ETag), nil
}

// Remove deletes an object. One that is gone already is no error.
func (s *Store) Remove(ctx context.Context, at migration.StateStore, target migration.Target, key string) error {
	c, err := s.api(ctx, target)
	if err != nil {
		return err
	}
	_, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &at.Bucket, Key: aws.String(path.Join(at.Prefix, key))})
	if err = wrap("remove", at, key, err); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// Object is one of the state bucket.
type Object struct {
	Key   string // below the state store's prefix
	Bytes int64
}

// List lists the objects below a folder of the state store, given with its slash at the end.
func (s *Store) List(ctx context.Context, at migration.StateStore, target migration.Target, folder string) (out []Object, err error) {
	c, err := s.api(ctx, target)
	if err != nil {
		return nil, err
	}
	prefix := path.Join(at.Prefix, folder) + "/"
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &at.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap("list", at, folder, err)
		}
		for _, o := range page.Contents {
			key := strings.TrimPrefix(strings.TrimPrefix(aws.ToString(o.Key), at.Prefix), "/")
			out = append(out, Object{Key: key, Bytes: aws.ToInt64(o.Size)})
		}
	}
	return out, nil
}

// Refused says whether the bucket refuses what was asked until somebody makes it, or allows it.
func Refused(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "AccessDenied" || api.ErrorCode() == "NoSuchBucket")
}

func wrap(verb string, at migration.StateStore, key string, err error) error {
	if err == nil {
		return nil
	}
	kind := err
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "NoSuchKey", "NotFound":
			kind = ErrNotFound
		case "PreconditionFailed", "ConditionalRequestConflict":
			kind = ErrConflict
		case "NoSuchBucket":
			return fmt.Errorf("%s s3://%s/%s: the state bucket does not exist; create it, versioned, before the plan is submitted: %w",
				verb, at.Bucket, path.Join(at.Prefix, key), err)
		}
	}
	return fmt.Errorf("%s s3://%s/%s: %w", verb, at.Bucket, path.Join(at.Prefix, key), kind)
}
