package worker

import (
	"context"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/vsphere"
)

// exporter plays disks over the session of their site.
type exporter struct{ centers *vsphere.Pool }

func (e exporter) Snapshot(ctx context.Context, site migration.Site, vm migration.VM, name string) (string, time.Time, error) {
	s, err := e.centers.Session(ctx, site)
	if err != nil {
		return "", time.Time{}, err
	}
	id, err := s.Snapshot(ctx, vm, name)
	if err != nil {
		return "", time.Time{}, err
	}
	made, err := s.SnapshotMade(ctx, vm, id)
	return id, made, err
}

func (e exporter) ExportDisks(ctx context.Context, site migration.Site, vm migration.VM, snapshot string,
	each func(ctx context.Context, disk migration.Disk,
		grains func(emit func(off int64, data []byte) error) (capacity int64, err error)) error) error {
	s, err := e.centers.Session(ctx, site)
	if err != nil {
		return err
	}
	return s.ExportDisks(ctx, vm, snapshot, each)
}
