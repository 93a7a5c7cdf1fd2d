package files

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/files"
)

// S3 gives the client of a target's account and region.
type S3 interface {
	S3(ctx context.Context, target migration.Target) (*s3.Client, error)
}

// Homes reads where a tenant is homed, from the two databases themselves.
type Homes interface {
	Home(ctx context.Context, plan string, fence migration.Dataset, target migration.Target, tenant int64) (migration.HomeRecord, error)
}

// State is the state bucket. *objects.Store is one.
type State interface {
	objects.Bucket
	// Remove deletes an object. One that is gone already is no error.
	Remove(ctx context.Context, at migration.StateStore, target migration.Target, key string) error
}

// manifests keeps one customer's manifest in the state bucket: its head, and its segments below a
// folder of the same name.
type manifests struct {
	bucket State
	req    FilesRequest
}

func (m *manifests) head() string {
	return path.Join("files", m.req.Plan, m.req.Dataset.Name, m.req.Customer.ID+".json.gz")
}

func (m *manifests) segment(name string) string {
	return path.Join("files", m.req.Plan, m.req.Dataset.Name, m.req.Customer.ID, name+".gz")
}

func (m *manifests) Load(ctx context.Context) ([]byte, string, error) {
	body, etag, err := m.bucket.Get(ctx, m.req.State, m.req.StateTarget, m.head())
	if errors.Is(err, objects.ErrNotFound) {
		return nil, "", nil
	}
	return body, etag, err
}

func (m *manifests) Save(ctx context.Context, body []byte, etag string) (string, error) {
	got, err := m.bucket.Put(ctx, m.req.State, m.req.StateTarget, m.head(), body, etag)
	if errors.Is(err, objects.ErrConflict) {
		return "", fmt.Errorf("%w (%s)", engine.ErrManifest, m.head())
	}
	return got, err
}

func (m *manifests) LoadSegment(ctx context.Context, name string) ([]byte, error) {
	body, _, err := m.bucket.Get(ctx, m.req.State, m.req.StateTarget, m.segment(name))
	if errors.Is(err, objects.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s is gone", engine.ErrManifest, m.segment(name))
	}
	return body, err
}

func (m *manifests) SaveSegment(ctx context.Context, name string, body []byte) error {
	_, err := m.bucket.Put(ctx, m.req.State, m.req.StateTarget, m.segment(name), body, "")
	return err
}

func (m *manifests) RemoveSegment(ctx context.Context, name string) error {
	return m.bucket.Remove(ctx, m.req.State, m.req.StateTarget, m.segment(name))
}
