package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// Record is everything that a migration could leave behind, one line each, sorted: what stands in
// the databases, in vCenter, in AWS and in the buckets. Two of them are compared.
func (l *Lab) Record(ctx context.Context) (out []string, err error) {
	for _, part := range []func(context.Context) ([]string, error){l.recordDatabases, l.vcenter.State, l.recordEC2, l.recordServices,
		l.recordRoutes, l.recordBuckets} {
		lines, err := part(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	slices.Sort(out)
	return out, nil
}

// recordDatabases leaves out what the application has: a copy of it stays on AWS.
func (l *Lab) recordDatabases(ctx context.Context) (out []string, err error) {
	const all = `SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
UNION ALL SELECT 'subscription ' || subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()
UNION ALL SELECT 'publication ' || pubname FROM pg_publication
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
UNION ALL SELECT 'role ' || rolname FROM pg_roles
UNION ALL SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'replica identity ' || relreplident::text || ' of ' || oid::regclass FROM pg_class WHERE relkind IN ('r', 'p')
	AND relnamespace = 'public'::regnamespace AND relreplident <> 'd'
UNION ALL SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')`
	for _, name := range l.databases() {
		if err := l.onBoth(ctx, name, all, func(side migration.Side, rows pgx.Rows) error {
			found, err := pgx.CollectRows(rows, pgx.RowTo[string])
			for _, f := range found {
				out = append(out, fmt.Sprintf("%s: %s of %s", side, f, name))
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *Lab) recordEC2(ctx context.Context) (out []string, err error) {
	c := ec2.NewFromConfig(l.AWSConfig())
	machines, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
	if err != nil {
		return nil, fmt.Errorf("list the instances: %w", err)
	}
	for _, r := range machines.Reservations {
		for _, i := range r.Instances {
			if i.State.Name != types.InstanceStateNameTerminated {
				out = append(out, "instance "+aws.ToString(i.InstanceId))
			}
		}
	}
	images, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		return nil, fmt.Errorf("list the images: %w", err)
	}
	for _, i := range images.Images {
		out = append(out, "image "+aws.ToString(i.ImageId))
	}
	copies, err := c.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"},
		Filters: []types.Filter{{Name: aws.String("tag-key"), Values: []string{"drover:plan"}}}})
	if err != nil {
		return nil, fmt.Errorf("list the copies of disks: %w", err)
	}
	for _, s := range copies.Snapshots {
		out = append(out, "snapshot "+aws.ToString(s.SnapshotId))
	}
	volumes, err := c.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})
	if err != nil {
		return nil, fmt.Errorf("list the volumes: %w", err)
	}
	for _, v := range volumes.Volumes {
		out = append(out, "volume "+aws.ToString(v.VolumeId))
	}
	return out, nil
}

func (l *Lab) recordServices(ctx context.Context) (out []string, err error) {
	c := ecs.NewFromConfig(l.AWSConfig())
	clusters, err := c.ListClusters(ctx, &ecs.ListClustersInput{})
	if err != nil {
		return nil, fmt.Errorf("list the clusters: %w", err)
	}
	for _, cluster := range clusters.ClusterArns {
		services, err := c.ListServices(ctx, &ecs.ListServicesInput{Cluster: &cluster})
		if err != nil {
			return nil, fmt.Errorf("list the services: %w", err)
		}
		if len(services.ServiceArns) == 0 {
			continue
		}
		described, err := c.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: services.ServiceArns})
		if err != nil {
			return nil, fmt.Errorf("describe the services: %w", err)
		}
		for _, s := range described.Services {
			if aws.ToString(s.Status) == "ACTIVE" { // one that was deleted is shown for a while
				out = append(out, "service "+aws.ToString(s.ServiceArn))
			}
		}
	}
	defs, err := c.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{Status: "ACTIVE"})
	if err != nil {
		return nil, fmt.Errorf("list the task definitions: %w", err)
	}
	for _, d := range defs.TaskDefinitionArns {
		out = append(out, "task definition "+d)
	}
	return out, nil
}

func (l *Lab) recordRoutes(ctx context.Context) (out []string, err error) {
	c := elb.NewFromConfig(l.AWSConfig())
	rules, err := c.DescribeRules(ctx, &elb.DescribeRulesInput{ListenerArn: &l.Listener})
	if err != nil {
		return nil, fmt.Errorf("list the rules: %w", err)
	}
	for _, r := range rules.Rules {
		out = append(out, "rule "+aws.ToString(r.RuleArn))
	}
	groups, err := c.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{})
	if err != nil {
		return nil, fmt.Errorf("list the target groups: %w", err)
	}
	for _, g := range groups.TargetGroups {
		out = append(out, "target group "+aws.ToString(g.TargetGroupName))
	}
	sets, err := l.records(ctx)
	return append(out, sets...), err
}

func (l *Lab) recordBuckets(ctx context.Context) (out []string, err error) {
	all, err := l.S3().ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return nil, fmt.Errorf("list the buckets: %w", err)
	}
	for _, b := range all.Buckets {
		pages := s3.NewListObjectsV2Paginator(l.S3(), &s3.ListObjectsV2Input{Bucket: b.Name})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("list bucket %s: %w", aws.ToString(b.Name), err)
			}
			for _, o := range page.Contents {
				out = append(out, "object "+aws.ToString(b.Name)+"/"+aws.ToString(o.Key))
			}
		}
	}
	return out, nil
}

// New are the lines of a later record that an earlier one does not have. What the application has
// on premises counts as there before on AWS: the copy of it stays.
func New(before, after []string) (out []string) {
	for _, line := range after {
		at := strings.TrimPrefix(line, "aws: ")
		if !slices.Contains(before, line) && (at == line || !slices.Contains(before, "onprem: "+at)) {
			out = append(out, line)
		}
	}
	return out
}
