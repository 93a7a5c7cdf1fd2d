package dns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// before is what stood in a zone for the hosts of a route before Drover touched them.
type before struct {
	Zone  string                               `json:"zone"`
	At    time.Time                            `json:"at"`
	Hosts map[string][]types.ResourceRecordSet `json:"hosts"` // by name; none: a wildcard answered
}

func (l *layout) recordKey() string {
	return "plans/" + l.plan + "/routes/" + l.route.Name + "/before.json"
}

// Record writes what stands for every host of a route to the state bucket. What Drover has put
// there itself is never in it: of a host that it has touched, what was recorded before stays. Run
// twice, or cut off anywhere, it ends the same.
func (rt *Router) Record(ctx context.Context, spec *migration.Spec) error {
	return rt.eachRoute(ctx, spec, func(l *layout, c API) error {
		hosts := l.all()
		stand, err := rt.read(ctx, c, l, hosts)
		if err != nil {
			return err
		}
		rt.forget(l)
		return rt.remember(ctx, l, hosts, stand)
	})
}

// forget has the next remember of a route's hosts write them down again.
func (rt *Router) forget(l *layout) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	maps.DeleteFunc(rt.kept, func(k string, _ bool) bool { return strings.HasPrefix(k, l.keptKey("")) })
}

func (l *layout) keptKey(name string) string { return l.plan + " " + l.route.Name + " " + name }

// remember writes down what stands for hosts that Drover has not touched, unless this process has
// done so already. What was written down of them before is of an earlier day.
func (rt *Router) remember(ctx context.Context, l *layout, hosts []*host, stand map[*host]*standing) error {
	rt.mu.Lock()
	var fresh []*host
	for _, h := range hosts {
		if stand[h].token == nil && !stand[h].paired() && !rt.kept[l.keptKey(h.name)] {
			fresh = append(fresh, h)
		}
	}
	rt.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	for range rounds {
		was, etag, err := rt.recorded(ctx, l)
		if err != nil {
			return err
		}
		was.At = time.Now().UTC()
		for _, h := range fresh {
			was.Hosts[h.name] = stand[h].sets
		}
		body, err := json.MarshalIndent(was, "", " ")
		if err != nil {
			return fmt.Errorf("encode the records of zone %s: %w", l.route.DNS.Zone, err)
		}
		_, err = rt.bucket.Put(ctx, l.bucket, l.store, l.recordKey(), body, etag)
		if errors.Is(err, objects.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		rt.mu.Lock()
		defer rt.mu.Unlock()
		for _, h := range fresh {
			rt.kept[l.keptKey(h.name)] = true
		}
		return nil
	}
	return fmt.Errorf("%s was changed by somebody else %d times in a row", l.recordKey(), rounds)
}

// recorded reads what was written down; nothing, where there is none.
func (rt *Router) recorded(ctx context.Context, l *layout) (b before, etag string, err error) {
	body, etag, err := rt.bucket.Get(ctx, l.bucket, l.store, l.recordKey())
	switch {
	case errors.Is(err, objects.ErrNotFound):
		err = nil
	case err == nil:
		if err = json.Unmarshal(body, &b); err != nil {
			err = fmt.Errorf("read the record of route %q: %w", l.route.Name, err)
		}
	}
	b.Zone = l.route.DNS.Zone
	if b.Hosts == nil {
		b.Hosts = map[string][]types.ResourceRecordSet{}
	}
	return b, etag, err
}

// Restore puts back what stood for every host that Drover has touched, and takes its notes away.
// wanted says where the customers are homed, all that a route carries: it refuses unless that is on
// premises for each. What others changed since is told and not undone.
//
// Run twice it deletes nothing more; cut off, the next run does the rest.
func (rt *Router) Restore(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (out routes.Restored, err error) {
	rt.told.Forget(spec.Plan)
	err = rt.eachRoute(ctx, spec, func(l *layout, c API) error {
		if err := routes.AllHome(l.customers, wanted); err != nil {
			return err
		}
		return rt.passes.Alone(ctx, l.lane(), func() error { return rt.restore(ctx, l, c, &out) })
	})
	return out, err
}

func (rt *Router) restore(ctx context.Context, l *layout, c API, out *routes.Restored) error {
	was, _, err := rt.recorded(ctx, l)
	if err != nil {
		return err
	}
	defer rt.forget(l)
	var why error
	hosts := l.all()
	for range rounds {
		stand, err := rt.readOwn(ctx, c, l, hosts)
		if err != nil {
			return err
		}
		var steps []step
		for _, h := range hosts {
			s, differs := l.back(h, stand[h], was.Hosts)
			if differs != "" && !slices.Contains(out.Differences, differs) {
				out.Differences = append(out.Differences, differs)
			}
			if len(s.deletes) > 0 {
				steps = append(steps, s)
			}
		}
		v := &view{hosts: map[string]found{}}
		refused, because, err := rt.write(ctx, c, l, steps, v)
		if err != nil {
			return err
		}
		for _, s := range steps {
			if _, done := v.hosts[s.host.name]; done {
				out.Deleted += len(s.deletes)
			}
		}
		if len(refused) == 0 {
			return nil
		}
		why, hosts = because, hosts[:0:0]
		for _, s := range refused {
			hosts = append(hosts, s.host)
		}
	}
	return fmt.Errorf("zone %s: the records of %d hosts could not be put back: %w", l.route.DNS.Zone, len(hosts), why)
}

// back is the step to what stood for a host before Drover came. differs says what stands there that
// neither was recorded nor is Drover's, and is left.
func (l *layout) back(h *host, s *standing, was map[string][]types.ResourceRecordSet) (st step, differs string) {
	st.host = h
	stood, recorded := was[h.name]
	mine := s.note != nil && s.note.plan == l.plan && s.note.customer == h.customer
	switch {
	case mine && sameSets(s.sets, h.pair(s.note.share, s.note.ttl)):
		if !recorded {
			stood = h.home(s.note.was)
		}
		if st.deletes, st.brings = slices.Clone(s.sets), stood; s.token != nil {
			st.deletes = append(st.deletes, *s.token)
		}
	case mine:
		st.deletes = []types.ResourceRecordSet{*s.token}
		differs = fmt.Sprintf("the records of %s were changed by somebody else: %s", bare(h.name), words(s.sets))
	case recorded && !sameSets(s.sets, stood), s.note == nil && s.paired():
		differs = fmt.Sprintf("the records of %s were changed by somebody else: %s, where %s stood", bare(h.name), words(s.sets),
			words(stood))
	}
	return st, differs
}

// Survey lists the hosts whose records are Drover's. It changes nothing.
func (rt *Router) Survey(ctx context.Context, spec *migration.Spec) (out []migration.Thing, err error) {
	err = rt.eachRoute(ctx, spec, func(l *layout, c API) error {
		hosts := l.all()
		stand, err := rt.readOwn(ctx, c, l, hosts)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			if n := stand[h].note; n != nil && n.plan == l.plan {
				out = append(out, migration.Thing{Kind: "records", ID: bare(h.name), Of: "customer " + h.customer,
					Where: "zone " + l.route.DNS.Zone})
			}
		}
		return nil
	})
	return out, err
}
