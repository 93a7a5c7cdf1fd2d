package dns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// rounds bounds how often a pass looks again while others write. A batch is refused only where
// somebody else's came first.
const rounds = 12

// Reconcile makes the records of the wanted customers lead to their sides, waits until all servers
// of the zone say so, and answers where each is sent. A customer without a side is left as it is.
// So is one whose records somebody else has changed: its state says what is wrong.
//
// Twice, it finds nothing to write. Cut off after its batch, the records are right already, and the
// next call waits for the servers; cut off before it, nothing has changed. What comes late with an
// older token than the record has, or than this process was told in the last half minute, changes
// nothing. Calls that arrive while a pass runs share the next one.
func (rt *Router) Reconcile(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	rt.told.Hear(spec.Plan, wanted)
	newest := slices.Clone(wanted)
	for i, w := range wanted {
		newest[i] = rt.told.NewestOf(spec.Plan, w)
	}
	return rt.states(ctx, spec, newest, func(l *layout, c API, by map[string]routes.Wanted) (map[string]found, time.Time, error) {
		return rt.reconcile(ctx, l, c, by)
	})
}

// states has a way of finding things out about hosts found out about those of the wanted customers.
func (rt *Router) states(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted,
	find func(*layout, API, map[string]routes.Wanted) (map[string]found, time.Time, error)) (map[string]routes.State, error) {
	all := map[string]routes.Wanted{}
	routes.Latest(all, wanted)
	var ids []string
	for _, w := range wanted {
		ids = append(ids, w.Customer)
	}
	out := map[string]routes.State{}
	err := rt.each(ctx, spec, ids, func(l *layout, c API, mine []string) error {
		by := map[string]routes.Wanted{}
		for _, id := range mine {
			if all[id].Side != migration.NoHome {
				by[id] = all[id]
			}
		}
		of, set, err := find(l, c, by)
		if err != nil {
			return err
		}
		now := time.Now()
		for _, id := range mine {
			s := l.state(id, all[id], of, now)
			s.Set = set
			out[id] = routes.Merge(out[id], s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// reconcile answers what stands for the customers' hosts now, and since when all servers say so.
func (rt *Router) reconcile(ctx context.Context, l *layout, c API, by map[string]routes.Wanted) (map[string]found, time.Time, error) {
	of, rest := rt.glance(ctx, l, c, by)
	if len(rest) == 0 {
		return of, time.Now(), nil
	}
	var some []routes.Wanted
	for _, w := range rest {
		some = append(some, w)
	}
	v, err := rt.passes.Do(ctx, l.lane(), some, func(ctx context.Context, all map[string]routes.Wanted) (*view, error) {
		return rt.settle(ctx, l, c, func() map[string]routes.Wanted { return rt.told.Newest(l.plan, all) })
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	mine := map[string]found{}
	for _, h := range l.of(func(id string) bool { _, ok := rest[id]; return ok }) {
		mine[h.name] = v.hosts[h.name]
		of[h.name] = mine[h.name]
	}
	if err := rt.await(ctx, l, c, mine); err != nil {
		return nil, time.Time{}, err
	}
	return of, time.Now(), nil
}

// glance asks the zone's servers, and answers what they say of customers all of whose hosts are as
// they are wanted, and who the others are. It costs no call of Route 53.
func (rt *Router) glance(ctx context.Context, l *layout, c API, by map[string]routes.Wanted) (of map[string]found,
	rest map[string]routes.Wanted) {
	of, rest = map[string]found{}, map[string]routes.Wanted{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for id, w := range by {
		all.Go(func() {
			mine := map[string]found{}
			for _, h := range l.hosts[id] {
				seen, err := rt.see(ctx, c, l, h)
				if err != nil || !agree(seen, func(s sight) bool { return s.right(l, h, w.Share(), w.Token) }) {
					mu.Lock()
					defer mu.Unlock()
					rest[id] = w
					return
				}
				mine[h.name] = found{host: h, note: noted(seen)}
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(of, mine)
		})
	}
	all.Wait()
	return of, rest
}

// agree says whether every server that answers says what is wanted, and one of them does.
func agree(seen []sight, right func(sight) bool) bool {
	n := 0
	for _, s := range seen {
		if s.err == nil && !right(s) {
			return false
		}
		if s.err == nil {
			n++
		}
	}
	return n > 0
}

// noted is the note that servers answer with.
func noted(seen []sight) *note {
	for _, s := range seen {
		if s.note != nil {
			return s.note
		}
	}
	return nil
}

// settle looks and writes until what stands needs no write. What is wanted is asked after each
// look, so that a pass follows what it is told meanwhile.
func (rt *Router) settle(ctx context.Context, l *layout, c API, homes func() map[string]routes.Wanted) (*view, error) {
	return rt.change(ctx, l, c, func() []*host {
		by := homes()
		return l.of(func(id string) bool { _, ok := by[id]; return ok })
	}, func(h *host, s *standing, now time.Time) (note, bool) {
		w, ok := homes()[h.customer]
		if !ok {
			return note{}, false
		}
		if s.note != nil {
			return s.note.follows(w, l.ttl, now)
		}
		if w.Share() == 0 {
			return note{}, false // it was never on AWS
		}
		n := l.first(h, s, now)
		n.token, n.share = w.Token, w.Share()
		return n, true
	})
}

// first is the note of a host that Drover has not touched, served on premises.
func (l *layout) first(h *host, s *standing, now time.Time) note {
	was := l.ttl
	if at := s.stands(); at != nil && at.TTL != nil {
		was = *at.TTL
	}
	return note{plan: l.plan, customer: h.customer, ttl: min(was, l.ttl), was: was, since: now, at: now}
}

// change has each host get the note that next says, and answers what stands then. A host for which
// something odd stands is left as it is.
func (rt *Router) change(ctx context.Context, l *layout, c API, hosts func() []*host,
	next func(*host, *standing, time.Time) (n note, changes bool)) (*view, error) {
	v := &view{hosts: map[string]found{}}
	todo := hosts()
	var why error
	for range rounds {
		stand, err := rt.readAll(ctx, c, l, todo)
		if err != nil {
			return nil, err
		}
		now := time.Now().Truncate(time.Millisecond)
		var steps []step
		var fresh []*host
		for _, h := range todo {
			s := stand[h]
			f := found{host: h, note: s.note, odd: l.odd(h, s)}
			if v.hosts[h.name] = f; f.odd != "" {
				continue
			}
			n, changes := next(h, s, now)
			if !changes && s.note != nil && s.token == nil { // the token record again, whatever else is wanted
				n, changes = s.note.later(now), true
			}
			if changes {
				steps = append(steps, h.to(s, n))
				if s.note == nil {
					fresh = append(fresh, h)
				}
			}
		}
		if len(steps) == 0 {
			return v, nil
		}
		if err := rt.remember(ctx, l, fresh, stand); err != nil {
			return nil, err
		}
		refused, because, err := rt.write(ctx, c, l, steps, v)
		if err != nil {
			return nil, err
		}
		if len(refused) == 0 {
			return v, nil
		}
		why, todo = because, todo[:0:0]
		for _, s := range refused {
			todo = append(todo, s.host)
		}
	}
	return nil, fmt.Errorf("zone %s: the batches of %d hosts were refused %d times in a row; find out who writes to these records: %w",
		l.route.DNS.Zone, len(todo), rounds, why)
}

// readAll reads what stands for hosts, and what wildcards answer for those that have nothing of
// their own.
func (rt *Router) readAll(ctx context.Context, c API, l *layout, hosts []*host) (map[*host]*standing, error) {
	out, err := rt.readOwn(ctx, c, l, hosts)
	if err != nil {
		return nil, err
	}
	for h, s := range out {
		if len(s.sets) > 0 || s.token != nil {
			continue
		}
		if s.wild, err = rt.inherited(ctx, c, l, h); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// await waits until Route 53 says that all its servers have the changes, and the servers of the
// zone answer with the hosts' notes, or with newer ones. A host that Drover has not touched has
// nothing to wait for.
func (rt *Router) await(ctx context.Context, l *layout, c API, of map[string]found) error {
	var ids []string
	for _, f := range of {
		if f.change != "" && !slices.Contains(ids, f.change) {
			ids = append(ids, f.change)
		}
	}
	missing := ""
	for {
		var err error
		if ids, err = rt.unsynced(ctx, c, ids); err == nil {
			if len(ids) > 0 {
				missing = "change " + strings.Join(ids, ", ") + " is PENDING"
			} else if missing, err = rt.behind(ctx, l, c, of); err == nil && missing == "" {
				return nil
			}
		}
		switch {
		case err != nil && ctx.Err() != nil && missing != "":
			return fmt.Errorf("the records are changed, and the change is not everywhere yet: %s: %w", missing, ctx.Err())
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the records are changed, and the change is not everywhere yet: %s: %w", missing, ctx.Err())
		case <-time.After(rt.poll):
		}
	}
}

// unsynced are those changes that not all servers of Route 53 have.
func (rt *Router) unsynced(ctx context.Context, c API, ids []string) (out []string, err error) {
	for _, id := range ids {
		done, err := rt.synced(ctx, c, id)
		if err != nil {
			return ids, err
		}
		if !done {
			out = append(out, id)
		}
	}
	return out, nil
}

// behind says which server of the zone does not answer with a host's note yet, or a newer one; "":
// all that answer do.
func (rt *Router) behind(ctx context.Context, l *layout, c API, of map[string]found) (string, error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	var words []string
	var errs []error
	for _, f := range of {
		if f.note == nil || f.odd != "" {
			continue
		}
		all.Go(func() {
			seen, err := rt.see(ctx, c, l, f.host)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			if err == nil && !agree(seen, func(s sight) bool { return s.has(*f.note) }) {
				words = append(words, late(f.host, seen, *f.note))
			}
		})
	}
	all.Wait()
	slices.Sort(words)
	return strings.Join(words, "; "), errors.Join(errs...)
}

// has says whether a server answers with a note, or one that was written later.
func (s sight) has(n note) bool {
	if s.note == nil || s.note.plan != n.plan || s.note.customer != n.customer {
		return false
	}
	return s.note.token > n.token || s.note.token == n.token && (s.note.String() == n.String() || s.note.at.After(n.at))
}

// late says which servers do not answer with a note.
func late(h *host, seen []sight, n note) string {
	var all []string
	for _, s := range seen {
		switch {
		case s.err != nil:
			all = append(all, s.err.Error())
		case s.text == "":
			all = append(all, s.server+" has no "+bare(tokenName(h.name)))
		case !s.has(n):
			all = append(all, fmt.Sprintf("%s answers %q for %s", s.server, s.text, bare(tokenName(h.name))))
		}
	}
	return strings.Join(all, ", ")
}

// Verify answers where each wanted customer is sent, and what is wrong with that: as the zone's
// servers say where all is right, and else as Route 53 has it. A customer without a side is not
// looked at. It writes nothing.
func (rt *Router) Verify(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	return rt.states(ctx, spec, wanted, func(l *layout, c API, by map[string]routes.Wanted) (map[string]found, time.Time, error) {
		of, rest := rt.glance(ctx, l, c, by)
		if len(rest) == 0 {
			return of, time.Time{}, nil
		}
		hosts := l.of(func(id string) bool { _, ok := rest[id]; return ok })
		stand, err := rt.readAll(ctx, c, l, hosts)
		if err != nil {
			return nil, time.Time{}, err
		}
		for _, h := range hosts {
			of[h.name] = found{host: h, note: stand[h].note, odd: l.odd(h, stand[h])}
		}
		return of, time.Time{}, nil
	})
}
