package dns

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/miekg/dns"
)

// keep is how long the records once read are believed.
const keep = 500 * time.Millisecond

// Route53 reads the record sets of all hosted zones of an account and keeps them for a moment.
type Route53 struct {
	client *route53.Client

	mu   sync.Mutex
	read time.Time
	sets map[string][]types.ResourceRecordSet // by name, lower case, with the final dot
}

// NewRoute53 reads by client.
func NewRoute53(client *route53.Client) *Route53 { return &Route53{client: client} }

// Lookup implements Records. Of weighted sets one is chosen by weight, as Route 53 does for each
// question.
func (r *Route53) Lookup(ctx context.Context, name string, qtype uint16) ([]dns.RR, bool, error) {
	all, err := r.all(ctx)
	if err != nil {
		return nil, false, err
	}
	sets := all[name]
	if len(sets) == 0 {
		if _, parent, ok := strings.Cut(name, "."); ok {
			sets = all["*."+parent]
		}
	}
	for _, t := range []types.RRType{types.RRType(dns.TypeToString[qtype]), types.RRTypeCname} {
		if set, ok := weighted(sets, t); ok {
			rr, err := records(name, set)
			return rr, true, err
		}
	}
	return nil, len(sets) > 0, nil
}

func (r *Route53) all(ctx context.Context) (map[string][]types.ResourceRecordSet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sets != nil && time.Since(r.read) < keep {
		return r.sets, nil
	}
	sets := map[string][]types.ResourceRecordSet{}
	zones := route53.NewListHostedZonesPaginator(r.client, &route53.ListHostedZonesInput{})
	for zones.HasMorePages() {
		page, err := zones.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list hosted zones: %w", err)
		}
		for _, z := range page.HostedZones {
			if err := r.zone(ctx, aws.ToString(z.Id), sets); err != nil {
				return nil, err
			}
		}
	}
	r.sets, r.read = sets, time.Now()
	return sets, nil
}

func (r *Route53) zone(ctx context.Context, id string, into map[string][]types.ResourceRecordSet) error {
	pages := route53.NewListResourceRecordSetsPaginator(r.client, &route53.ListResourceRecordSetsInput{HostedZoneId: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list record sets of %s: %w", id, err)
		}
		for _, s := range page.ResourceRecordSets {
			name := strings.ToLower(strings.ReplaceAll(aws.ToString(s.Name), `\052`, "*"))
			into[dns.Fqdn(name)] = append(into[dns.Fqdn(name)], s)
		}
	}
	return nil
}

// weighted chooses among the sets of a type; those of weight 0 only if there are no others.
func weighted(sets []types.ResourceRecordSet, t types.RRType) (types.ResourceRecordSet, bool) {
	var of []types.ResourceRecordSet
	var total int64
	for _, s := range sets {
		if s.Type == t {
			of = append(of, s)
			total += aws.ToInt64(s.Weight)
		}
	}
	if len(of) == 0 {
		return types.ResourceRecordSet{}, false
	}
	if total == 0 {
		return of[rand.IntN(len(of))], true
	}
	n := rand.Int64N(total)
	for _, s := range of {
		if n -= aws.ToInt64(s.Weight); n < 0 {
			return s, true
		}
	}
	return of[0], true
}

// records turns a set into what is answered. An alias is answered as a CNAME: what stands behind it
// is resolved by the caller.
func records(name string, s types.ResourceRecordSet) ([]dns.RR, error) {
	if s.AliasTarget != nil {
		return []dns.RR{&dns.CNAME{Hdr: header(name, dns.TypeCNAME, ttl),
			Target: dns.Fqdn(strings.TrimPrefix(strings.ToLower(aws.ToString(s.AliasTarget.DNSName)), "dualstack."))}}, nil
	}
	var out []dns.RR
	for _, v := range s.ResourceRecords {
		rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", name, aws.ToInt64(s.TTL), s.Type, aws.ToString(v.Value)))
		if err != nil {
			return nil, fmt.Errorf("record set %s %s: %w", name, s.Type, err)
		}
		out = append(out, rr)
	}
	return out, nil
}
