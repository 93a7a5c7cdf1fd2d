package hook

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// odd says in words what stands for a host that neither the plan knows of nor Drover has put there;
// "": nothing. Drover writes over none of it.
func (l *layout) odd(h *host, s *standing) string {
	switch n := s.note; {
	case s.foreign:
		return fmt.Sprintf("the router keeps a note for %s that is none of Drover's; have it keep none", h.name)
	case n != nil && n.Plan != l.plan:
		return fmt.Sprintf("plan %q of Drover's routes %s; finish or abort that plan, or take the customer out of one of the two", n.Plan,
			h.name)
	case n != nil && n.Customer != h.customer:
		return fmt.Sprintf("%s was customer %q's; have the router keep no note for it, and see that it sends it to what serves customer %q",
			h.name, n.Customer, h.customer)
	case n != nil && !alike(s.weights, l.weights(n.Share)):
		return fmt.Sprintf("somebody else has changed %s: the router sends it to %s, where Drover wrote %s; put that back, or have it "+
			"sent to %s alone and no note kept, and Drover begins anew", h.name, words(s.weights), words(l.weights(n.Share)), words(n.Was))
	case n == nil && !alike(s.weights, l.weights(0)):
		return fmt.Sprintf("the router sends %s to %s, and the plan says that %s serves it on premises; correct the plan or the router",
			h.name, words(s.weights), l.route.Hook.OnPrem)
	}
	return ""
}

// words are weights in a line.
func words(weights map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if weights[name] > 0 {
			all = append(all, fmt.Sprintf("%s (weight %d)", name, weights[name]))
		}
	}
	if len(all) == 0 {
		return "nowhere"
	}
	return strings.Join(all, " and ")
}

// found is what a look has found of a host.
type found struct {
	note *note  // nil: Drover has not touched the host
	odd  string // what keeps Drover from it; "": nothing
}

// see judges what was read of a host.
func (l *layout) see(h *host, s *standing, err error) (found, error) {
	switch {
	case errors.Is(err, errUnknown):
		return found{odd: fmt.Sprintf("the router does not know %s; add it there", h.name)}, nil
	case err != nil:
		return found{}, err
	}
	return found{note: s.note, odd: l.odd(h, s)}, nil
}

// state is what a route says of a customer: where it is sent, and what is wrong with that.
func (l *layout) state(id string, w routes.Wanted, of map[*host]found, now time.Time) routes.State {
	s := routes.State{Customer: id, Home: w.Side, Share: w.Share()}
	if w.Side == migration.NoHome {
		return s
	}
	var wrong []string
	for _, h := range l.hosts[id] {
		f := of[h]
		if n := f.note; n != nil && f.odd == "" {
			if n.Share > 0 {
				s.Rules = append(s.Rules, h.name+" to "+l.route.Hook.AWS)
			}
			if w.Older(n.wanted()) {
				s.Home, s.Share = n.side(), n.Share
			}
		}
		if why := h.disagrees(f, w, now); why != "" {
			wrong = append(wrong, why)
		}
	}
	if len(wrong) > 0 {
		s.Wrong = fmt.Sprintf("route %q: customer %q is homed on %s: %s", l.route.Name, id, w.Side, strings.Join(wrong, "; "))
	}
	return s
}

// disagrees says why a host does not lead where it is wanted; "": it does, or something newer is on
// its way.
func (h *host) disagrees(f found, w routes.Wanted, now time.Time) string {
	switch n := f.note; {
	case f.odd != "":
		return f.odd
	case n == nil && w.Share() == 0:
		return ""
	case n == nil:
		return fmt.Sprintf("the router does not send %s to AWS", h.name)
	case n.Share == w.Share():
		return ""
	case n.overrules(w, now):
		return fmt.Sprintf("the router's note for %s says since %s that %d %% of its requests go to AWS, by token %d, which is newer than "+
			"its data's, %d; if no Move is under way, its database has forgotten: drover doctor tells, and once you know where it is "+
			"home, have the router send it to %s and keep no note", h.name, n.At.UTC().Format(time.DateTime), n.Share, n.Token, w.Token,
			words(n.Was))
	case w.Older(n.wanted()):
		return ""
	}
	return fmt.Sprintf("the router sends %d %% of the requests to %s to AWS, and not %d %%", f.note.Share, h.name, w.Share())
}
