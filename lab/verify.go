package lab

import (
	"context"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/lab/verify"
	"github.com/drover-migration/drover/migration"
)

// Verify compares the ledger, and what stood before the load, with both sides: rows, fences,
// routes, files and disks. Traffic has stopped when it runs.
func (l *Lab) Verify(ctx context.Context) (*verify.Result, error) {
	exported := map[string]string{}
	for _, e := range l.vcenter.Exports() {
		exported[e.SHA256] = fmt.Sprintf("disk %d of %s", e.Disk, e.VM)
	}
	snapshots, err := l.copies(ctx)
	if err != nil {
		return nil, err
	}
	o := l.truth()
	o.Disks = &verify.Disks{Snapshots: snapshots, Exported: exported, Digest: func(id string, _ int64) (string, int64,
		error) {
		return l.blocks.ReadDigest(id)
	}}
	return verify.Run(ctx, o)
}

// truth is where the truth is found, but that of the disks.
func (l *Lab) truth() verify.Options {
	return verify.Options{
		Ledger: l.ledger(), Customers: l.customers(), OnPrem: l.onprem.DSN(database), AWS: l.rds.DSN(database), Before: l.before,
		Files: &verify.Files{Folder: filepath.Join(l.FilesDir, "{customer}"), Client: l.S3(), Bucket: "attachments", Prefix: "{customer}/"},
		Edge:  &verify.Edge{Sides: l.answering, Stale: l.stale},
	}
}

// lookBefore keeps what is there before anybody drives load.
func (l *Lab) lookBefore(ctx context.Context) (err error) {
	l.before, err = verify.Look(ctx, l.truth())
	return err
}

// answering are the sides that answer a host's requests to each workload, as the application says
// of itself.
func (l *Lab) answering(ctx context.Context, host string) (out []string, err error) {
	for _, path := range []string{"/healthz", "/api/healthz"} {
		res, err := l.get(ctx, l.customerOf(host), path)
		if err != nil {
			return nil, err
		}
		_ = res.Body.Close()
		side, _, ok := strings.Cut(res.Header.Get("X-Served-By"), "/")
		if !ok {
			return nil, fmt.Errorf("%s of %s: %s from nobody who says where it is", path, host, res.Status)
		}
		out = append(out, side)
	}
	return out, nil
}

// stale are the targets of the load balancer's groups where nobody listens. Those that are being
// taken away are none.
func (l *Lab) stale(ctx context.Context) (out []string, err error) {
	c := elb.NewFromConfig(l.AWSConfig())
	groups, err := c.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{})
	if err != nil {
		return nil, err
	}
	for _, g := range groups.TargetGroups {
		targets, err := c.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn})
		if err != nil {
			return nil, err
		}
		for _, t := range targets.TargetHealthDescriptions {
			if t.TargetHealth != nil && t.TargetHealth.State == elbtypes.TargetHealthStateEnumDraining {
				continue
			}
			at := net.JoinHostPort(aws.ToString(t.Target.Id), strconv.Itoa(int(aws.ToInt32(t.Target.Port))))
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", at)
			if err != nil {
				out = append(out, at+" of group "+aws.ToString(g.TargetGroupName))
				continue
			}
			_ = conn.Close()
		}
	}
	return out, nil
}

// copies are the completed snapshots that a migration made of disks.
func (l *Lab) copies(ctx context.Context) (out []verify.Snapshot, err error) {
	got, err := ec2.NewFromConfig(l.AWSConfig()).DescribeSnapshots(ctx,
		&ec2.DescribeSnapshotsInput{Filters: []types.Filter{{Name: aws.String("tag-key"), Values: []string{"drover:plan"}}}})
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

// Remains are what a migration has left behind on the databases and in AWS, each by its kind and
// name; copies of disks and the objects in the state bucket are kept on purpose.
func (l *Lab) Remains(ctx context.Context) (out []string, err error) {
	const made = `SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
UNION ALL SELECT 'subscription ' || subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
WHERE d.datname = current_database()
UNION ALL SELECT 'publication ' || pubname FROM pg_publication
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname IN ('drover', 'drover_observe')
UNION ALL SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE tgname LIKE 'drover%'`
	for _, name := range l.databases() {
		err := l.onBoth(ctx, name, made, func(side migration.Side, rows pgx.Rows) error {
			found, err := pgx.CollectRows(rows, pgx.RowTo[string])
			for _, f := range found {
				out = append(out, fmt.Sprintf("%s of %s on %s", f, name, side))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	machines, err := ec2.NewFromConfig(l.AWSConfig()).DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{
		{Name: aws.String("tag-key"), Values: []string{"drover:plan"}},
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "stopped"}},
	}})
	if err != nil {
		return nil, fmt.Errorf("list the instances: %w", err)
	}
	for _, r := range machines.Reservations {
		for _, i := range r.Instances {
			out = append(out, "instance "+aws.ToString(i.InstanceId))
		}
	}
	rules, err := elb.NewFromConfig(l.AWSConfig()).DescribeRules(ctx, &elb.DescribeRulesInput{ListenerArn: &l.Listener})
	if err != nil {
		return nil, fmt.Errorf("list the rules: %w", err)
	}
	for _, r := range rules.Rules {
		if !aws.ToBool(r.IsDefault) && aws.ToString(r.Priority) != strconv.Itoa(ownRule) {
			out = append(out, "rule "+aws.ToString(r.RuleArn))
		}
	}
	sets, err := l.records(ctx)
	for _, s := range sets {
		if strings.Contains(s, "drover") {
			out = append(out, s)
		}
	}
	return out, err
}

// OpenSides asks all databases where each tenant may write. A side whose directions say otherwise
// than its fences is an error, and so are two databases that say differently.
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
	const homes = `SELECT f.tenant, drover.is_home(f.tenant), bool_or(d.is_on)
		FROM drover.fence f JOIN drover.direction d USING (tenant) GROUP BY 1, 2`
	err := l.onBoth(ctx, name, homes, func(side migration.Side, rows pgx.Rows) error {
		var tenant int
		var open, on bool
		_, err := pgx.ForEachRow(rows, []any{&tenant, &open, &on}, func() error {
			if open {
				out[tenant] = append(out[tenant], string(side))
			}
			if open != on {
				return fmt.Errorf("tenant %d on %s: open %t, replicating %t", tenant, side, open, on)
			}
			return nil
		})
		return err
	})
	return out, err
}

// onBoth asks a database of both sides the same, the one on premises first.
func (l *Lab) onBoth(ctx context.Context, name, sql string, take func(migration.Side, pgx.Rows) error) error {
	for _, s := range []struct {
		side   migration.Side
		server *pg.Server
	}{{migration.OnPrem, l.onprem}, {migration.AWS, l.rds}} {
		c, err := pgx.Connect(ctx, s.server.DSN(name))
		if err != nil {
			return err
		}
		rows, err := c.Query(ctx, sql)
		if err == nil {
			err = take(s.side, rows)
		}
		_ = c.Close(context.WithoutCancel(ctx))
		if err != nil {
			return fmt.Errorf("database %s on %s: %w", name, s.side, err)
		}
	}
	return nil
}
