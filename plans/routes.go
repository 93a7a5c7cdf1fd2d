package plans

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Route is how requests reach a customer's side: exactly one of its kinds.
type Route struct {
	Labels  map[Name]LabelVal `json:"labels,omitempty" jsonschema_description:"It carries only customers that have all of these labels; routes without labels that carry the same workloads carry the others."`
	ALB     *ALB              `json:"alb,omitempty" jsonschema_description:"Host-header rules of one listener of an Application Load Balancer."`
	Route53 *Route53          `json:"route53,omitempty" jsonschema_description:"Weighted records of the customers' hosts in one hosted zone of Route 53: docs/names.md."`
	Hook    *HookRoute        `json:"hook,omitempty" jsonschema_description:"A router of your own (HAProxy, F5, nginx), before which you put an adapter of three requests: docs/route-hook.md."`
}

// ALB routes by host-header rules of one listener.
type ALB struct {
	Target    Name                 `json:"target" jsonschema:"required" jsonschema_description:"Target that holds the load balancer."`
	Listener  ListenerARN          `json:"listener" jsonschema:"required" jsonschema_description:"The listener. Drover adds rules to it and restores what stood before."`
	Workloads map[Name]ALBWorkload `json:"workloads" jsonschema:"required,minItems=1" jsonschema_description:"Workloads that the route carries, by name."`
}

// ALBWorkload is a workload behind a load balancer.
type ALBWorkload struct {
	OnPrem TargetGroupARN `json:"onprem,omitempty" jsonschema_description:"Target group of the workload's machines on premises (type ip). Default: the workload's origin.targetGroup."`
}

// Route53 routes by records of customers' hosts.
type Route53 struct {
	Target    Name                   `json:"target" jsonschema:"required" jsonschema_description:"Target whose account has the zone and the load balancer."`
	Zone      HostedZone             `json:"zone" jsonschema:"required" jsonschema_description:"Id of the hosted zone. Every host of the route's customers lies in it, and has a record there, or a wildcard's, that leads to premises today. A customer of the route is on no other."`
	Listener  ListenerARN            `json:"listener" jsonschema:"required" jsonschema_description:"Listener of the load balancer that takes the requests on AWS. Drover puts the workloads behind it, for all hosts of the customers' domains, by rules that are asked after what stands there. Requests come at its port on both sides."`
	TTL       migration.Duration     `json:"ttl,omitempty" jsonschema:"default=30s" bounds:"1s..1h" jsonschema_description:"TTL of the records from before their customer moves until its soak is over; a shorter one stays. Whole seconds. So long, and a minute more until a change is at all name servers, clients may go on to ask the old side: a customer with a database cannot write meanwhile."`
	Workloads map[Name]NamedWorkload `json:"workloads" jsonschema:"required,minItems=1" jsonschema_description:"Workloads that the route carries, by name. Names know no paths: those that one customer uses say the same."`
}

// NamedWorkload is what records of a workload's customers say.
type NamedWorkload struct {
	OnPrem    DNSName `json:"onprem,omitempty" jsonschema_description:"Name of what serves it on premises, as the customers' records (CNAME) say today. Default: the host of the workload's origin.url. Exactly one of onprem and addresses."`
	Addresses []IPv4  `json:"addresses,omitempty" jsonschema:"minItems=1,maxItems=100" jsonschema_description:"Addresses of what serves it on premises, as the customers' records (A) say today. On AWS they become an alias. A zone's own name needs this."`
	AWS       DNSName `json:"aws,omitempty" jsonschema_description:"Name of what takes its requests on AWS before the load balancer. Default: the load balancer's own. With addresses: a CloudFront distribution's."`
}

// HookRoute routes by a router of the user's own.
type HookRoute struct {
	Target    Name                  `json:"target" jsonschema:"required" jsonschema_description:"Target whose account has the load balancer."`
	Listener  ListenerARN           `json:"listener" jsonschema:"required" jsonschema_description:"Listener of the load balancer to which the router sends requests for AWS. Drover puts the workloads behind it, for all hosts of the customers' domains, by rules that are asked after what stands there."`
	URL       HTTPSURL              `json:"url" jsonschema:"required" jsonschema_description:"Where the router's adapter answers; backends and hosts/HOST are asked below it. Main workers ask."`
	Secret    migration.SecretRef   `json:"secret" jsonschema:"required" jsonschema_description:"Secret that signs each request: whsec_ and base64 of 24 to 64 bytes, as Standard Webhooks has it. Main workers read it each time."`
	CAFile    AbsolutePath          `json:"caFile,omitempty" jsonschema_description:"PEM file, on the main worker, of the authority that signed the adapter's certificate. Read each time."`
	Timeout   migration.Duration    `json:"timeout,omitempty" jsonschema:"default=3s" bounds:"50ms..4s" jsonschema_description:"Longest time of one request. A change is one after a look, and is looked at again."`
	OnPrem    BackendName           `json:"onprem,omitempty" jsonschema:"default=onprem" jsonschema_description:"Name that the router has for what serves premises. Every host of the route's customers is sent there today, and nowhere else."`
	AWS       BackendName           `json:"aws,omitempty" jsonschema:"default=aws" jsonschema_description:"Name that the router has for the load balancer on AWS."`
	Front     FrontURL              `json:"front" jsonschema:"required" jsonschema_description:"Where the router takes customers' requests: probes ask there."`
	Workloads map[Name]HookWorkload `json:"workloads" jsonschema:"required,minItems=1" jsonschema_description:"Workloads that the route carries, by name. A host is sent to a side as a whole: which workload takes a path the load balancer of either side decides."`
}

// HookWorkload is a workload behind a router of the user's own.
type HookWorkload struct {
	OnPrem FrontURL `json:"onprem,omitempty" jsonschema_description:"What serves it on premises: probes that ask each machine ask there. Default: the workload's origin.url."`
}

func (p *Plan) validateRoutes() {
	seen := listeners{p: p, by: map[ListenerARN]Name{}, balancers: map[Name]string{}}
	routers := map[HTTPSURL]Name{}
	for _, name := range sortedKeys(p.Routes) {
		r, at := p.Routes[name], root.ats("routes", string(name))
		if !p.exactlyOne(at, []string{"alb", "route53", "hook"}, r.ALB != nil, r.Route53 != nil, r.Hook != nil) {
			continue
		}
		p.validateLabels(r, at)
		switch {
		case r.ALB != nil:
			seen.add(name, r.ALB.Listener, sortedKeys(r.ALB.Workloads), at.at("alb"))
			p.validateALB(*r.ALB, at.at("alb"))
		case r.Route53 != nil:
			seen.add(name, r.Route53.Listener, sortedKeys(r.Route53.Workloads), at.at("route53"))
			p.validateRoute53(name, *r.Route53, at.at("route53"))
		case r.Hook != nil:
			seen.add(name, r.Hook.Listener, sortedKeys(r.Hook.Workloads), at.at("hook"))
			p.validateHookRoute(*r.Hook, at.at("hook"))
			if other, ok := routers[r.Hook.URL]; ok && r.Hook.URL != "" {
				p.src.report(at.ats("hook", "url"), Problem{Message: fmt.Sprintf("route %q has this router already", other)})
			}
			routers[r.Hook.URL] = name
		}
	}
}

// listeners are those of all routes. Each belongs to one route; a workload has one target group on
// AWS, which AWS lets be behind one load balancer.
type listeners struct {
	p         *Plan
	by        map[ListenerARN]Name
	balancers map[Name]string // workload -> ARN of the load balancer's listeners, without their own ids
}

func (l listeners) add(route Name, arn ListenerARN, workloads []Name, at *node) {
	if arn == "" {
		return
	}
	if other, ok := l.by[arn]; ok {
		l.p.src.report(at.at("listener"), Problem{Message: fmt.Sprintf("route %q has this listener already", other)})
		return
	}
	l.by[arn] = route
	balancer := string(arn[:strings.LastIndexByte(string(arn), '/')])
	for _, w := range workloads {
		if other, ok := l.balancers[w]; ok && other != balancer {
			l.p.src.report(at.ats("workloads", string(w)), Problem{Message: fmt.Sprintf("workload %q is behind another load balancer on "+
				"another route", w), Want: "listeners of one load balancer: its target group on AWS can be behind one only"})
			continue
		}
		l.balancers[w] = balancer
	}
}

// validateLabels wants labels that a customer has.
func (p *Plan) validateLabels(r Route, at *node) {
	if len(r.Labels) == 0 || p.src.incomplete(root.at("customers")) || p.src.incomplete(at.at("labels")) {
		return
	}
	has := func(c Customer) bool {
		for k, v := range r.Labels {
			if c.Labels[k] != v {
				return false
			}
		}
		return true
	}
	if !slices.ContainsFunc(p.Customers.List, has) {
		p.src.report(at.at("labels"), Problem{Message: "no customer has these labels"})
	}
}

func (p *Plan) validateALB(a ALB, at *node) {
	if p.refer(at.at("target"), "target", a.Target, known(p, "targets", p.Targets)) {
		p.sameAccount(at.at("listener"), string(a.Listener), a.Target)
	}
	paths := map[PathPattern]Name{}
	for _, name := range sortedKeys(a.Workloads) {
		place := at.ats("workloads", string(name))
		p.sameAccount(place.at("onprem"), string(a.Workloads[name].OnPrem), a.Target)
		w, ok := p.carried(name, a.Target, paths, place)
		if !ok {
			continue
		}
		switch onprem := a.Workloads[name].OnPrem; {
		case onprem == "" && (w.Origin == nil || w.Origin.URL != "") && !p.src.incomplete(place) &&
			!p.src.incomplete(root.ats("workloads", string(name))):
			p.src.report(place, Problem{Message: `key "onprem" is missing`, Want: "the target group of the workload's machines on premises"})
		case w.Origin != nil && w.Origin.TargetGroup != "" && onprem != "" && onprem != w.Origin.TargetGroup:
			p.src.report(place.at("onprem"), Problem{Message: "not the workload's origin", Found: quoted(string(onprem)),
				Want: quoted(string(w.Origin.TargetGroup)) + ", or nothing: it is the default"})
		}
	}
}

// carried wants a workload of a route to be there, to take requests at paths that no other of the
// route has, and to go to the target of the load balancer before it.
func (p *Plan) carried(name, target Name, paths map[PathPattern]Name, place *node) (w Workload, ok bool) {
	if !p.refer(place, "workload", name, known(p, "workloads", p.Workloads)) {
		return w, false
	}
	w = p.Workloads[name]
	if w.Ingress == nil {
		if !p.src.incomplete(root.ats("workloads", string(name))) {
			p.src.report(place, Problem{Message: fmt.Sprintf("workload %q has no ingress", name), Want: "ingress: where it takes " +
				"the route's requests"})
		}
		return w, true
	}
	if targets := known(p, "targets", p.Targets).names; w.Target.Name != target && slices.Contains(targets, string(w.Target.Name)) &&
		slices.Contains(targets, string(target)) {
		p.src.report(place, Problem{Message: fmt.Sprintf("workload %q goes to target %q, the load balancer is in %q", name,
			w.Target.Name, target), Want: "one target for both"})
	}
	for _, path := range w.Ingress.Paths {
		if other, ok := paths[path]; ok && path != "" && other != name {
			p.src.report(place, Problem{Message: fmt.Sprintf("workloads %q and %q both take path %s", other, name,
				quoted(string(path))), Want: "different ingress.paths on one route"})
		}
		paths[path] = name
	}
	return w, true
}

func (p *Plan) validateRoute53(name Name, r Route53, at *node) {
	if p.refer(at.at("target"), "target", r.Target, known(p, "targets", p.Targets)) {
		p.sameAccount(at.at("listener"), string(r.Listener), r.Target)
	}
	if r.TTL.D()%time.Second != 0 {
		p.src.report(at.at("ttl"), Problem{Message: "not whole seconds", Found: r.TTL.Brief(), Want: "seconds, as DNS counts"})
	}
	paths := map[PathPattern]Name{}
	for _, w := range sortedKeys(r.Workloads) {
		place, n := at.ats("workloads", string(w)), r.Workloads[w]
		if _, ok := p.carried(w, r.Target, paths, place); !ok {
			continue
		}
		if !p.src.incomplete(root.ats("workloads", string(w))) { // whose origin.url may be the default
			p.exactlyOne(place, []string{"onprem", "addresses"}, n.OnPrem != "", len(n.Addresses) > 0)
		}
		p.noRepeats(place.at("addresses"), strs(n.Addresses))
		if len(n.Addresses) > 0 && n.AWS != "" && !strings.HasSuffix(string(n.AWS), ".cloudfront.net") {
			p.src.report(place.at("aws"), Problem{Message: "records of addresses become an alias on AWS, which cannot lead there",
				Found: quoted(string(n.AWS)), Want: "a CloudFront distribution's name, or nothing: the load balancer's"})
		}
	}
	p.validateNamed(name, at)
}

func (p *Plan) validateHookRoute(h HookRoute, at *node) {
	if p.refer(at.at("target"), "target", h.Target, known(p, "targets", p.Targets)) {
		p.sameAccount(at.at("listener"), string(h.Listener), h.Target)
	}
	if h.OnPrem == h.AWS && h.AWS != "" {
		p.src.report(at.at("aws"), Problem{Message: "both sides have one name", Found: quoted(string(h.AWS)),
			Want: "the router's names of two backends"})
	}
	paths := map[PathPattern]Name{}
	for _, name := range sortedKeys(h.Workloads) {
		place := at.ats("workloads", string(name))
		w, ok := p.carried(name, h.Target, paths, place)
		if ok && h.Workloads[name].OnPrem == "" && (w.Origin == nil || w.Origin.URL == "") && !p.src.incomplete(place) &&
			!p.src.incomplete(root.ats("workloads", string(name))) {
			p.src.report(place, Problem{Message: `key "onprem" is missing`, Want: "the address of what serves the workload on premises"})
		}
	}
}

// longestHost leaves room for the label of the token record: a name in DNS has 253 characters.
const longestHost = 253 - len("_drover.")

// validateNamed wants each customer of a route by name to be on no other, and its workloads there
// to say the same.
func (p *Plan) validateNamed(name Name, at *node) {
	if p.src.incomplete(root.at("customers")) || p.src.incomplete(at) {
		return
	}
	spec := p.carriers()
	r, _ := spec.Route(string(name))
	for i, c := range p.Customers.List {
		place := root.at("customers").item(i)
		routes := spec.RoutesOf(c.carried())
		if !slices.ContainsFunc(routes, func(o migration.Route) bool { return o.Name == r.Name }) || p.src.incomplete(place) {
			continue
		}
		for _, o := range routes {
			if o.Name != r.Name && (o.DNS == nil || o.Name < r.Name) { // of two routes by name one says so
				p.src.report(place, Problem{Want: "one of the two", Hint: "labels of a route say whose it is",
					Message: fmt.Sprintf("customer %q is on route %q and on route %q: a name leads one way", c.ID, o.Name, r.Name)})
			}
		}
		var first *migration.Named
		for j, w := range c.Uses.Workloads {
			n, ok := r.DNS.Workloads[string(w)]
			if !ok {
				continue
			}
			if first != nil && !first.Same(n) {
				p.src.report(place.ats("uses", "workloads").item(j), Problem{
					Message: fmt.Sprintf("the records of customer %q would have to say two things: names know no paths", c.ID),
					Want:    "the same onprem, addresses and aws for all its workloads on route " + quoted(r.Name)})
			}
			first = &n
		}
		for j, h := range c.Match.Host {
			if len(h) > longestHost {
				p.src.report(place.ats("match", "host").item(j), Problem{Message: "too long for a route by name",
					Want: fmt.Sprintf("at most %d characters: a token record stands beside it", longestHost)})
			}
		}
	}
}

// carriers has the plan's routes as the migration sees them.
func (p *Plan) carriers() *migration.Spec {
	return &migration.Spec{Routes: each(p.Routes, Route.compile)}
}

// carried is what says by which routes the customer is carried.
func (c Customer) carried() migration.Customer {
	return migration.Customer{ID: string(c.ID), Workloads: list(c.Uses.Workloads), Labels: texts(c.Labels)}
}

// fillOrigins fills what a workload's origin says of what serves it on premises.
func (p *Plan) fillOrigins() {
	for _, r := range p.Routes {
		if r.ALB != nil {
			for name, a := range r.ALB.Workloads {
				if o := p.Workloads[name].Origin; o != nil && a.OnPrem == "" {
					r.ALB.Workloads[name] = ALBWorkload{OnPrem: o.TargetGroup}
				}
			}
		}
		if r.Hook != nil {
			for name, h := range r.Hook.Workloads {
				if o := p.Workloads[name].Origin; o != nil && h.OnPrem == "" {
					r.Hook.Workloads[name] = HookWorkload{OnPrem: o.URL}
				}
			}
		}
		if r.Route53 == nil {
			continue
		}
		for name, n := range r.Route53.Workloads {
			o := p.Workloads[name].Origin
			if o == nil || o.URL == "" || n.OnPrem != "" || len(n.Addresses) > 0 {
				continue
			}
			if u, err := url.Parse(string(o.URL)); err == nil && net.ParseIP(u.Hostname()) != nil {
				n.Addresses = []IPv4{IPv4(u.Hostname())}
			} else if err == nil {
				n.OnPrem = DNSName(strings.ToLower(u.Hostname()))
			}
			r.Route53.Workloads[name] = n
		}
	}
}

// sameAccount wants an ARN to be of the target's account and region.
func (p *Plan) sameAccount(at *node, arn string, target Name) {
	t, ok := p.Targets[target]
	if !ok || arn == "" || t.Account == "" || t.Region == "" {
		return
	}
	if found, want := arnPart(arn, 3)+" "+arnPart(arn, 4), string(t.Region)+" "+string(t.Account); found != want {
		p.src.report(at, Problem{Message: fmt.Sprintf("not in the region and account of target %q", target), Found: found, Want: want})
	}
}

func (r Route) compile(name string) migration.Route {
	out := migration.Route{Name: name, Labels: texts(r.Labels)}
	switch {
	case r.ALB != nil:
		out.ALB = &migration.ALB{Target: string(r.ALB.Target), Listener: string(r.ALB.Listener), Workloads: map[string]string{}}
		for w, a := range r.ALB.Workloads {
			out.ALB.Workloads[string(w)] = string(a.OnPrem)
		}
	case r.Route53 != nil:
		d := r.Route53
		out.DNS = &migration.DNS{Target: string(d.Target), Zone: string(d.Zone), Listener: string(d.Listener), TTL: d.TTL,
			Workloads: map[string]migration.Named{}}
		for w, n := range d.Workloads {
			named := migration.Named{OnPrem: string(n.OnPrem), Addresses: list(n.Addresses), AWS: string(n.AWS)}
			slices.SortFunc(named.Addresses, cmp.Compare)
			out.DNS.Workloads[string(w)] = named
		}
	case r.Hook != nil:
		h := r.Hook
		out.Hook = &migration.HookRoute{Target: string(h.Target), Listener: string(h.Listener), URL: string(h.URL), Secret: h.Secret,
			CAFile: string(h.CAFile), Timeout: h.Timeout, OnPrem: string(h.OnPrem), AWS: string(h.AWS), Front: string(h.Front),
			Workloads: map[string]string{}}
		for w, x := range h.Workloads {
			out.Hook.Workloads[string(w)] = string(x.OnPrem)
		}
	}
	return out
}
