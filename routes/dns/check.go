package dns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	wire "github.com/miekg/dns"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// Check reads every zone, asks its servers, and says what would stop Drover from routing its
// customers, or change what their requests meet today. It writes nothing: whether the records may
// be changed shows when they are.
func (rt *Router) Check(ctx context.Context, spec *migration.Spec) (out []migration.Finding, err error) {
	for _, r := range spec.Routes {
		if r.DNS == nil {
			continue
		}
		ch := &check{rt: rt, route: r}
		err := rt.with(ctx, spec, r, func(l *layout, c API) error {
			ch.l, ch.c = l, c
			return ch.run(ctx, spec)
		})
		out = append(out, ch.findings...)
		switch permanent.Kind(err) {
		case "":
			if err != nil {
				return out, err
			}
		case "NoZone":
			ch.findings = nil
			ch.find(migration.Blocker, "route-zone", "correct the route's zone, or its target", "zone %s is not in account %s", r.DNS.Zone,
				ch.l.target.Account)
			out = append(out, ch.findings...)
		case "NoListener": // the load balancers' own check says so
		default:
			return out, err
		}
	}
	return out, nil
}

type check struct {
	rt       *Router
	c        API
	route    migration.Route
	l        *layout
	findings []migration.Finding
}

func (ch *check) find(s migration.Severity, name, remedy, reason string, args ...any) {
	ch.findings = append(ch.findings, migration.Finding{Severity: s, Check: name, Subject: "route " + ch.route.Name,
		Reason: fmt.Sprintf(reason, args...), Remedy: remedy})
}

func (ch *check) run(ctx context.Context, spec *migration.Spec) error {
	z, err := ch.rt.zone(ctx, ch.c, ch.l)
	if err != nil {
		return err
	}
	hosts := ch.within(z)
	if err := ch.room(ctx, hosts); err != nil {
		return err
	}
	cuts, err := ch.cuts(ctx, z)
	if err != nil {
		return err
	}
	hosts = ch.outside(hosts, cuts)
	if !ch.reaches(ctx, z) {
		return nil // whatever depends on what the servers answer would only say so again
	}
	if err := ch.delegated(ctx, z); err != nil {
		return err
	}
	stand, err := ch.rt.readAll(ctx, ch.c, ch.l, hosts)
	if err != nil {
		return err
	}
	for _, h := range hosts {
		ch.host(h, stand[h])
	}
	ch.pace(spec)
	return nil
}

// within are the hosts that the zone can have records of. The others are told.
func (ch *check) within(z zone) (out []*host) {
	for _, h := range ch.l.all() {
		if h.name == z.name || strings.HasSuffix(h.name, "."+z.name) {
			out = append(out, h)
			if h.name == z.name && h.onprem.kind == types.RRTypeCname {
				ch.find(migration.Blocker, "route-record", "say the addresses that serve it on premises (addresses), so that "+
					"its records are of type A", "%s is the zone's own name, which cannot be a CNAME", bare(h.name))
			}
			continue
		}
		ch.find(migration.Blocker, "route-zone", "move the customer to a route whose zone has the host, or correct the zone",
			"host %s of customer %q is not in zone %s (%s)", bare(h.name), h.customer, ch.route.DNS.Zone, bare(z.name))
	}
	return out
}

// setsOfHost are a pair and a token record.
const setsOfHost = 3

// room compares the record sets that the zone will have with its quota.
func (ch *check) room(ctx context.Context, hosts []*host) error {
	if err := ch.rt.turn(ctx); err != nil {
		return err
	}
	out, err := ch.c.GetHostedZoneLimit(ctx, &sdk.GetHostedZoneLimitInput{HostedZoneId: &ch.route.DNS.Zone,
		Type: types.HostedZoneLimitTypeMaxRrsetsByZone})
	if err != nil {
		return explain(err, "read the quota of zone %s", ch.route.DNS.Zone)
	}
	limit := aws.ToInt64(out.Limit.Value)
	if need := int64(setsOfHost * len(hosts)); out.Count+need > limit {
		ch.find(migration.Blocker, "route-quota", "raise the quota of records per hosted zone",
			"zone %s has %d record sets, the route needs "+
				"up to %d more, and its quota is %d", ch.route.DNS.Zone, out.Count, need, limit)
	}
	return nil
}

// cuts are the names below the zone that it delegates to other zones.
func (ch *check) cuts(ctx context.Context, z zone) (out []string, err error) {
	err = ch.rt.eachSet(ctx, ch.c, ch.l, func(s types.ResourceRecordSet) {
		if name := fqdn(aws.ToString(s.Name)); s.Type == types.RRTypeNs && name != z.name {
			out = append(out, name)
		}
	})
	return out, err
}

// outside are the hosts that are not below a cut.
func (ch *check) outside(hosts []*host, cuts []string) (out []*host) {
	for _, h := range hosts {
		at := slices.IndexFunc(cuts, func(cut string) bool { return h.name == cut || strings.HasSuffix(h.name, "."+cut) })
		if at < 0 {
			out = append(out, h)
			continue
		}
		ch.find(migration.Blocker, "route-zone", "name the zone that has the host",
			"zone %s delegates %s to another zone: what it says of "+
				"%s is asked by nobody", ch.route.DNS.Zone, bare(cuts[at]), bare(h.name))
	}
	return out
}

// reaches says whether this worker reaches servers of the zone.
func (ch *check) reaches(ctx context.Context, z zone) bool {
	addresses, err := ch.rt.servers.of(ctx, z)
	var errs []error
	reached := false
	for _, at := range addresses {
		_, err := ch.rt.servers.ask(ctx, at, z.name, wire.TypeSOA)
		errs = append(errs, err)
		reached = reached || err == nil
	}
	if err := errors.Join(append(errs, err)...); !reached {
		ch.find(migration.Blocker, "route-servers", "let the main worker ask them (port 53, UDP and TCP), or give it servers "+
			"that answer for the zone and hold no answers back: DROVER_ZONE_SERVERS=HOST:PORT,...", "no name server of zone %s "+
			"answers this worker: %v",
			ch.route.DNS.Zone, err)
	}
	return reached
}

// delegated wants the world to ask this zone, and not another one of its name.
func (ch *check) delegated(ctx context.Context, z zone) error {
	if z.private {
		return nil
	}
	asked, err := ch.rt.servers.resolver.LookupNS(ctx, z.name)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		ch.find(migration.Blocker, "route-zone", "have the registrar, or the zone above, name the zone's servers: "+
			strings.Join(z.servers, ", "), "nobody knows the name servers of %s: %v", bare(z.name), err)
		return nil
	}
	var names []string
	for _, ns := range asked {
		names = append(names, bare(fqdn(ns.Host)))
	}
	if !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(z.servers, n) }) {
		ch.find(migration.Blocker, "route-zone", "name the zone whose servers are asked, or have the registrar name those of this one: "+
			strings.Join(z.servers, ", "), "the world asks %s for %s, which are not the name servers of zone %s",
			strings.Join(names, ", "), bare(z.name), ch.route.DNS.Zone)
	}
	return nil
}

// host checks what stands for one host.
func (ch *check) host(h *host, s *standing) {
	if odd := ch.l.odd(h, s); odd != "" {
		name := "route-record"
		if s.note != nil && s.note.plan != ch.l.plan {
			name = "route-host-claimed"
		}
		ch.find(migration.Blocker, name, "the route changes nothing that it does not know", "customer %q: %s", h.customer, odd)
	}
	for _, t := range s.others {
		if t == types.RRTypeAaaa || t == "HTTPS" || t == "SVCB" {
			ch.find(migration.Blocker, "route-record", "take the record away before the first batch, as much earlier as its TTL lasts",
				"%s has a record of type %s, too: clients that use it would go on to premises", bare(h.name), t)
		}
	}
	if at := s.stands(); at != nil && s.note == nil && aws.ToInt64(at.TTL) > longTTL {
		ch.find(migration.Warning, "route-ttl", "lower it by hand now, if the first batch is to go sooner", "%s has a TTL of %d s: it is "+
			"lowered so long before its batch, which waits for it", bare(h.name), *at.TTL)
	}
}

// longTTL is what a batch without a window waits for without anybody wondering, in seconds.
const longTTL = 3600

// pace tells how many customers a minute Route 53 lets follow.
func (ch *check) pace(spec *migration.Spec) {
	const callsOfMove = 8 // one to read, one to write, and the looks at a change on its way
	for _, b := range spec.Batches {
		n := 0
		for _, id := range b.Customers {
			if len(ch.l.hosts[id]) > 0 {
				n++
			}
		}
		if at := min(n, max(b.Concurrency, 1)); at*callsOfMove > perSecond*int(Spreads.Seconds()) {
			ch.find(migration.Warning, "route-rate", "lower the batch's concurrency to "+
				fmt.Sprint(perSecond*int(Spreads.Seconds())/callsOfMove),
				"batch %s moves %d customers by name at a time: Route 53 takes five calls "+
					"a second of an account, and they would wait for each other", b.Name, at)
		}
	}
}
