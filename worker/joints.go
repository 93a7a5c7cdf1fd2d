package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/drover-migration/drover/activities/evidence"
	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/compute"
	"github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/routes/dns"
	"github.com/drover-migration/drover/routes/hook"
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
	var none *types.DBInstanceNotFoundFault
	if errors.As(err, &none) {
		return "", 0, "", fmt.Errorf("find RDS instance %q in target %q: %w: %w", id, target.Name, engine.ErrNoInstance, err)
	}
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

// backends tells health where the routes send requests, and what load balancers count.
type backends struct {
	balancers *alb.Router
	names     *dns.Router
	metrics   func(context.Context, migration.Target) (*cloudwatch.Client, error)
}

// Front is the load balancer, or whatever a host's name leads to now, at the load balancer's port,
// or where the plan says that a router of the user's own takes requests.
func (b backends) Front(ctx context.Context, target migration.Target, route migration.Route, host string) (health.Endpoint, error) {
	if route.Listener() == "" {
		return health.Endpoint{}, errors.New("the route has no load balancer")
	}
	if route.Hook != nil {
		return endpoint(route.Hook.Front)
	}
	at, port, https, err := b.balancers.Listener(ctx, target, route.Listener())
	if err == nil && route.DNS != nil {
		at, err = b.names.Leads(ctx, target, route, host)
	}
	return health.Endpoint{Address: net.JoinHostPort(at, strconv.Itoa(port)), HTTPS: https}, err
}

// Metric is what the load balancer counts of the workload's group on a side. It needs
// cloudwatch:GetMetricStatistics. What serves premises behind a name it does not count.
func (b backends) Metric(ctx context.Context, plan string, target migration.Target, route migration.Route, w migration.Workload,
	side migration.Side, query migration.CloudWatchQuery, at time.Time) (value float64, known bool, err error) {
	group, err := b.group(ctx, plan, target, route, w, side)
	if err != nil || group == "" {
		return 0, false, err
	}
	c, err := b.metrics(ctx, target)
	if err != nil {
		return 0, false, err
	}
	return health.Metric(ctx, c, route.Listener(), group, query, at)
}

// group is the target group of a workload on a side; "": there is none, or none yet.
func (b backends) group(ctx context.Context, plan string, target migration.Target, route migration.Route, w migration.Workload,
	side migration.Side) (string, error) {
	switch {
	case !slices.Contains(route.Workloads(), w.Name):
		return "", nil
	case side == migration.AWS:
		return b.balancers.GroupOf(ctx, target, plan, w.Name)
	case route.ALB != nil:
		return route.ALB.Workloads[w.Name], nil
	}
	return "", nil
}

// Anchors are the hosts that attach the workloads' groups to the load balancer.
func (b backends) Anchors(plan string, route migration.Route) []string {
	return alb.Anchors(plan, route)
}

// Behind are the registered targets of the workload's group on a side. On premises, behind a name,
// it is what the name means there, and behind a router of the user's own what the plan says: which
// machines those are nobody says.
func (b backends) Behind(ctx context.Context, plan string, target migration.Target, route migration.Route, w migration.Workload,
	side migration.Side) (out []health.Endpoint, err error) {
	if !slices.Contains(route.Workloads(), w.Name) {
		return nil, nil
	}
	if side == migration.OnPrem && route.DNS != nil {
		return b.atHome(ctx, target, route, route.DNS.Workloads[w.Name])
	}
	if side == migration.OnPrem && route.Hook != nil {
		at, err := endpoint(route.Hook.Workloads[w.Name])
		return []health.Endpoint{at}, err
	}
	// The route of a Move in either direction names the group on AWS: it is known then.
	if _, err := b.balancers.GroupOf(ctx, target, plan, w.Name); err != nil {
		return nil, err
	}
	group, err := b.group(ctx, plan, target, route, w, side)
	if err != nil || group == "" {
		return nil, err // nothing serves there yet
	}
	states, err := b.balancers.TargetHealth(ctx, target, group)
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		out = append(out, health.Endpoint{Address: net.JoinHostPort(s.ID, strconv.Itoa(s.Port)), HTTPS: w.Ingress.Protocol == "https",
			Healthy: s.State == "healthy", Reason: s.Reason})
	}
	return out, nil
}

// atHome is what records say of a workload on premises, at the port at which requests come.
func (b backends) atHome(ctx context.Context, target migration.Target, route migration.Route, n migration.Named) (out []health.Endpoint,
	err error) {
	_, port, https, err := b.balancers.Listener(ctx, target, route.Listener())
	if err != nil {
		return nil, err
	}
	at := n.Addresses
	if n.OnPrem != "" {
		at = []string{n.OnPrem}
	}
	for _, a := range at {
		out = append(out, health.Endpoint{Address: net.JoinHostPort(a, strconv.Itoa(port)), HTTPS: https, Healthy: true})
	}
	return out, nil
}

// endpoint is where an address leads.
func endpoint(address string) (health.Endpoint, error) {
	at, https, err := hook.Endpoint(address)
	return health.Endpoint{Address: at, HTTPS: https, Healthy: true}, err
}

// machines are where hooks run documents of Systems Manager.
type machines struct {
	c     mainClients
	maker *compute.Maker
}

func (m machines) SSM(ctx context.Context, t migration.Target) (hooks.SSM, error) {
	return m.c.ssm(ctx, t)
}
func (m machines) IAM(ctx context.Context, t migration.Target) (hooks.IAM, error) {
	return m.c.iam(ctx, t)
}

// Instances needs ec2:DescribeInstances.
func (m machines) Instances(ctx context.Context, plan string, t migration.Target, workload string) ([]string, error) {
	return m.maker.Instances(ctx, plan, t, workload)
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
