package disks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/disks"
)

// Exporter plays the disks of a VM's snapshot, one after the other.
type Exporter interface {
	// Snapshot finds or makes the machine's snapshot of a name: its managed object id, and when it
	// was made, by vCenter's clock.
	Snapshot(ctx context.Context, site migration.Site, vm migration.VM, name string) (id string, made time.Time, err error)
	// ExportDisks calls each for every disk. grains plays the disk's stream once and returns its
	// capacity in bytes; each may leave it unplayed.
	ExportDisks(ctx context.Context, site migration.Site, vm migration.VM, snapshot string,
		each func(ctx context.Context, disk migration.Disk,
			grains func(emit func(off int64, data []byte) error) (capacity int64, err error)) error) error
}

// Clients are a target's. *ebs.Client, *ec2.Client and *kms.Client satisfy what they return.
type Clients interface {
	EBS(context.Context, migration.Target) (disks.EBS, error)
	EC2(context.Context, migration.Target) (disks.EC2, error)
	KMS(context.Context, migration.Target) (KMS, error)
}

// KMS finds the ARN of a key: EBS direct takes nothing else.
type KMS = awsconf.KMS

// checkpoint is one disk's objects in the state bucket. A write holds only against the version that
// this worker read or wrote last: a worker that was cut off and comes back finds itself overtaken.
type checkpoint struct {
	bucket objects.Bucket
	store  migration.StateStore
	target migration.Target
	prefix string
	etags  map[string]string // of the parts
}

func (c *checkpoint) Read(ctx context.Context, part string) ([]byte, error) {
	b, etag, err := c.bucket.Get(ctx, c.store, c.target, c.prefix+part)
	if errors.Is(err, objects.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		c.etags[part] = etag
	}
	return b, err
}

func (c *checkpoint) Write(ctx context.Context, part string, b []byte) error {
	etag, err := c.bucket.Put(ctx, c.store, c.target, c.prefix+part, b, c.etags[part])
	if errors.Is(err, objects.ErrConflict) {
		return fmt.Errorf("another worker copies this disk: %w", err)
	}
	if err == nil {
		c.etags[part] = etag
	}
	return err
}
