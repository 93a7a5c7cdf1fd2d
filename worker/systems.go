package worker

import (
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	computeactivities "github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/disks"
	"github.com/drover-migration/drover/activities/evidence"
	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/freeze"
	healthactivities "github.com/drover-migration/drover/activities/health"
	homesactivities "github.com/drover-migration/drover/activities/homes"
	hooksactivities "github.com/drover-migration/drover/activities/hooks"
	notifyactivities "github.com/drover-migration/drover/activities/notify"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/roll"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	vsphereactivities "github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/compute"
	"github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/homes"
	"github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/routes/dns"
	"github.com/drover-migration/drover/routes/hook"
	"github.com/drover-migration/drover/vsphere"
)

const (
	// envDNS names the name server ("host:port") that probes ask; unset, the machine's own.
	envDNS = "DROVER_DNS"
	// envZoneServers names servers ("host:port", with commas between them) that are asked in place
	// of a hosted zone's own, where those cannot be reached; they hold no answers back.
	envZoneServers = "DROVER_ZONE_SERVERS"
)

// systems are the clients of everything a worker talks to, and the activities over them: those of
// the main worker, and those that run next to the data. A worker has what its queues ask for.
type systems struct {
	main, site []any
	pairs      *engine.Connector // of the site's databases; nil: the worker serves no site
	specs      *state.Specs
	closers    []func()
}

func newSystems(o Options, temporal *client.Client, t Telemetry) *systems {
	// The external id of a role cannot itself need the role.
	boot := awsconf.New(secrets.New(nil), awsconf.Observe(called(t.Metrics)), awsconf.Trace(t.Tracer))
	c := newClients(boot)
	store := &objects.Store{S3: c.S3}
	s := &systems{specs: state.NewSpecs(store)}
	if o.Main {
		s.main = mainActivities(mainClients{c}, secrets.New(boot.Config), store, s.specs, temporal)
	}
	if len(o.Sites) > 0 {
		s.openSite(siteClients{c}, secrets.New(boot.Config), store, t.Tracer, o.Log)
	}
	return s
}

// mainActivities are those that carry no data: the plan, machines and services on AWS, routes,
// health and messages. Only they ask the load balancer.
func mainActivities(c mainClients, resolver *secrets.Resolver, store *objects.Store, specs *state.Specs,
	temporal *client.Client) []any {
	balancers, records, maker := alb.New(alb.ClientsFunc(c.ELB), store), homes.New(store), compute.New(c)
	names := dns.New(dns.ClientsFunc(c.Route53), balancers, store, dns.Options{Resolver: os.Getenv(envDNS), Servers: zoneServers()})
	router := recorded{routes.Kinds{migration.RouteALB: balancers, migration.RouteDNS: names,
		migration.RouteHook: hook.New(resolver, hook.Options{})}, records}
	return []any{
		state.New(store, specs, temporal), computeactivities.New(maker), traffic.New(specs, router, balancers),
		homesactivities.New(records), roll.New(temporal),
		evidence.New(seen{temporal}, specs, store, resolver),
		healthactivities.New(health.New(backends{balancers, names, c.cloudwatch}, resolver, os.Getenv(envDNS)), specs, router),
		notifyactivities.New(specs, &notify.Sender{Secrets: resolver, SNS: c.SNS}),
		hooksactivities.New(specs, &hooks.Caller{Secrets: resolver, Machines: machines{c, maker}}),
	}
}

// zoneServers are those that are asked in place of a zone's own.
func zoneServers() []string {
	return slices.DeleteFunc(strings.Split(os.Getenv(envZoneServers), ","), func(s string) bool { return s == "" })
}

// openSite makes the activities that run next to the data. In AWS they need what the data itself
// passes through: buckets, blocks of disks, the databases' addresses and secrets.
func (s *systems) openSite(c siteClients, resolver *secrets.Resolver, store *objects.Store, tracer trace.Tracer, log hclog.Logger) {
	s.pairs = &engine.Connector{Secrets: vault{resolver}, Instances: instances{c}, Tracer: statements{tracer}}
	centers := vsphere.NewPool(resolver, log)
	trees := files.New(c, store, tenants{s.pairs})
	s.site = []any{
		postgres.New(s.pairs), trees,
		freeze.New(s.pairs, passes{files.NewPasses(trees)}, health.New(nil, nil, os.Getenv(envDNS)), &hooks.Caller{Secrets: resolver}),
		vsphereactivities.New(centers, log), disks.New(exporter{centers}, c, store, 0),
	}
	s.closers = append(s.closers, s.pairs.Close, centers.Close)
}

// register makes the activities of a queue known to its worker. What comes to the wrong queue is
// refused there.
func register(w worker.ActivityRegistry, activities []any) {
	for _, a := range activities {
		w.RegisterActivityWithOptions(a, activity.RegisterOptions{SkipInvalidStructFunctions: true})
	}
}

func (s *systems) close() {
	for _, f := range s.closers {
		f()
	}
}
