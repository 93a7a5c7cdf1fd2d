package migration

import (
	"maps"
	"net"
	"slices"
	"strings"
	"time"
)

// RouteKind is what sends customers' requests to a side.
type RouteKind string

// The kinds of route. Each is an engine below routes.
const (
	RouteALB  RouteKind = "alb"
	RouteDNS  RouteKind = "route53"
	RouteHook RouteKind = "hook"
)

// DNS routes by records of customers' hosts in one hosted zone of Route 53: each host has a
// weighted pair of them, one a side.
type DNS struct {
	Target    string           `json:"target"`   // whose account the zone and the load balancer are in
	Zone      string           `json:"zone"`     // id
	TTL       Duration         `json:"ttl"`      // of the records, from before their customer moves until its soak is over
	Listener  string           `json:"listener"` // ARN: of the load balancer that takes the requests on AWS
	Workloads map[string]Named `json:"workloads"`
}

// Late is how long after a change clients may go on to ask the old side: Route 53 has it at all its
// servers within a minute, as a rule, and resolvers believe the old records for their TTL.
func (d DNS) Late() Duration { return d.TTL + Duration(time.Minute) }

// Named is what the records of a workload's customers say on the two sides.
type Named struct {
	OnPrem    string   `json:"onprem,omitempty"`    // a name: the records are CNAMEs
	Addresses []string `json:"addresses,omitempty"` // or IPv4 addresses, sorted: the records are of type A, and an alias on AWS
	AWS       string   `json:"aws,omitempty"`       // a name; empty: that of the listener's load balancer
}

// Same says whether both say the same.
func (n Named) Same(o Named) bool {
	return n.OnPrem == o.OnPrem && n.AWS == o.AWS && slices.Equal(n.Addresses, o.Addresses)
}

// HookRoute routes by a router of the user's own, which answers the protocol of docs/route-hook.md.
type HookRoute struct {
	Target    string            `json:"target"`   // whose account the load balancer is in
	Listener  string            `json:"listener"` // ARN: of the load balancer on AWS that the router sends requests to
	URL       string            `json:"url"`      // of the protocol
	Secret    SecretRef         `json:"secret"`   // whsec_ and base64: it signs what the router is asked and told
	CAFile    string            `json:"caFile,omitempty"`
	Timeout   Duration          `json:"timeout"`   // of one request
	OnPrem    string            `json:"onprem"`    // the router's name of what serves premises
	AWS       string            `json:"aws"`       // the router's name of the load balancer on AWS
	Front     string            `json:"front"`     // URL where the router takes customers' requests
	Workloads map[string]string `json:"workloads"` // workload -> URL of what serves it on premises
}

// Kind says what kind of route it is.
func (r Route) Kind() RouteKind {
	switch {
	case r.DNS != nil:
		return RouteDNS
	case r.Hook != nil:
		return RouteHook
	default:
		return RouteALB
	}
}

// Target is the target whose load balancer stands before the workloads on AWS.
func (r Route) Target() string {
	switch {
	case r.ALB != nil:
		return r.ALB.Target
	case r.DNS != nil:
		return r.DNS.Target
	case r.Hook != nil:
		return r.Hook.Target
	}
	return ""
}

// Listener is the ARN of the listener that stands before the workloads on AWS.
func (r Route) Listener() string {
	switch {
	case r.ALB != nil:
		return r.ALB.Listener
	case r.DNS != nil:
		return r.DNS.Listener
	case r.Hook != nil:
		return r.Hook.Listener
	}
	return ""
}

// Workloads are the names of those that the route carries, sorted.
func (r Route) Workloads() []string {
	switch {
	case r.ALB != nil:
		//workflowcheck:ignore sorted
		return slices.Sorted(maps.Keys(r.ALB.Workloads))
	case r.DNS != nil:
		//workflowcheck:ignore sorted
		return slices.Sorted(maps.Keys(r.DNS.Workloads))
	case r.Hook != nil:
		//workflowcheck:ignore sorted
		return slices.Sorted(maps.Keys(r.Hook.Workloads))
	}
	return nil
}

// has says whether the route carries one of these workloads.
func (r Route) has(workloads []string) bool {
	switch {
	case r.ALB != nil:
		return named(r.ALB.Workloads, workloads)
	case r.DNS != nil:
		return named(r.DNS.Workloads, workloads)
	case r.Hook != nil:
		return named(r.Hook.Workloads, workloads)
	}
	return false
}

func named[T any](of map[string]T, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { _, ok := of[n]; return ok })
}

// wants says whether the customer has all labels of the route.
func (r Route) wants(c Customer) bool {
	//workflowcheck:ignore the answer is the same in any order
	for k, v := range r.Labels {
		if c.Labels[k] != v {
			return false
		}
	}
	return true
}

// Route finds a route.
func (s *Spec) Route(name string) (Route, bool) {
	return find(s.Routes, func(r Route) bool { return r.Name == name })
}

// RoutesOf are the routes that carry a customer: those with one of its workloads whose labels it
// has. One without labels gives way to one with labels that has a workload of the customer's in
// common with it.
func (s *Spec) RoutesOf(c Customer) (out []Route) {
	var picked []string // workloads of routes with labels
	for _, r := range s.Routes {
		if r.has(c.Workloads) && r.wants(c) {
			out = append(out, r)
			if len(r.Labels) > 0 {
				picked = append(picked, r.Workloads()...)
			}
		}
	}
	if len(picked) == 0 {
		return out
	}
	picked = slices.DeleteFunc(picked, func(w string) bool { return !slices.Contains(c.Workloads, w) })
	return slices.DeleteFunc(out, func(r Route) bool { return len(r.Labels) == 0 && r.has(picked) })
}

// Carries says whether a route of the plan carries a customer.
func (s *Spec) Carries(route string, c Customer) bool {
	return slices.ContainsFunc(s.RoutesOf(c), func(r Route) bool { return r.Name == route })
}

// ByName says whether the customer's requests find their side by a name that resolvers remember.
func (c CustomerSlice) ByName() bool {
	return slices.ContainsFunc(c.Routes, func(r Route) bool { return r.DNS != nil })
}

// ByName are the customers whose requests find their side by a name.
func (s *Spec) ByName() (ids []string) {
	if !slices.ContainsFunc(s.Routes, func(r Route) bool { return r.DNS != nil }) {
		return nil
	}
	for _, c := range s.Customers {
		if slices.ContainsFunc(s.RoutesOf(c), func(r Route) bool { return r.DNS != nil }) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// HostPatterns are the fewest patterns of a load balancer's that take all these hosts, each without
// its first label: "*.app.example.com" for acme.app.example.com. A host of two labels stands for
// itself. Lower case, sorted.
func HostPatterns(hosts []string) []string {
	all := map[string]bool{}
	for _, h := range hosts {
		h = strings.ToLower(h)
		if _, parent, ok := strings.Cut(h, "."); ok && strings.Contains(parent, ".") && net.ParseIP(h) == nil {
			h = "*." + parent
		}
		all[h] = true
	}
	return slices.Sorted(maps.Keys(all))
}
