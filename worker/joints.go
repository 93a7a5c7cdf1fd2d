package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/drover-migration/drover/activities/evidence"
	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/worker/permissions"
)

// instances finds databases by their RDS identifier. It needs rds:DescribeDBInstances.
type instances struct{ siteClients }

func (i instances) Endpoint(ctx context.Context, target migration.Target, id string) (host string, port int, dbname string, err error) {
	client, err := i.RDS(ctx, target)
	if err != nil {
		return "", 0, "", err
	}
	var c permissions.Databases = client
	out, err := c.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if err != nil {
		return "", 0, "", fmt.Errorf("find RDS instance %q in target %q: %w", id, target.Name, err)
	}
	if len(out.DBInstances) != 1 || out.DBInstances[0].Endpoint == nil {
		return "", 0, "", fmt.Errorf("RDS instance %q in target %q has no endpoint yet: wait until it is available", id, target.Name)
	}
	db := out.DBInstances[0]
	return aws.ToString(db.Endpoint.Address), int(aws.ToInt32(db.Endpoint.Port)), aws.ToString(db.DBName), nil
}

// vault finds the secrets of a target's databases where the target is.
type vault struct{ *secrets.Resolver }

func (v vault) Resolve(ctx context.Context, in migration.Target, ref migration.SecretRef) (string, error) {
	return v.For(in).Resolve(ctx, ref)
}

// tenants reads home records from the databases of customers.
type tenants struct{ pairs *engine.Connector }

// Home reads one tenant's record.
func (h tenants) Home(ctx context.Context, plan string, fence migration.Dataset, target migration.Target,
	tenant int64) (migration.HomeRecord, error) {
	p, err := h.pairs.Open(ctx, plan, fence, target)
	if err != nil {
		return migration.HomeRecord{}, err
	}
	return p.Home(ctx, tenant)
}

// backends tells health where the router sends requests, and what the load balancer counts.
type backends struct {
	router  *alb.Router
	metrics func(context.Context, migration.Target) (*cloudwatch.Client, error)
}

// Front is the load balancer.
func (b backends) Front(ctx context.Context, target migration.Target, route migration.Route) (health.Endpoint, error) {
	if route.ALB == nil {
		return health.Endpoint{}, errors.New("the route has no load balancer")
	}
	host, port, https, err := b.router.Listener(ctx, target, route.ALB.Listener)
	return health.Endpoint{Address: net.JoinHostPort(host, strconv.Itoa(port)), HTTPS: https}, err
}

// Metric is what the load balancer counts of the workload's group on a side. It needs
// cloudwatch:GetMetricStatistics.
func (b backends) Metric(ctx context.Context, plan string, target migration.Target, route migration.Route, w migration.Workload,
	side migration.Side, query migration.CloudWatchQuery) (value float64, known bool, err error) {
	if route.ALB == nil {
		return 0, false, errors.New("the route has no load balancer")
	}
	group, err := b.group(ctx, plan, target, route, w, side)
	if err != nil || group == "" {
		return 0, false, err
	}
	c, err := b.metrics(ctx, target)
	if err != nil {
		return 0, false, err
	}
	return health.Metric(ctx, c, route.ALB.Listener, group, query, time.Now())
}

// group is the target group of a workload on a side; "": there is none yet.
func (b backends) group(ctx context.Context, plan string, target migration.Target, route migration.Route, w migration.Workload,
	side migration.Side) (string, error) {
	if side == migration.AWS {
		return b.router.GroupOf(ctx, target, plan, w.Name)
	}
	return route.ALB.Workloads[w.Name], nil
}

// Anchors are the hosts that attach the workloads' groups to the load balancer.
func (b backends) Anchors(plan string, route migration.Route) []string {
	return alb.Anchors(plan, route)
}

// Behind are the registered targets of the workload's group on a side.
func (b backends) Behind(ctx context.Context, plan string, target migration.Target, route migration.Route, w migration.Workload,
	side migration.Side) (out []health.Endpoint, err error) {
	if route.ALB == nil {
		return nil, nil
	}
	// The route of a Move in either direction names the group on AWS: it is known then.
	if _, err := b.router.GroupOf(ctx, target, plan, w.Name); err != nil {
		return nil, err
	}
	group, err := b.group(ctx, plan, target, route, w, side)
	if err != nil || group == "" {
		return nil, err // nothing serves there yet
	}
	states, err := b.router.TargetHealth(ctx, target, group)
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		out = append(out, health.Endpoint{Address: net.JoinHostPort(s.ID, strconv.Itoa(s.Port)), HTTPS: w.Ingress.Protocol == "https",
			Healthy: s.State == "healthy", Reason: s.Reason})
	}
	return out, nil
}

// seen are running migrations, as their clients see them.
type seen struct{ *client.Client }

func (p seen) Migration(ctx context.Context, plan string) (migration.MigrationStatus, error) {
	s, err := p.Client.Migration(ctx, plan)
	return s, gone(err)
}

func (p seen) Batch(ctx context.Context, plan, batch string) (migration.BatchStatus, error) {
	s, err := p.Client.Batch(ctx, plan, batch)
	return s, gone(err)
}

func (p seen) Customer(ctx context.Context, plan, id string) (migration.CustomerStatus, error) {
	s, err := p.Client.Customer(ctx, plan, id)
	return s, gone(err)
}

// gone says what the client says in the words of the activities.
func gone(err error) error {
	if errors.Is(err, client.ErrNotFound) {
		return fmt.Errorf("%w: %w", evidence.ErrGone, err)
	}
	return err
}

// passes has a freeze make the last passes over files.
type passes struct{ files files.Passes }

// Begin begins one.
func (p passes) Begin(ctx context.Context, t freeze.Tree, warm bool) (freeze.Pass, error) {
	last, err := p.files.Begin(ctx, files.RequestFor(t.Spec, t.Slice, t.Dataset, t.From), warm)
	if err != nil {
		return nil, err
	}
	return pass{last}, nil
}

type pass struct{ *files.LastPass }

// Final makes it.
func (p pass) Final(ctx context.Context, allowed func(context.Context) error) (objects int64, err error) {
	r, err := p.LastPass.Final(ctx, allowed)
	return r.Objects, err
}
