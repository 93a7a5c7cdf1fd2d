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

// manifests keeps one customer's manifest in the state bucket.
type manifests struct {
	bucket objects.Bucket
	req    FilesRequest
}

func (m *manifests) key() string {
	return path.Join("files", m.req.Plan, m.req.Dataset.Name, m.req.Customer.ID+".json.gz")
}

func (m *manifests) Load(ctx context.Context) ([]byte, string, error) {
	body, etag, err := m.bucket.Get(ctx, m.req.State, m.req.StateTarget, m.key())
	if errors.Is(err, objects.ErrNotFound) {
		return nil, "", nil
	}
	return body, etag, err
}

func (m *manifests) Save(ctx context.Context, body []byte, etag string) (string, error) {
	got, err := m.bucket.Put(ctx, m.req.State, m.req.StateTarget, m.key(), body, etag)
	if errors.Is(err, objects.ErrConflict) {
		return "", fmt.Errorf("%w (%s)", engine.ErrManifest, m.key())
	}
	return got, err
}
