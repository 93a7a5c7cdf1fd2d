package lab

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/lab/verify"
	"github.com/drover-migration/drover/migration"
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

// OpenSides asks all databases where each tenant may write. A side whose directions say otherwise than its fences is an error, and so are
// two databases that say differently.
func (l *Lab) OpenSides(ctx context.Context) (map[int][]string, error) {
	var out map[int][]string
	for _, name := range l.databases() {
		sides, err := l.openSides(ctx, name)
		if err != nil {
			return nil, err
		}
		if out != nil && !maps.EqualFunc(out, sides, slices.Equal) {
			return nil, fmt.Errorf("open by tenant: %v in %s, %v in %s", out, database, sides, name)
		}
		out = sides
	}
	return out, nil
}

func (l *Lab) openSides(ctx context.Context, name string) (map[int][]string, error) {
	out := map[int][]string{}
	for _, s := range []struct {
		side   migration.Side
		server *pg.Server
	}{{migration.OnPrem, l.onprem}, {migration.AWS, l.rds}} {
		c, err := pgx.Connect(ctx, s.server.DSN(name))
		if err != nil {
			return nil, err
		}
		rows, err := c.Query(ctx, `SELECT f.tenant, drover.is_home(f.tenant), bool_or(d.is_on) FROM drover.fence f JOIN drover.direction d USING (tenant) GROUP BY 1, 2`)
		if err != nil {
			return nil, err
		}
		var tenant int
		var open, on bool
		_, err = pgx.ForEachRow(rows, []any{&tenant, &open, &on}, func() error {
			if open {
				out[tenant] = append(out[tenant], string(s.side))
			}
			if open != on {
				return fmt.Errorf("tenant %d on %s: open %t, replicating %t", tenant, s.side, open, on)
			}
			return nil
		})
		_ = c.Close(context.WithoutCancel(ctx))
		if err != nil {
			return nil, fmt.Errorf("database %s: %w", name, err)
		}
	}
	return out, nil
}
