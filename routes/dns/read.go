package dns

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// standing is what is in the zone for a host.
type standing struct {
	sets   []types.ResourceRecordSet // at its name, of those types that lead somewhere
	others []types.RRType            // of the other sets at its name
	token  *types.ResourceRecordSet  // nil: there is none
	note   *note                     // what the token record says, or as adopt has it; nil: there is none, or it is none of Drover's
	wild   *types.ResourceRecordSet  // what a wildcard answers for a name that has no sets
}

// leads says whether records of a type lead to an address, and so must be Drover's or as the plan
// says.
func leads(t types.RRType) bool { return t == types.RRTypeA || t == types.RRTypeCname }

const (
	pageOfHost = 20  // sets that a look at one host asks for: its own, and a few after it
	pageOfZone = 300 // the most that Route 53 answers at once
)

// read reads what stands for hosts: each by itself, or the whole zone where that takes fewer calls.
func (rt *Router) read(ctx context.Context, c API, l *layout, hosts []*host) (map[*host]*standing, error) {
	out := map[*host]*standing{}
	if len(hosts) > 1 {
		z, err := rt.zone(ctx, c, l)
		if err != nil {
			return nil, err
		}
		if z.sets/pageOfZone < int64(len(hosts)) {
			return out, rt.readZone(ctx, c, l, hosts, out)
		}
	}
	for _, h := range hosts {
		s, err := rt.readHost(ctx, c, l, h)
		if err != nil {
			return nil, err
		}
		out[h] = s
	}
	return out, nil
}

// readOwn is read, with a note of every pair that the plan has written and whose token record
// somebody has taken away.
func (rt *Router) readOwn(ctx context.Context, c API, l *layout, hosts []*host) (map[*host]*standing, error) {
	out, err := rt.read(ctx, c, l, hosts)
	if err != nil {
		return nil, err
	}
	var was *before
	for h, s := range out {
		if s.token != nil || !s.paired() {
			continue
		}
		if was == nil {
			b, _, err := rt.recorded(ctx, l)
			if err != nil {
				return nil, err
			}
			was = &b
		}
		if stood, ours := was.Hosts[h.name]; ours {
			l.adopt(h, s, stood)
		}
	}
	return out, nil
}

// paired says whether records of Drover's stand there.
func (s *standing) paired() bool {
	return slices.ContainsFunc(s.sets, func(set types.ResourceRecordSet) bool {
		return slices.Contains([]string{setOnPrem, setAWS}, aws.ToString(set.SetIdentifier))
	})
}

// adopt gives a pair without a token record the note that it was written with, as far as the pair
// and what the plan has written down of the time before tell it: its token is the oldest, so that
// whatever the data says counts, and its TTL counts as lowered now. A pair of other values is left
// alone.
func (l *layout) adopt(h *host, s *standing, was []types.ResourceRecordSet) {
	now := time.Now().Truncate(time.Millisecond)
	n := note{plan: l.plan, customer: h.customer, since: now, at: now}
	for _, set := range s.sets {
		switch aws.ToString(set.SetIdentifier) {
		case setOnPrem:
			n.ttl = aws.ToInt64(set.TTL)
		case setAWS:
			n.share = int(aws.ToInt64(set.Weight))
		}
	}
	if n.was = n.ttl; len(was) == 1 && was[0].TTL != nil {
		n.was = *was[0].TTL
	}
	if sameSets(s.sets, h.pair(n.share, n.ttl)) {
		s.note = &n
	}
}

// readHost reads one host. Its token is among the names below it, which come right after it unless
// there are many.
func (rt *Router) readHost(ctx context.Context, c API, l *layout, h *host) (*standing, error) {
	s := &standing{}
	page, err := rt.list(ctx, c, &sdk.ListResourceRecordSetsInput{HostedZoneId: &l.route.DNS.Zone, StartRecordName: &h.name,
		MaxItems: aws.Int32(pageOfHost)})
	if err != nil {
		return nil, err
	}
	last := ""
	for _, set := range page.ResourceRecordSets {
		last = fqdn(aws.ToString(set.Name))
		s.take(h, set)
	}
	if s.token == nil && page.IsTruncated && (last == h.name || strings.HasSuffix(last, "."+h.name)) {
		token := tokenName(h.name)
		page, err = rt.list(ctx, c, &sdk.ListResourceRecordSetsInput{HostedZoneId: &l.route.DNS.Zone, StartRecordName: &token,
			MaxItems: aws.Int32(pageOfHost)})
		if err != nil {
			return nil, err
		}
		for _, set := range page.ResourceRecordSets {
			if fqdn(aws.ToString(set.Name)) == token {
				s.take(h, set)
			}
		}
	}
	return s, nil
}

// readZone reads all that the zone has, and takes what is the hosts'.
func (rt *Router) readZone(ctx context.Context, c API, l *layout, hosts []*host, out map[*host]*standing) error {
	by := map[string]*host{}
	for _, h := range hosts {
		by[h.name], by[tokenName(h.name)], out[h] = h, h, &standing{}
	}
	return rt.eachSet(ctx, c, l, func(s types.ResourceRecordSet) {
		if h := by[fqdn(aws.ToString(s.Name))]; h != nil {
			out[h].take(h, s)
		}
	})
}

// eachSet calls do for every record set of the zone.
func (rt *Router) eachSet(ctx context.Context, c API, l *layout, do func(types.ResourceRecordSet)) error {
	in := &sdk.ListResourceRecordSetsInput{HostedZoneId: &l.route.DNS.Zone, MaxItems: aws.Int32(pageOfZone)}
	for {
		page, err := rt.list(ctx, c, in)
		if err != nil {
			return err
		}
		for _, s := range page.ResourceRecordSets {
			do(s)
		}
		if !page.IsTruncated {
			return nil
		}
		in.StartRecordName, in.StartRecordType, in.StartRecordIdentifier = page.NextRecordName, page.NextRecordType,
			page.NextRecordIdentifier
	}
}

func (rt *Router) list(ctx context.Context, c API, in *sdk.ListResourceRecordSetsInput) (*sdk.ListResourceRecordSetsOutput, error) {
	if err := rt.turn(ctx); err != nil {
		return nil, err
	}
	out, err := c.ListResourceRecordSets(ctx, in)
	if err != nil {
		return nil, explain(err, "list the records of zone %s", aws.ToString(in.HostedZoneId))
	}
	return out, nil
}

// take adds a set that is the host's. A page may repeat sets of the one before.
func (s *standing) take(h *host, set types.ResourceRecordSet) {
	switch name := fqdn(aws.ToString(set.Name)); {
	case name == tokenName(h.name) && set.Type == types.RRTypeTxt:
		s.token = &set
		if n, err := noteOf(set); err == nil {
			s.note = &n
		}
	case name == h.name && leads(set.Type):
		if !slices.ContainsFunc(s.sets, func(o types.ResourceRecordSet) bool { return sameID(o, set) }) {
			s.sets = append(s.sets, set)
		}
	case name == h.name && !slices.Contains(s.others, set.Type):
		s.others = append(s.others, set.Type)
	}
}

func sameID(a, b types.ResourceRecordSet) bool {
	return a.Type == b.Type && aws.ToString(a.SetIdentifier) == aws.ToString(b.SetIdentifier)
}

// same says whether two sets of one name answer the same in the same cases.
func same(a, b types.ResourceRecordSet) bool {
	return sameID(a, b) && aws.ToInt64(a.Weight) == aws.ToInt64(b.Weight) && (a.Weight == nil) == (b.Weight == nil) &&
		aws.ToInt64(a.TTL) == aws.ToInt64(b.TTL) && slices.Equal(says(a), says(b)) && sameAlias(a.AliasTarget, b.AliasTarget) &&
		plain(a) && plain(b)
}

func sameAlias(a, b *types.AliasTarget) bool {
	if a == nil || b == nil {
		return a == b
	}
	return fqdn(aws.ToString(a.DNSName)) == fqdn(aws.ToString(b.DNSName)) && aws.ToString(a.HostedZoneId) == aws.ToString(b.HostedZoneId) &&
		a.EvaluateTargetHealth == b.EvaluateTargetHealth
}

// plain says whether a set answers by its weight alone, if by anything.
func plain(s types.ResourceRecordSet) bool {
	return s.HealthCheckId == nil && s.Region == "" && s.Failover == "" && s.GeoLocation == nil && s.GeoProximityLocation == nil &&
		s.CidrRoutingConfig == nil && s.TrafficPolicyInstanceId == nil && !aws.ToBool(s.MultiValueAnswer)
}

// sameSets says whether the same sets stand in both.
func sameSets(a, b []types.ResourceRecordSet) bool {
	return len(a) == len(b) && len(without(a, b)) == 0
}

// without are the sets of a that do not stand in b as they are.
func without(a, b []types.ResourceRecordSet) (out []types.ResourceRecordSet) {
	for _, s := range a {
		if !slices.ContainsFunc(b, func(o types.ResourceRecordSet) bool { return same(s, o) }) {
			out = append(out, s)
		}
	}
	return out
}

// words are sets in a line.
func words(sets []types.ResourceRecordSet) string {
	if len(sets) == 0 {
		return "no record"
	}
	var all []string
	for _, s := range sets {
		line := string(s.Type)
		for _, v := range says(s) {
			line += " " + bare(v)
		}
		if s.AliasTarget != nil {
			line += " alias of " + bare(aws.ToString(s.AliasTarget.DNSName))
		}
		if s.TTL != nil {
			line += fmt.Sprintf(", TTL %d", *s.TTL)
		}
		if s.Weight != nil {
			line += fmt.Sprintf(", weight %d", *s.Weight)
		}
		if !plain(s) {
			line += ", by a routing policy of its own"
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return strings.Join(all, " and ")
}

// zone is what Route 53 says of a hosted zone.
type zone struct {
	name    string // with its final dot
	private bool
	servers []string
	sets    int64 // record sets
	at      time.Time
}

// zoneFresh is how long a zone is not asked for again.
const zoneFresh = time.Minute

// zone describes the route's zone, as it was a minute ago at most.
func (rt *Router) zone(ctx context.Context, c API, l *layout) (zone, error) {
	id := l.route.DNS.Zone
	rt.mu.Lock()
	z := rt.zones[l.target.Account+" "+id]
	rt.mu.Unlock()
	if time.Since(z.at) < zoneFresh {
		return z, nil
	}
	if err := rt.turn(ctx); err != nil {
		return z, err
	}
	out, err := c.GetHostedZone(ctx, &sdk.GetHostedZoneInput{Id: &id})
	if err != nil {
		return z, explain(err, "describe zone %s", id)
	}
	z = zone{name: fqdn(aws.ToString(out.HostedZone.Name)), sets: aws.ToInt64(out.HostedZone.ResourceRecordSetCount), at: time.Now()}
	z.private = out.HostedZone.Config != nil && out.HostedZone.Config.PrivateZone
	if out.DelegationSet != nil {
		z.servers = slices.Sorted(slices.Values(out.DelegationSet.NameServers))
	}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	maps.DeleteFunc(rt.zones, func(_ string, z zone) bool { return time.Since(z.at) > zoneFresh })
	rt.zones[l.target.Account+" "+id] = z
	return z, nil
}
