package alb

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// change is one call that brings the rules nearer to the homes. Its kind follows from what it has:
// no arn creates, no hosts deletes.
type change struct {
	arn      string
	priority int // of a rule to create
	class    *class
	workload string
	group    string // on AWS
	share    int    // percentage of the requests that the group gets
	hosts    []string
	reset    bool // the rule rewrites what it forwards, and must not
	after    bool // it takes hosts out that other changes may put elsewhere: those come first
}

// diff is what must change so that exactly the hosts of customers homed on AWS, and the anchors of
// workloads whose group there exists, have a rule of each class of theirs. It is stable: a host
// stays in the rule it is in, additions fill what room there is, and the same input gives the same
// changes, so that two writers at once do the same and the second of them finds it done. Rules are
// created only when all are full, so there are never more of them than the packed number for the
// most hosts that were ever on AWS at once.
//
// Hosts of which the same share of the requests goes to AWS share rules. A rule all of whose hosts
// get another share gets it with them, in one write.
//
// A host that the spec does not know is left alone: it belongs to a newer revision than this
// writer's.
func (l *layout) diff(homes map[string]routes.Wanted, own []*rule, groups map[string]string) (out []change, fresh map[*class]int) {
	fresh = map[*class]int{}
	for _, k := range l.classes {
		mine := filterRules(own, func(r *rule) bool { return k.is(r.workload, r.paths) })
		byShare := l.byShare(k, homes, mine)
		for _, share := range slices.Sorted(maps.Keys(byShare)) {
			changes, unplaced := l.diffShare(k, share, homes, byShare[share], groups[k.workload])
			out = append(out, changes...)
			for hosts := range slices.Chunk(unplaced, k.room) {
				out = append(out, change{class: k, workload: k.workload, group: groups[k.workload], hosts: hosts, share: share})
				fresh[k]++
			}
		}
	}
	for _, r := range own {
		if !slices.ContainsFunc(l.classes, func(k *class) bool { return k.is(r.workload, r.paths) }) {
			// Of a class the spec no longer has: the hosts whose side is known have their rules
			// elsewhere.
			left := slices.DeleteFunc(slices.Clone(r.hosts), func(h string) bool {
				i, known := l.owner[h]
				return known && homes[l.customers[i].ID].Side != migration.NoHome
			})
			if len(left) == 0 {
				out = append(out, change{arn: r.arn, workload: r.workload})
			}
		}
	}
	return out, fresh
}

// byShare are the class's rules by the share that each is to carry, and every share that a customer
// is to have.
func (l *layout) byShare(k *class, homes map[string]routes.Wanted, mine []*rule) map[int][]*rule {
	out := map[int][]*rule{routes.All: nil}
	for _, i := range k.users {
		if s := homes[l.customers[i].ID].Share(); s > 0 {
			out[s] = nil
		}
	}
	room := 0 // in rules that carry all
	for _, r := range mine {
		if r.share == routes.All {
			room += k.room - len(r.hosts)
		}
	}
	for _, r := range mine {
		to := l.becomes(r, k, homes)
		if to == routes.All && r.share != routes.All {
			if room -= len(r.hosts); room >= 0 { // its hosts go to those: no rule stands half empty for good
				to = r.share
			} else {
				room += k.room
			}
		}
		out[to] = append(out[to], r)
	}
	return out
}

// becomes is the share that a rule is to carry: its own while one of its hosts has it or is left
// alone, else that of the first of its hosts that has one.
func (l *layout) becomes(r *rule, k *class, homes map[string]routes.Wanted) int {
	to := 0
	for _, h := range r.hosts {
		share := 0
		switch i, known := l.owner[h]; {
		case h == k.anchor:
			share = routes.All
		case !known || homes[l.customers[i].ID].Side == migration.NoHome:
			return r.share
		case slices.Contains(k.users, i):
			share = homes[l.customers[i].ID].Share()
		}
		if share == r.share {
			return share
		}
		if to == 0 {
			to = share
		}
	}
	return cmp.Or(to, r.share)
}

func (l *layout) diffShare(k *class, share int, homes map[string]routes.Wanted, mine []*rule, group string) (out []change,
	unplaced []string) {
	wanted, order := l.wanted(k, share, homes, mine, group)
	keep := make([][]string, len(mine))
	for i, r := range mine {
		for _, h := range r.hosts {
			if wanted[h] { // taken out, so that a host in two rules stays in the first only
				delete(wanted, h)
				keep[i] = append(keep[i], h)
			}
		}
	}
	for _, h := range order {
		if wanted[h] {
			unplaced = append(unplaced, h)
		}
	}
	for i, r := range mine {
		n := min(k.room-len(keep[i]), len(unplaced))
		if n > 0 {
			keep[i] = append(keep[i], unplaced[:n]...)
			unplaced = unplaced[n:]
		}
		to := cmp.Or(group, r.group) // the group may be gone, when everything is taken down
		right := !r.odd && r.group == to && r.rest == l.route.ALB.Workloads[k.workload] && r.share == share
		if !right && len(keep[i]) > 0 || !slices.Equal(keep[i], r.hosts) {
			lost := slices.ContainsFunc(r.hosts, func(h string) bool { return !slices.Contains(keep[i], h) })
			out = append(out, change{arn: r.arn, class: k, workload: k.workload, group: to, hosts: keep[i], share: share,
				reset: len(r.raw.Transforms) > 0, after: lost && r.share != routes.All})
		}
	}
	return out, unplaced
}

// wanted are the hosts that should have a rule of the class that carries the share, as a set and in
// order.
func (l *layout) wanted(k *class, share int, homes map[string]routes.Wanted, mine []*rule, group string) (set map[string]bool,
	order []string) {
	set = map[string]bool{}
	if k.anchor != "" && group != "" && share == routes.All {
		set[k.anchor] = true
		order = append(order, k.anchor)
	}
	for _, i := range k.users {
		c := l.customers[i]
		if homes[c.ID].Share() != share {
			continue
		}
		for _, h := range c.Hosts {
			h = strings.ToLower(h)
			set[h] = true
			order = append(order, h)
		}
	}
	for _, r := range mine {
		for _, h := range r.hosts {
			i, known := l.owner[h]
			if !known || homes[l.customers[i].ID].Side == migration.NoHome {
				set[h] = true
			}
		}
	}
	return set, order
}

// place gives priorities to the rules that changes create: free ones below every foreign rule, and
// each class's between those of the classes before and after it. It answers false when there is no
// room without moving rules that stand.
func (l *layout) place(changes []change, own []*rule, foreign map[int]bool) bool {
	taken := map[int]bool{}
	ceiling := maxPriority + 1
	for p := range foreign {
		taken[p] = true
		ceiling = min(ceiling, p)
	}
	for _, r := range own {
		taken[r.priority] = true
	}
	for i := range changes {
		ch := &changes[i]
		if ch.arn != "" {
			continue
		}
		low, high := l.bounds(ch.class, own, changes[:i], ceiling)
		p := max(low, min(l.band(ch.class, ceiling), high-1))
		ch.priority = free(p, high, taken)
		if ch.priority == 0 {
			ch.priority = free(low, high, taken)
		}
		if ch.priority == 0 {
			return false
		}
		taken[ch.priority] = true
	}
	return true
}

// band is where a class begins when twice the priorities that the route will ever need, right below
// the ceiling, are shared by need. What is lower stays free for the next plan on the listener.
func (l *layout) band(k *class, ceiling int) int {
	before, all := 0, 0
	for _, other := range l.classes {
		if other == k {
			before = all
		}
		all += max(1, l.need(other))
	}
	base := max(1, ceiling-2*all)
	return base + (ceiling-base)*before/max(1, all)
}

// need is the number of rules of a class once all its customers are on AWS.
func (l *layout) need(k *class) int {
	hosts := 0
	if k.anchor != "" {
		hosts = 1
	}
	for _, i := range k.users {
		hosts += len(l.customers[i].Hosts)
	}
	return (hosts+k.room-1)/k.room + k.shares
}

// bounds are the priorities [low, high) between the rules of the classes before and after k.
func (l *layout) bounds(k *class, own []*rule, placed []change, ceiling int) (low, high int) {
	low, high = 1, ceiling
	at := slices.Index(l.classes, k)
	consider := func(workload string, paths []string, priority int) {
		i := slices.IndexFunc(l.classes, func(c *class) bool { return c.is(workload, paths) })
		switch {
		case i < 0:
		case i < at:
			low = max(low, priority+1)
		case i > at:
			high = min(high, priority)
		}
	}
	for _, r := range own {
		consider(r.workload, r.paths, r.priority)
	}
	for _, ch := range placed {
		if ch.arn == "" {
			consider(ch.workload, ch.class.paths, ch.priority)
		}
	}
	return low, high
}

func free(low, high int, taken map[int]bool) int {
	for p := max(1, low); p < high; p++ {
		if !taken[p] {
			return p
		}
	}
	return 0
}

// respread are new priorities for the rules that stand, by class, so that place finds room again.
// It answers nil when there are not enough free priorities below the first foreign rule.
func (l *layout) respread(own []*rule, fresh map[*class]int, foreign map[int]bool) map[string]int {
	ceiling := maxPriority + 1
	for p := range foreign {
		ceiling = min(ceiling, p)
	}
	out := map[string]int{}
	next := 1
	for _, k := range l.classes {
		for _, r := range filterRules(own, func(r *rule) bool { return k.is(r.workload, r.paths) }) {
			out[r.arn] = next
			next++
		}
		next += fresh[k]
	}
	if next > ceiling {
		return nil
	}
	return out
}

func filterRules(in []*rule, keep func(*rule) bool) (out []*rule) {
	for _, r := range in {
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}
