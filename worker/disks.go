package worker

import (
	"context"

	diskactivities "github.com/drover-migration/drover/activities/disks"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/disks"
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

// diskClients are the same clients, as package disks names them.
type diskClients struct{ *clients }

func (c diskClients) EBS(ctx context.Context, t migration.Target) (disks.EBS, error) {
	return c.ebs(ctx, t)
}
func (c diskClients) EC2(ctx context.Context, t migration.Target) (disks.EC2, error) {
	return c.ec2(ctx, t)
}
func (c diskClients) KMS(ctx context.Context, t migration.Target) (diskactivities.KMS, error) {
	return c.kms(ctx, t)
}
