package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// maxFile is the longest file the application takes, in bytes.
const maxFile = 8 << 20

// fileName is what a customer may call a file: folders of plain names.
var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,4}$`)

// fileStore is where customers' files are.
type fileStore interface {
	put(ctx context.Context, customer, name string, body []byte) error
	get(ctx context.Context, customer, name string) ([]byte, error) // fs.ErrNotExist if there is none
}

// folder is a path with {customer} in it.
type folder string

func (f folder) path(customer, name string) string {
	return filepath.Join(strings.ReplaceAll(string(f), "{customer}", customer), filepath.FromSlash(name))
}

// put writes beside the file and renames, so that nobody ever reads half of one.
func (f folder) put(_ context.Context, customer, name string, body []byte) (err error) {
	path := f.path(customer, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".app-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(body)
	if cerr := errors.Join(tmp.Chmod(0o644), tmp.Close()); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	return err
}

func (f folder) get(_ context.Context, customer, name string) ([]byte, error) {
	return os.ReadFile(f.path(customer, name))
}

// bucketStore is a bucket and a prefix with {customer} in it.
type bucketStore struct {
	client *s3.Client
	bucket string
	prefix string
}

func (b *bucketStore) key(customer, name string) *string {
	return aws.String(strings.ReplaceAll(b.prefix, "{customer}", customer) + name)
}

func (b *bucketStore) put(ctx context.Context, customer, name string, body []byte) error {
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.bucket, Key: b.key(customer, name), Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	return err
}

func (b *bucketStore) get(ctx context.Context, customer, name string) ([]byte, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: b.key(customer, name)})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("s3://%s/%s: %w", b.bucket, *b.key(customer, name), fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Body.Close() }()
	return io.ReadAll(io.LimitReader(out.Body, maxFile))
}
