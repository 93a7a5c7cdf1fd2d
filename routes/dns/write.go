package dns

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// step is what is written for one host. It holds only while all stands that was read: what it
// deletes it names value by value.
type step struct {
	host            *host
	becomes         *note // nil: the token goes
	deletes, brings []types.ResourceRecordSet
}

// to is the step from what stands to a note and its pair.
func (h *host) to(s *standing, n note) step {
	pair := h.pair(n.share, n.ttl)
	st := step{host: h, becomes: &n, deletes: without(s.sets, pair), brings: without(pair, s.sets)}
	if s.token != nil {
		st.deletes = append(st.deletes, *s.token)
	}
	st.brings = append(st.brings, n.set(h.name))
	return st
}

func (s step) changes() (out []types.Change) {
	for _, d := range s.deletes {
		out = append(out, types.Change{Action: types.ChangeActionDelete, ResourceRecordSet: &d})
	}
	for _, b := range s.brings {
		out = append(out, types.Change{Action: types.ChangeActionCreate, ResourceRecordSet: &b})
	}
	return out
}

// What Route 53 takes in one batch
// (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html): changes and
// records, and characters of their values.
const (
	mostRecords    = 1000
	mostCharacters = 32000
)

// batches divides steps into as few batches as Route 53 allows. A host's step is never divided.
func batches(steps []step) (out [][]step) {
	records, characters := mostRecords+1, 0
	for _, s := range steps {
		r, c := 0, 0
		for _, set := range slices.Concat(s.deletes, s.brings) {
			r += max(1, len(set.ResourceRecords))
			for _, x := range set.ResourceRecords {
				c += len(aws.ToString(x.Value))
			}
		}
		if records+r > mostRecords || characters+c > mostCharacters {
			out = append(out, nil)
			records, characters = 0, 0
		}
		out[len(out)-1] = append(out[len(out)-1], s)
		records, characters = records+r, characters+c
	}
	return out
}

// write writes steps, and into v what stands then. It answers the steps of batches that were
// refused because something else stands than was read.
func (rt *Router) write(ctx context.Context, c API, l *layout, steps []step, v *view) (refused []step, why error, err error) {
	for _, some := range batches(steps) {
		var changes []types.Change
		for _, s := range some {
			changes = append(changes, s.changes()...)
		}
		if err := rt.turn(ctx); err != nil {
			return nil, nil, err
		}
		out, err := c.ChangeResourceRecordSets(ctx, &sdk.ChangeResourceRecordSetsInput{HostedZoneId: &l.route.DNS.Zone,
			ChangeBatch: &types.ChangeBatch{Changes: changes, Comment: aws.String("drover plan " + l.plan)}})
		if raced(err) {
			refused, why = append(refused, some...), err
			continue
		}
		if err != nil {
			return nil, nil, explain(err, "change the records of %d hosts in zone %s", len(some), l.route.DNS.Zone)
		}
		for _, s := range some {
			v.hosts[s.host.name] = found{host: s.host, note: s.becomes, change: aws.ToString(out.ChangeInfo.Id)}
		}
	}
	return refused, why, nil
}

// progress is how far a change is. Of many who wait for one change, one asks, the others hear what
// it saw a moment ago.
type progress struct {
	turn   chan struct{}
	at     time.Time // when it was asked last
	synced bool
}

// keepProgress is how long a change is remembered.
const keepProgress = time.Hour

// synced says whether all servers of Route 53 have a change.
func (rt *Router) synced(ctx context.Context, c API, id string) (bool, error) {
	rt.mu.Lock()
	p := rt.changes[id]
	if p == nil {
		maps.DeleteFunc(rt.changes, func(_ string, p *progress) bool { return !p.at.IsZero() && time.Since(p.at) > keepProgress })
		p = &progress{turn: make(chan struct{}, 1)}
		rt.changes[id] = p
	}
	rt.mu.Unlock()
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-p.turn }()
	if p.synced || time.Since(p.at) < rt.poll {
		return p.synced, nil
	}
	if err := rt.turn(ctx); err != nil {
		return false, err
	}
	out, err := c.GetChange(ctx, &sdk.GetChangeInput{Id: &id})
	if err != nil {
		return false, explain(err, "ask how far change %s is", id)
	}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	p.at, p.synced = time.Now(), out.ChangeInfo.Status == types.ChangeStatusInsync
	return p.synced, nil
}
