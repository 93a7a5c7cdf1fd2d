package hook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// rounds bounds how often a host is looked at again while others write, or the router does not do
// what it acknowledged.
const rounds = 12

// Reconcile has the routers send the hosts of the wanted customers to their sides, and answers
// where each is sent, as the last look said. A customer without a side is left as it is. So is one
// whose hosts somebody else has changed, or a router does not know: its state says what is wrong.
//
// Twice, it finds nothing to write. Cut off anywhere, what was written is right already, and the
// next call does the rest. What comes late with an older token than the note has, or than this
// process was told in the last half minute, changes nothing. Where a router does not answer, the
// error says so, and the states are of those for whom it did.
func (rt *Router) Reconcile(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	rt.told.Hear(spec.Plan, wanted)
	return rt.states(ctx, spec, wanted, true, func(l *layout, h *host, w routes.Wanted) (found, error) {
		return rt.settle(ctx, l, h, func() routes.Wanted { return rt.told.NewestOf(spec.Plan, w) })
	})
}

// Verify answers where each wanted customer is sent, and what is wrong with that. A customer
// without a side is not looked at. It writes nothing.
func (rt *Router) Verify(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	return rt.states(ctx, spec, wanted, false, func(l *layout, h *host, _ routes.Wanted) (found, error) {
		s, err := l.peer.read(ctx, h.name)
		return l.see(h, s, err)
	})
}

// states has a way of finding things out about hosts found out about those of the wanted customers.
func (rt *Router) states(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted, sets bool,
	find func(*layout, *host, routes.Wanted) (found, error)) (map[string]routes.State, error) {
	all := map[string]routes.Wanted{}
	routes.Latest(all, wanted)
	var ids []string
	for _, w := range wanted {
		ids = append(ids, w.Customer)
	}
	if sets {
		for id, w := range all {
			all[id] = rt.told.NewestOf(spec.Plan, w)
		}
	}
	out := map[string]routes.State{}
	return out, rt.each(ctx, spec, ids, func(l *layout, mine []string) error {
		var hosts []*host
		for _, id := range mine {
			if all[id].Side != migration.NoHome {
				hosts = append(hosts, l.hosts[id]...)
			}
		}
		var mu sync.Mutex
		of, failed := map[*host]found{}, map[string]bool{}
		err := everyHost(hosts, func(h *host) error {
			f, err := find(l, h, all[h.customer])
			mu.Lock()
			defer mu.Unlock()
			of[h] = f
			failed[h.customer] = failed[h.customer] || err != nil
			return err
		})
		for _, id := range mine {
			if failed[id] {
				continue
			}
			s := l.state(id, all[id], of, time.Now())
			if sets && s.Home != migration.NoHome {
				s.Set = time.Now()
			}
			out[id] = routes.Merge(out[id], s)
		}
		return err
	})
}

// settle looks and writes until what stands for a host needs no write. What is wanted is asked
// after each look.
func (rt *Router) settle(ctx context.Context, l *layout, h *host, wanted func() routes.Wanted) (found, error) {
	wrote := 0
	for range rounds {
		s, err := l.peer.read(ctx, h.name)
		f, err := l.see(h, s, err)
		if err != nil || f.odd != "" {
			return f, err
		}
		n, changes := l.next(h, s, wanted())
		if !changes {
			return f, nil
		}
		switch err = l.peer.write(ctx, h.name, change{Weights: l.weights(n.Share), Note: &n}, s.etag); {
		case errors.Is(err, errChanged):
		case errors.Is(err, errUnknown), errors.Is(err, errRefused):
			f.odd = fmt.Sprintf("the router did not take %s for %s: %v", words(l.weights(n.Share)), h.name, err)
			return f, nil
		case err != nil:
			return found{}, err
		default:
			wrote++
		}
	}
	if wrote > 1 {
		return found{}, fmt.Errorf("%s: the router acknowledged %d changes, and what it says stands is not what it was told", h.name, wrote)
	}
	return found{}, fmt.Errorf("%s: the change was refused %d times in a row, since something else stood than was read; find out who "+
		"changes it", h.name, rounds)
}

// next is the note that a host gets, if it needs another.
func (l *layout) next(h *host, s *standing, w routes.Wanted) (note, bool) {
	switch {
	case w.Side == migration.NoHome:
		return note{}, false
	case s.note != nil:
		return s.note.follows(w, now())
	case w.Share() == 0:
		return note{}, false // it was never on AWS
	}
	return note{Plan: l.plan, Customer: h.customer, Token: w.Token, Share: w.Share(), Was: s.weights, At: now()}, true
}
