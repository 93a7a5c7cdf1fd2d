package dns

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// odd says in words what stands for a host that neither the plan knows of nor Drover has put there;
// "": nothing. Drover writes over none of it.
func (l *layout) odd(h *host, s *standing) string {
	name := bare(h.name)
	switch {
	case s.token != nil && s.note == nil:
		return fmt.Sprintf("%s holds %s, which is no note of Drover's; take it away", bare(tokenName(h.name)),
			strings.Join(says(*s.token), " "))
	case s.note != nil && s.note.plan != l.plan:
		return fmt.Sprintf("plan %q of Drover's routes %s; finish or abort that plan, or take the customer out of one of the two",
			s.note.plan, name)
	case s.note != nil && s.note.customer != h.customer:
		return fmt.Sprintf("%s was customer %q's; take away %s, and see that the host's record says what serves customer %q", name,
			s.note.customer, bare(tokenName(h.name)), h.customer)
	case s.note != nil:
		if pair := h.pair(s.note.share, s.note.ttl); !sameSets(s.sets, pair) {
			return fmt.Sprintf("somebody else has changed %s: it has %s, where Drover wrote %s; put that back, or have it say %s alone "+
				"and take away %s, and Drover begins anew", name, words(s.sets), words(pair), words(h.home(s.note.was)),
				bare(tokenName(h.name)))
		}
		return ""
	case s.paired():
		return fmt.Sprintf("%s has %s by Drover's names, and no %s that says whose they are; have it say %s alone, in one batch, and "+
			"Drover begins anew", name, words(s.sets), bare(tokenName(h.name)), words(h.home(l.ttl)))
	}
	if at := s.stands(); at == nil || !h.serves(*at) {
		return fmt.Sprintf("%s has %s, and the plan says that %s serves it on premises; correct the plan or the record", name,
			words(s.shown()), said(h.onprem))
	}
	return ""
}

// home is the one record by which a host is served on premises.
func (h *host) home(ttl int64) []types.ResourceRecordSet {
	return []types.ResourceRecordSet{h.onprem.set(h.name, ttl)}
}

// said is a value as people read it.
func said(v value) string {
	var all []string
	for _, x := range v.says {
		all = append(all, bare(x))
	}
	return string(v.kind) + " " + strings.Join(all, " ")
}

// stands is the one record that answers for a host that Drover has not touched: its own, or a
// wildcard's; nil: there are none, or several.
func (s *standing) stands() *types.ResourceRecordSet {
	switch {
	case len(s.sets) == 1:
		return &s.sets[0]
	case len(s.sets) == 0:
		return s.wild
	}
	return nil
}

// shown are the sets that a message shows.
func (s *standing) shown() []types.ResourceRecordSet {
	if len(s.sets) == 0 && s.wild != nil {
		return []types.ResourceRecordSet{*s.wild}
	}
	return s.sets
}

// serves says whether a record leads to premises as the plan says, whatever its TTL.
func (h *host) serves(s types.ResourceRecordSet) bool {
	want := h.onprem.set(h.name, aws.ToInt64(s.TTL))
	return s.AliasTarget == nil && same(s, want)
}

// found is what a look has found of a host, or what was written then.
type found struct {
	host   *host
	note   *note  // nil: Drover has not touched the host
	odd    string // what keeps Drover from it; "": nothing
	change string // the id of the change that was just written; "": none was
}

// view is what a pass has found, by host name.
type view struct{ hosts map[string]found }

// state is what a route says of a customer: where it is sent, and what is wrong with that.
func (l *layout) state(id string, w routes.Wanted, of map[string]found, now time.Time) routes.State {
	s := routes.State{Customer: id, Home: w.Side, Share: w.Share()}
	if w.Side == migration.NoHome {
		return s
	}
	var wrong []string
	for _, h := range l.hosts[id] {
		f := of[h.name]
		if n := f.note; n != nil && f.odd == "" {
			if n.share > 0 {
				s.Rules = append(s.Rules, fmt.Sprintf("%s %s %s", bare(h.name), h.onprem.kind, setAWS))
			}
			if w.Older(n.wanted()) {
				s.Home, s.Share = n.side(), n.share
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
	name := bare(h.name)
	switch n := f.note; {
	case f.odd != "":
		return f.odd
	case n == nil && w.Share() == 0:
		return ""
	case n == nil:
		return fmt.Sprintf("no record sends %s to AWS", name)
	case n.share == w.Share():
		return ""
	case n.overrules(w, now):
		return fmt.Sprintf("%s says since %s that %d %% of the requests to %s go to AWS, by token %d, which is newer than its "+
			"data's, %d; if no Move is under way, its database has forgotten: drover doctor tells, and once you know where it "+
			"is home, take the record away and have %s say %s alone", bare(tokenName(h.name)), n.at.UTC().Format(time.DateTime),
			n.share, name, n.token, w.Token, name,
			words(h.home(n.was)))
	case w.Older(n.wanted()):
		return ""
	}
	return fmt.Sprintf("the records of %s send %d %% of its requests to AWS, and not %d %%", name, f.note.share, w.Share())
}
