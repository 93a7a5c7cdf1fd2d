package hook

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// stale is an ETag that no router has.
const stale = `"drover-holds-no-more"`

// Record finds out whether each router heeds conditions: it is told what stands for one host, on
// the condition that something else does. A router that takes that would let an older token
// override a newer one. What stood before the first change of a host is in its note. Run twice it
// does the same twice.
func (rt *Router) Record(ctx context.Context, spec *migration.Spec) error {
	return rt.eachRoute(ctx, spec, func(l *layout) error {
		for _, h := range l.all() {
			s, err := l.peer.read(ctx, h.name)
			if errors.Is(err, errUnknown) {
				continue // preflight says so
			}
			if err != nil {
				return err
			}
			switch err := l.peer.write(ctx, h.name, change{Weights: s.weights, Note: s.note}, stale); {
			case errors.Is(err, errChanged):
				return nil
			case err == nil:
				return permanent.New("IgnoresConditions", nil, "the router changed %s although the condition (If-Match) did not hold: "+
					"workers that come late would override newer ones; have it answer 412, as docs/route-hook.md says", h.name)
			default:
				return fmt.Errorf("a change whose condition does not hold, which it is to answer with 412: %w", err)
			}
		}
		return nil
	})
}

// Restore puts back what stood for every host that Drover has touched, and has the router keep no
// note. wanted says where the customers are homed, all that a route carries: it refuses unless that
// is on premises for each. What others changed since is told and not undone.
//
// Run twice it changes nothing more; cut off, the next run does the rest.
func (rt *Router) Restore(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (out routes.Restored, err error) {
	rt.told.Forget(spec.Plan)
	err = rt.eachRoute(ctx, spec, func(l *layout) error {
		if err := routes.AllHome(l.customers, wanted); err != nil {
			return err
		}
		var mu sync.Mutex
		return everyHost(l.all(), func(h *host) error {
			done, differs, err := rt.restore(ctx, l, h)
			mu.Lock()
			defer mu.Unlock()
			if done {
				out.Deleted++
			}
			if differs != "" {
				out.Differences = append(out.Differences, differs)
			}
			return err
		})
	})
	return out, err
}

// restore puts one host back. differs says what stands there that is not Drover's, and is left.
func (rt *Router) restore(ctx context.Context, l *layout, h *host) (done bool, differs string, err error) {
	for range rounds {
		s, err := l.peer.read(ctx, h.name)
		if errors.Is(err, errUnknown) {
			return done, differs, nil // whoever took it out of the router took the note with it
		}
		if err != nil {
			return done, differs, err
		}
		if s.note == nil || s.note.Plan != l.plan || s.note.Customer != h.customer {
			return done, differs, nil
		}
		to := change{Weights: s.note.Was}
		if !alike(s.weights, l.weights(s.note.Share)) {
			to.Weights = s.weights
			differs = fmt.Sprintf("%s was changed by somebody else: the router sends it to %s, where %s stood", h.name, words(s.weights),
				words(s.note.Was))
		}
		switch err = l.peer.write(ctx, h.name, to, s.etag); {
		case err == nil:
			done = true
		case !errors.Is(err, errChanged):
			return done, differs, fmt.Errorf("put %s back: %w", h.name, err)
		}
	}
	return done, differs, fmt.Errorf("%s could not be put back: it was changed %d times in a row", h.name, rounds)
}

// Survey lists the hosts whose weights are Drover's. It changes nothing.
func (rt *Router) Survey(ctx context.Context, spec *migration.Spec) (out []migration.Thing, err error) {
	err = rt.eachRoute(ctx, spec, func(l *layout) error {
		hosts := l.all()
		stand := make([]*standing, len(hosts))
		at := map[*host]int{}
		for i, h := range hosts {
			at[h] = i
		}
		err := everyHost(hosts, func(h *host) (err error) {
			if stand[at[h]], err = l.peer.read(ctx, h.name); errors.Is(err, errUnknown) {
				return nil
			}
			return err
		})
		for i, h := range hosts {
			if s := stand[i]; s != nil && s.note != nil && s.note.Plan == l.plan {
				out = append(out, migration.Thing{Kind: "weights", ID: h.name, Of: "customer " + h.customer,
					Where: "route " + l.route.Name})
			}
		}
		return err
	})
	return out, err
}
