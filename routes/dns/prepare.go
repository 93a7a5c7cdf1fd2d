package dns

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// Spreads is how long a change takes until all servers of Route 53 have it, at most as a rule
// (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-editing.html says
// 60 seconds). It is counted where nobody saw it.
const Spreads = time.Minute

// Prepare lowers the TTL of customers' records to that of the route, as much before opens as
// resolvers may remember the old one, and waits until all servers of their zone answer so. Their
// customers may move once what resolvers remember has run out. A TTL that is not above the route's
// stays. Run twice, or cut off anywhere, it ends the same.
//
// A customer whose records are not as the plan says is an error: it must not move.
func (rt *Router) Prepare(ctx context.Context, spec *migration.Spec, customers []string, opens time.Time) (out routes.Prepared, err error) {
	err = rt.each(ctx, spec, customers, func(l *layout, c API, mine []string) error {
		hosts := l.of(func(id string) bool { return slices.Contains(mine, id) })
		var early []time.Time // when the TTLs are to be lowered for which it is too early
		var v *view
		err := rt.passes.Alone(ctx, l.lane(), func() (err error) {
			v, err = rt.change(ctx, l, c, func() []*host { return hosts }, func(h *host, s *standing, now time.Time) (note, bool) {
				n, changes := l.low(h, s, now)
				if at := opens.Add(-Spreads - time.Duration(n.was)*time.Second); changes && at.After(now) {
					early = append(early, at)
					return n, false
				}
				return n, changes
			})
			return err
		})
		if err != nil {
			return err
		}
		if err := refused(hosts, v); err != nil {
			return err
		}
		if err := rt.await(ctx, l, c, v.hosts); err != nil {
			return err
		}
		out.Again = soonest(out.Again, early)
		out.Ready = latest(out.Ready, rt.readyAt(l, v, time.Now()))
		return nil
	})
	if !out.Again.IsZero() {
		out.Ready = time.Time{}
	}
	return out, err
}

// low is the note of a host whose TTL is not above the route's, and whether that is to be written.
func (l *layout) low(h *host, s *standing, now time.Time) (n note, changes bool) {
	if s.note == nil {
		n = l.first(h, s, now)
		return n, n.ttl < n.was
	}
	low := min(s.note.was, l.ttl)
	if s.note.ttl <= low {
		return *s.note, false
	}
	n = s.note.later(now)
	n.ttl, n.since = low, n.at
	return n, true
}

// refused is an error about hosts for which something odd stands.
func refused(hosts []*host, v *view) error {
	var all []string
	for _, h := range hosts {
		if odd := v.hosts[h.name].odd; odd != "" {
			all = append(all, fmt.Sprintf("customer %q: %s", h.customer, odd))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return permanent.New("ForeignRecord", nil, "%s", strings.Join(all, "; "))
}

// readyAt is when the last resolver has forgotten the old TTL of the hosts in a view, all of which
// all servers answer for now; zero: none had a longer one.
func (rt *Router) readyAt(l *layout, v *view, now time.Time) (out time.Time) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	maps.DeleteFunc(rt.lowered, func(_ string, at time.Time) bool { return now.Sub(at) > keepLowered })
	for name, f := range v.hosts {
		n := f.note
		if n == nil || n.ttl >= n.was {
			continue
		}
		key := fmt.Sprint(l.plan, " ", name, " ", n.since.UnixMilli())
		at, seen := rt.lowered[key]
		if !seen && f.change != "" {
			at, seen = now, true
			rt.lowered[key] = now
		}
		if !seen { // another worker lowered it, and saw when all servers had it
			at = n.since.Add(Spreads)
		}
		out = latest(out, at.Add(time.Duration(n.was)*time.Second))
	}
	return out
}

// keepLowered is longer than any TTL is believed (RFC 8767 says a week).
const keepLowered = 7 * 24 * time.Hour

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// soonest is the first of times; zero: there are none.
func soonest(out time.Time, all []time.Time) time.Time {
	for _, t := range all {
		if out.IsZero() || t.Before(out) {
			out = t
		}
	}
	return out
}

// Settle gives the records of customers that stay where they are the TTL back that they had before
// Drover came. One that somebody else has changed is left as it is. Run twice it changes nothing
// more.
func (rt *Router) Settle(ctx context.Context, spec *migration.Spec, customers []string) error {
	return rt.each(ctx, spec, customers, func(l *layout, c API, mine []string) error {
		hosts := l.of(func(id string) bool { return slices.Contains(mine, id) })
		return rt.passes.Alone(ctx, l.lane(), func() error {
			_, err := rt.change(ctx, l, c, func() []*host { return hosts }, func(_ *host, s *standing, now time.Time) (note, bool) {
				if s.note == nil || s.note.ttl == s.note.was {
					return note{}, false
				}
				n := s.note.later(now)
				n.ttl, n.since = n.was, n.at
				return n, true
			})
			return err
		})
	})
}

// Leads is where the zone's own servers send a host of a route now: a name or an address.
func (rt *Router) Leads(ctx context.Context, t migration.Target, r migration.Route, name string) (to string, err error) {
	err = wrong(r, func() error {
		c, err := rt.clients.Route53(ctx, t)
		if err != nil {
			return err
		}
		l := &layout{route: r, target: t}
		v, _ := values(r.DNS.Workloads[r.Workloads()[0]], "", "")
		seen, err := rt.see(ctx, c, l, &host{name: fqdn(name), onprem: v})
		if err != nil {
			return err
		}
		err = fmt.Errorf("%s leads nowhere", name)
		for _, s := range seen {
			switch {
			case s.err != nil:
				err = s.err
			case len(s.says) > 0:
				to = bare(s.says[0])
				return nil
			}
		}
		return err
	}())
	return to, err
}
