package hook

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// Secrets resolves the secrets that sign.
type Secrets interface {
	Resolve(ctx context.Context, ref migration.SecretRef) (string, error)
}

// Options of a Router. Zero values take the defaults said.
type Options struct {
	// Transport carries requests to every route's router; nil: one that trusts the route's caFile.
	Transport http.RoundTripper
}

// askAtOnce is how many requests to a router are under way at a time, by all routes that name it.
const askAtOnce = 16

// Router routes the customers of plans. It is safe for concurrent use.
type Router struct {
	secrets Secrets
	peers   webhook.Peers
	turns   turns
	told    routes.Told
}

// New builds a router.
func New(secrets Secrets, o Options) *Router {
	return &Router{secrets: secrets, peers: webhook.Peers{Transport: o.Transport}}
}

// layout is all that a route needs to know of a spec.
type layout struct {
	plan      string
	route     migration.Route
	customers []migration.Customer
	hosts     map[string][]*host // by customer
	peer      *peer
}

// host is a customer's host, in lower case.
type host struct{ name, customer string }

// each calls do for every route that carries one of the customers, with those of them that it
// carries.
func (rt *Router) each(ctx context.Context, spec *migration.Spec, customers []string, do func(*layout, []string) error) error {
	return rt.eachRoute(ctx, spec, func(l *layout) error {
		var mine []string
		for _, id := range customers {
			if _, ok := l.hosts[id]; ok {
				mine = append(mine, id)
			}
		}
		if len(mine) == 0 {
			return nil
		}
		return do(l, mine)
	})
}

// eachRoute calls do for every route of this kind.
func (rt *Router) eachRoute(ctx context.Context, spec *migration.Spec, do func(*layout) error) error {
	for _, r := range spec.Routes {
		if r.Hook == nil {
			continue
		}
		l, err := rt.layout(ctx, spec, r)
		if err == nil {
			err = do(l)
		}
		if err != nil {
			return wrong(r, err)
		}
	}
	return nil
}

func (rt *Router) layout(ctx context.Context, spec *migration.Spec, r migration.Route) (*layout, error) {
	l := &layout{plan: spec.Plan, route: r, hosts: map[string][]*host{}}
	for _, c := range spec.Customers {
		if !spec.Carries(r.Name, c) {
			continue
		}
		l.customers = append(l.customers, c)
		l.hosts[c.ID] = nil
		for _, h := range c.Hosts {
			l.hosts[c.ID] = append(l.hosts[c.ID], &host{name: strings.ToLower(h), customer: c.ID})
		}
	}
	var err error
	l.peer, err = rt.peer(ctx, *r.Hook)
	return l, err
}

// all are the hosts of all customers, in the order of the spec.
func (l *layout) all() (out []*host) {
	for _, c := range l.customers {
		out = append(out, l.hosts[c.ID]...)
	}
	return out
}

// weights are those by which a share of the requests goes to AWS.
func (l *layout) weights(share int) map[string]int {
	out := map[string]int{}
	if share < routes.All {
		out[l.route.Hook.OnPrem] = routes.All - share
	}
	if share > 0 {
		out[l.route.Hook.AWS] = share
	}
	return out
}

// everyHost calls do for hosts, many at once, and joins what they err.
func everyHost(hosts []*host, do func(*host) error) error {
	var all sync.WaitGroup
	errs := make([]error, len(hosts))
	turns := make(chan struct{}, askAtOnce)
	for i, h := range hosts {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			errs[i] = do(h)
		})
	}
	all.Wait()
	return first(errs)
}

// shown is how many errors are worth reading: of a router that is down all say the same.
const shown = 3

// first joins the first of many errors that are not alike.
func first(errs []error) error {
	var out []error
	seen := map[string]bool{}
	for _, err := range errs {
		if err == nil || seen[err.Error()] {
			continue
		}
		seen[err.Error()] = true
		if out = append(out, err); len(out) == shown {
			break
		}
	}
	return errors.Join(out...)
}
