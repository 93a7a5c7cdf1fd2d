package dns

import (
	"context"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"golang.org/x/time/rate"

	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// API is what this package uses of *route53.Client.
type API interface {
	GetHostedZone(context.Context, *sdk.GetHostedZoneInput, ...func(*sdk.Options)) (*sdk.GetHostedZoneOutput, error)
	GetHostedZoneLimit(context.Context, *sdk.GetHostedZoneLimitInput, ...func(*sdk.Options)) (*sdk.GetHostedZoneLimitOutput, error)
	ListResourceRecordSets(context.Context, *sdk.ListResourceRecordSetsInput,
		...func(*sdk.Options)) (*sdk.ListResourceRecordSetsOutput, error)
	ChangeResourceRecordSets(context.Context, *sdk.ChangeResourceRecordSetsInput,
		...func(*sdk.Options)) (*sdk.ChangeResourceRecordSetsOutput, error)
	GetChange(context.Context, *sdk.GetChangeInput, ...func(*sdk.Options)) (*sdk.GetChangeOutput, error)
}

var _ API = (*sdk.Client)(nil)

// Clients gives the client of a target; the worker keeps one for each.
type Clients interface {
	Route53(ctx context.Context, t migration.Target) (API, error)
}

// ClientsFunc is a Clients of one function.
type ClientsFunc func(ctx context.Context, t migration.Target) (API, error)

// Route53 calls f.
func (f ClientsFunc) Route53(ctx context.Context, t migration.Target) (API, error) { return f(ctx, t) }

// Balancers knows the load balancers of listeners; *alb.Router is one.
type Balancers interface {
	// Named is how a listener's load balancer is called, and the hosted zone that an alias of that
	// name is in.
	Named(ctx context.Context, t migration.Target, listener string) (name, zone string, err error)
}

// Options of a Router. Zero values take the defaults said.
type Options struct {
	// Resolver ("host:port") resolves the names of zones' servers; empty: the machine's own.
	Resolver string
	// Servers ("host:port") are asked in place of a zone's own, where those cannot be reached.
	Servers []string
	// PerSecond is how many calls of Route 53 are made; 4.
	PerSecond float64
	// Poll is the pause between two looks at a change that is on its way; a second.
	Poll time.Duration
}

// perSecond leaves the account's other users a fifth of what Route 53 takes of it
// (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html). Where that is
// still too much, the client's adaptive retries slow down further.
const (
	perSecond = 4
	burst     = 5
)

// Router routes the customers of plans. It is safe for concurrent use.
type Router struct {
	clients   Clients
	balancers Balancers
	bucket    objects.Bucket
	servers   *servers
	calls     *rate.Limiter
	poll      time.Duration

	passes routes.Passes[*view]
	told   routes.Told

	mu      sync.Mutex
	zones   map[string]zone      // id -> as Route 53 described it a moment ago
	changes map[string]*progress // id -> how far it is
	lowered map[string]time.Time // plan and host -> when all servers were seen to answer the lower TTL
	kept    map[string]bool      // plan, route and host: what stood there before is in the state bucket
}

// New builds a router; bucket keeps what stood in a zone before Drover came.
func New(clients Clients, balancers Balancers, bucket objects.Bucket, o Options) *Router {
	if o.PerSecond == 0 {
		o.PerSecond = perSecond
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	return &Router{
		clients: clients, balancers: balancers, bucket: bucket, servers: newServers(o.Resolver, o.Servers),
		calls: rate.NewLimiter(rate.Limit(o.PerSecond), burst), poll: o.Poll,
		zones: map[string]zone{}, changes: map[string]*progress{}, lowered: map[string]time.Time{}, kept: map[string]bool{},
	}
}

// each calls do for every route by name that carries one of the customers, with those of them that
// it carries.
func (rt *Router) each(ctx context.Context, spec *migration.Spec, customers []string, do func(*layout, API, []string) error) error {
	for _, r := range spec.Routes {
		if r.DNS == nil {
			continue
		}
		var mine []string
		for _, id := range customers {
			if c, ok := spec.Customer(id); ok && spec.Carries(r.Name, c) {
				mine = append(mine, id)
			}
		}
		if len(mine) == 0 {
			continue
		}
		if err := rt.with(ctx, spec, r, func(l *layout, c API) error { return do(l, c, mine) }); err != nil {
			return err
		}
	}
	return nil
}

// eachRoute calls do for every route by name.
func (rt *Router) eachRoute(ctx context.Context, spec *migration.Spec, do func(*layout, API) error) error {
	for _, r := range spec.Routes {
		if r.DNS != nil {
			if err := rt.with(ctx, spec, r, do); err != nil {
				return err
			}
		}
	}
	return nil
}

func (rt *Router) with(ctx context.Context, spec *migration.Spec, r migration.Route, do func(*layout, API) error) error {
	l, err := rt.layout(ctx, spec, r)
	if err != nil {
		return wrong(r, err)
	}
	c, err := rt.clients.Route53(ctx, l.target)
	if err != nil {
		return wrong(r, err)
	}
	return wrong(r, do(l, c))
}

// turn waits until one more call may be made.
func (rt *Router) turn(ctx context.Context) error {
	if err := rt.calls.Wait(ctx); err != nil {
		<-ctx.Done() // it would come after the deadline, which is near
		return ctx.Err()
	}
	return nil
}
