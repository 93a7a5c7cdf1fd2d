package model_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/test/model"
)

// What is walked: a customer, up to three actors (Moves and repairs) that may stop anywhere, a
// network that loses any answer and delivers any call that was ever sent again at any time, leases
// that run out, replication that takes its time, and an application that writes wherever it is let,
// or waits where a fence stands and looks again at any time. The walk ends because tokens do.

const (
	tokens = 4 // tries and repairs take no higher one
	owners = 3 // one for each actor
)

// request is a call of a function of move.sql.
type request struct {
	op    op
	at    migration.Side
	token int64
	owner byte // an actor's name
}

type op byte

const (
	fence op = iota
	seal
	open
	poison
	reopen
	claim
	ops
)

func (o op) String() string {
	return [...]string{"fence", "seal", "open", "poison", "reopen", "claim"}[o]
}

func (m request) String() string {
	return fmt.Sprintf("%s(%s, %d/%c)", m.op, m.at, m.token, m.owner)
}

// bit is the request's place in a set.
func (m request) bit() int {
	n := int(m.op)
	if n *= 2; m.at == migration.AWS {
		n++
	}
	return (n*(tokens+1)+int(m.token))*owners + int(m.owner-'a')
}

// actor is a Move away from a side, or the repair of one.
type actor struct {
	repair bool
	from   migration.Side
	at     stage
	token  int64
}

type stage byte

const (
	begins stage = iota
	fencing
	draining
	sealing
	opening
	poisoning
	reopening
	undoing
	claiming
	over
)

type sent [(int(ops)*2*(tokens+1)*owners + 63) / 64]uint64

// world is one state.
type world struct {
	db     model.Database
	actors [owners]actor
	sent   sent
}

// key tells worlds apart by all that can matter later.
type key struct {
	sent  sent
	db    uint64
	actor uint32
}

func (w *world) key() key {
	k := key{sent: w.sent}
	put := func(v, most int) {
		if v < 0 || v > most {
			panic(fmt.Sprintf("%d does not fit below %d", v, most))
		}
		k.db = k.db*uint64(most+1) + uint64(v)
	}
	try := func(t migration.Try) {
		put(int(t.Token), tokens)
		if t.Owner != "" {
			put(int(t.Owner[0]-'a')+1, owners)
		} else {
			put(0, owners)
		}
	}
	is := func(b bool) {
		if b {
			put(1, 1)
		} else {
			put(0, 1)
		}
	}
	for _, s := range sides {
		h := w.db.Half(s)
		put(slices.Index([]migration.FenceState{migration.Open, migration.Fenced, migration.Sealed}, h.State), 2)
		try(migration.Try{Token: h.Token, Owner: h.Owner})
		put(int(h.SealedToken), tokens)
		is(w.db.Record().Side(s).Expired)
		is(h.Sends)
		is(h.Waits)
		try(h.Mark)
		try(h.Came)
		put(w.db.Acked-h.Has, 1)
		put(min(w.db.Acked-h.Marked, 1), 1) // what lacks more than the other side does brings nothing there
	}
	for _, a := range w.actors {
		k.actor = k.actor<<7 | uint32(a.at)<<3 | uint32(a.token) //nolint:gosec // small
	}
	return k
}

var (
	sides = []migration.Side{migration.OnPrem, migration.AWS}
	dawn  = time.Unix(1_000_000_000, 0)
)

const lease = time.Minute

// flaw takes a safeguard out of the protocol.
type flaw string

const (
	noToken  flaw = "an older token is taken like a newer one"
	noLease  flaw = "a seal does not look whether the fence still stands"
	noMark   flaw = "nobody looks for the mark"
	noLook   flaw = "a write that has waited is taken without another look"
	noPoison flaw = "an open in doubt is taken for one that did not happen"
)

// do is the function that a request calls.
func (w *world) do(m request, f flaw) migration.Word {
	h, try := w.db.Half(m.at), migration.Try{Token: m.token, Owner: string(m.owner)}
	switch {
	case f == noToken && h.Token >= try.Token && h.Owner != try.Owner:
		h.Token = try.Token - 1
	case f == noLease && m.op == seal && h.Token == try.Token && h.Owner == try.Owner && h.State == migration.Open:
		h.State, h.Lease = migration.Fenced, dawn.Add(lease)
	case f == noMark && m.op == open:
		h.Came = try
	}
	switch m.op {
	case fence:
		return w.db.Fence(m.at, try, lease)
	case seal:
		return w.db.Seal(m.at, try)
	case open:
		return w.db.Open(m.at, try)
	case poison:
		return w.db.Poison(m.at, try)
	case reopen:
		return w.db.Reopen(m.at, try)
	default:
		return w.db.Claim(m.at, try)
	}
}

// next tells found all worlds that may follow, always in one order. happened says what did.
func (w *world) next(f flaw, found func(n world, happened func() string)) {
	for o := fence; o < ops; o++ {
		for _, s := range sides {
			for t := int64(1); t <= tokens; t++ {
				for a := byte('a'); a < 'a'+owners; a++ {
					m := request{o, s, t, a}
					if b := m.bit(); w.sent[b/64]>>(b%64)&1 == 1 {
						n := *w
						word := n.do(m, f)
						found(n, func() string { return fmt.Sprintf("%s comes again: %s", m, word) })
					}
				}
			}
		}
	}
	for _, s := range sides {
		h, other := w.db.Half(s), w.db.Half(s.Other())
		if h.State == migration.Fenced && !w.db.Accepts(s) {
			n := *w
			n.db.Half(s).Lease = dawn
			found(n, func() string { return fmt.Sprintf("the lease on %s runs out", s) })
		}
		room := other.Has == w.db.Acked && h.Has == w.db.Acked // one write that is not everywhere is enough
		if h.State == migration.Fenced && !w.db.Accepts(s) && !h.Waits {
			n := *w
			n.db.Wait(s)
			found(n, func() string { return fmt.Sprintf("a write waits on %s", s) })
		}
		if h.Waits && (room || !w.db.Accepts(s)) {
			n := *w
			taken := n.db.Look(s)
			if f == noLook && !taken && room {
				n.db.Acked++
				n.db.Half(s).Has, taken = n.db.Acked, true
			}
			found(n, func() string { return fmt.Sprintf("the write that waits on %s looks again, taken: %t", s, taken) })
		}
		if w.db.Accepts(s) && room {
			n := *w
			n.db.Write(s)
			found(n, func() string { return fmt.Sprintf("a write on %s", s) })
		}
		if other.Came != h.Mark {
			n := *w
			n.db.Deliver(s)
			found(n, func() string { return fmt.Sprintf("the mark of %s arrives", s) })
		}
		if h.Sends && other.Has < h.Has {
			n := *w
			n.db.Deliver(s)
			n.db.Half(s.Other()).Has = h.Has
			found(n, func() string { return fmt.Sprintf("everything of %s arrives", s) })
		}
	}
	for i, a := range w.actors {
		if a.at == over {
			continue
		}
		n := *w
		n.actors[i].at = over
		found(n, func() string { return fmt.Sprintf("%c dies", 'a'+i) })
		w.act(i, f, found)
	}
}

// act is what an actor may do now. What it sends may be delivered and answered, delivered with its
// answer lost, or only be on its way.
func (w *world) act(i int, f flaw, found func(world, func() string)) {
	a, name := w.actors[i], byte('a'+i) //nolint:gosec // small
	from, to := a.from, a.from.Other()
	turn := func(at stage, token int64, what string) {
		n := *w
		n.actors[i].at, n.actors[i].token = at, token
		found(n, func() string { return fmt.Sprintf("%c %s", name, what) })
	}
	// call sends a request; then says what the actor does after each answer. When it hears none, it
	// stays where it is.
	call := func(o op, at migration.Side, token int64, then func(migration.Word) stage) {
		m := request{o, at, token, name}
		b := m.bit()
		out := *w
		out.sent[b/64] |= 1 << (b % 64)
		done := out
		word := done.do(m, f)
		heard := done
		heard.actors[i].at = then(word)
		found(heard, func() string { return fmt.Sprintf("%s: %s", m, word) })
		found(done, func() string { return fmt.Sprintf("%s: %s, which nobody hears", m, word) })
		found(out, func() string { return fmt.Sprintf("%s is on its way", m) })
	}
	after := func(want migration.Word, at, otherwise stage) func(migration.Word) stage {
		return func(w migration.Word) stage {
			if w == want {
				return at
			}
			return otherwise
		}
	}
	resolving := a.token // a Move's doubts take the next token, a repair has its own
	if !a.repair {
		resolving++
	}
	switch a.at {
	case begins:
		if t := w.db.Record().Token() + 1; t <= tokens {
			if a.repair {
				turn(claiming, t, "begins a repair")
			} else {
				turn(fencing, t, "begins a Move")
			}
		}
	case fencing:
		call(fence, from, a.token, after(migration.WordFenced, draining, undoing))
	case draining:
		if f == noMark || w.db.Arrived(to, migration.Try{Token: a.token, Owner: string(name)}) {
			turn(sealing, a.token, "has drained")
		}
		turn(undoing, a.token, "gives up")
	case sealing:
		call(seal, from, a.token, func(w migration.Word) stage {
			switch w {
			case migration.WordSealed:
				return opening
			case migration.WordSuperseded:
				return over
			default:
				return undoing
			}
		})
	case undoing:
		call(claim, from, a.token, func(migration.Word) stage { return over })
	case opening:
		call(open, to, a.token, after(migration.WordOpen, over, poisoning))
		if f == noPoison {
			turn(reopening, a.token, "takes the open for undone")
		} else {
			turn(poisoning, a.token, "doubts the open")
		}
	case poisoning:
		if resolving <= tokens {
			call(poison, to, resolving, after(migration.WordPoisoned, reopening, over))
		}
	case reopening:
		if resolving <= tokens {
			call(reopen, from, resolving, func(migration.Word) stage { return over })
		}
	case claiming:
		call(claim, from, a.token, after(migration.WordSealed, poisoning, over))
	}
}

// walk visits every world that may follow from the actors' first steps, the nearest first. It
// counts them, and ends with the way to one that breaks an invariant, or that a repair does not
// open again.
func walk(f flaw, actors ...actor) (states int, broken string) {
	first := world{db: *model.New("orders", migration.OnPrem, func() time.Time { return dawn })}
	for i := range first.actors {
		first.actors[i].at = over
	}
	copy(first.actors[:], actors)
	type step struct{ from, nth int } // the nth world that follows from the one with that number
	steps, seen, queue := []step{{}}, map[key]bool{first.key(): true}, []world{first}
	for i := 0; len(queue) > 0; i++ {
		w := queue[0]
		queue = queue[1:]
		if broken := w.broken(); broken != "" {
			var nths []int
			for at := i; at > 0; at = steps[at].from {
				nths = append(nths, steps[at].nth)
			}
			slices.Reverse(nths)
			return len(seen), first.tell(f, nths) + broken
		}
		nth := 0
		w.next(f, func(n world, _ func() string) {
			if k := n.key(); !seen[k] {
				seen[k] = true
				queue, steps = append(queue, n), append(steps, step{i, nth})
			}
			nth++
		})
	}
	return len(seen), ""
}

// tell says what happens, a line each, when of the worlds that follow the one with the given number
// is taken each time.
func (w world) tell(f flaw, nths []int) string {
	var story strings.Builder
	for _, nth := range nths {
		i, then := 0, world{}
		w.next(f, func(n world, happened func() string) {
			if i == nth {
				fmt.Fprintln(&story, happened())
				then = n
			}
			i++
		})
		w = then
	}
	return story.String()
}

// broken says what is wrong with a world; "" for nothing.
func (w world) broken() string {
	if wrong := model.Unsound(&w.db); wrong != nil {
		return strings.Join(wrong, "; ")
	}
	if !slices.ContainsFunc(w.actors[:], func(a actor) bool { return a.at != over }) && !w.settles() {
		return fmt.Sprintf("closed for good: %+v", w.db.Record())
	}
	return ""
}

var (
	move   = actor{from: migration.OnPrem}
	back   = actor{from: migration.AWS}
	repair = actor{from: migration.OnPrem, repair: true}
	other  = actor{from: migration.AWS, repair: true} // who begins it has the wrong side for the last home
)

func TestNoInterleavingBreaksAnInvariantOrLeavesACustomerClosed(t *testing.T) {
	for name, actors := range map[string][]actor{
		"a Move": {move}, "a Move and the Move back": {move, back}, "two Moves": {move, move}, "a Move and a repair": {move, repair},
		"a Move and the repair of the wrong side": {move, other}, "two Moves and a repair": {move, move, repair},
		"a Move, one back and a repair": {move, back, repair}, "a Move and two repairs": {move, repair, other},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			states, broken := walk("", actors...)
			require.Empty(t, broken)
			t.Logf("%d states", states)
		})
	}
}

// settles says whether one repair that nothing disturbs, of the side that the home record names,
// leaves the tenant open, with everything.
func (w world) settles() bool {
	for _, s := range sides {
		if w.db.Accepts(s) || w.db.Half(s).State == migration.Fenced { // whose lease runs out
			return true
		}
	}
	home, try := w.db.Record().Home(), migration.Try{Token: w.db.Record().Token() + 1, Owner: "fix"}
	if w.db.Claim(home, try) != migration.WordSealed || w.db.Poison(home.Other(), try) != migration.WordPoisoned ||
		w.db.Reopen(home, try) != migration.WordOpen {
		return false
	}
	return w.db.Accepts(home) && model.Unsound(&w.db) == nil
}

// The walk must be able to find something: each safeguard taken out is missed.
func TestWithoutAnyOneSafeguardTheWalkFindsABreak(t *testing.T) {
	for _, c := range []struct {
		flaw   flaw
		actors []actor
	}{
		{noToken, []actor{move, repair}}, {noLease, []actor{move}}, {noMark, []actor{move}}, {noPoison, []actor{move}},
		{noLook, []actor{move}},
	} {
		t.Run(string(c.flaw), func(t *testing.T) {
			_, broken := walk(c.flaw, c.actors...)
			require.NotEmpty(t, broken)
			t.Log("\n" + broken)
		})
	}
}
