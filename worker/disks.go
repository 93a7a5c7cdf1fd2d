package worker

import (
	"context"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/vsphere"
)

// exporter plays disks over the session of their site.
type exporter struct{ centers *vsphere.Pool }

func (e exporter) ExportDisks(ctx context.Context, site migration.Site, vm migration.VM, snapshot string,
	each func(ctx context.Context, disk migration.Disk,
		grains func(emit func(off int64, data []byte) error) (capacity int64, err error)) error) error {
	s, err := e.centers.Session(ctx, site)
	if err != nil {
		return err
	}
	return s.ExportDisks(ctx, vm, snapshot, each)
}
