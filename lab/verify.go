package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/drover-migration/drover/lab/verify"
)

// Verify compares the ledger with both sides: rows, files and disks. Traffic has stopped when it runs.
func (l *Lab) Verify(ctx context.Context) (*verify.Result, error) {
	exported := map[string]string{}
	for _, e := range l.vcenter.Exports() {
		exported[e.SHA256] = fmt.Sprintf("disk %d of %s", e.Disk, e.VM)
	}
	snapshots, err := l.copies(ctx)
	if err != nil {
		return nil, err
	}
	return verify.Run(ctx, verify.Options{
		Ledger: l.ledger(), Customers: l.customers(), OnPrem: l.onprem.DSN(database), AWS: l.rds.DSN(database),
		Files: &verify.Files{Folder: filepath.Join(l.FilesDir, "{customer}"), Client: l.S3(), Bucket: "attachments", Prefix: "{customer}/"},
		Disks: &verify.Disks{Snapshots: snapshots, Exported: exported, Digest: func(id string, _ int64) (string, int64, error) { return l.blocks.ReadDigest(id) }},
	})
}

// copies are the completed snapshots that a migration made of disks.
func (l *Lab) copies(ctx context.Context) (out []verify.Snapshot, err error) {
	got, err := ec2.NewFromConfig(l.config()).DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{Filters: []types.Filter{{Name: aws.String("tag-key"), Values: []string{"drover:plan"}}}})
	if err != nil {
		return nil, fmt.Errorf("list the copies of disks: %w", err)
	}
	for _, s := range got.Snapshots {
		if s.State != types.SnapshotStateCompleted {
			continue
		}
		copied := verify.Snapshot{ID: aws.ToString(s.SnapshotId)}
		for _, t := range s.Tags {
			if aws.ToString(t.Key) == "drover:bytes" {
				copied.Bytes, _ = strconv.ParseInt(aws.ToString(t.Value), 10, 64)
			}
		}
		out = append(out, copied)
	}
	return out, nil
}
