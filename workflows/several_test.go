package workflows

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// deaths are all the ways in which a Move from one side can be cut off, with n databases.
func deaths(from migration.Side, n int) (out []death) {
	for _, step := range []string{"FenceTenant", "SealTenant"} {
		for took := range 1 << n {
			out = append(out, death{step, from, took})
		}
	}
	for took := range n + 1 {
		out = append(out, death{"OpenTenant", from, took})
	}
	return out
}

func (d death) String() string {
	if atOnce[d.step] {
		return fmt.Sprintf("%s on its way from %s, carried out on %b", d.step, d.from, d.took)
	}
	return fmt.Sprintf("%s on its way from %s, carried out on the first %d", d.step, d.from, d.took)
}

func TestCustomerRepairsAMoveThatWasTerminatedIn(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
			for _, d := range deaths(from, n) {
				t.Run(d.String(), func(t *testing.T) {
					s := newStage(t, n, migration.OnPrem)
					s.verdict = migration.Fail
					s.death = d
					c := s.customer(nil)
					s.sound(c)
					require.Equal(t, migration.PhaseRolledBack, c.Phase, s.story())
				})
			}
		}
	})
}

// remains is what a dead Move leaves: how many of the databases, or which of them, had each step carried out.
type remains struct {
	fenced, sealed           int // bits
	opened, poisoned, reopen int // the first so many
	spent                    bool
}

func (r remains) String() string {
	s := fmt.Sprintf("fenced %b, sealed %b, opened %d, poisoned %d, reopened %d", r.fenced, r.sealed, r.opened, r.poisoned, r.reopen)
	if r.spent {
		s += ", lease spent"
	}
	return s
}

// allRemains are those of every prefix of a Move's steps, with n databases.
func allRemains(n int) (out []remains) {
	all := 1<<n - 1
	for bits := range all {
		out = append(out, remains{fenced: bits})
	}
	for bits := range all + 1 {
		r := remains{fenced: all, sealed: bits}
		out = append(out, r)
		for r.poisoned = 1; r.poisoned <= n; r.poisoned++ {
			out = append(out, r)
		}
		r.poisoned = n
		for r.reopen = 1; r.reopen <= n; r.reopen++ {
			out = append(out, r)
		}
	}
	for opened := 1; opened <= n; opened++ {
		out = append(out, remains{fenced: all, sealed: all, opened: opened})
	}
	for _, r := range out {
		r.spent = true
		out = append(out, r)
	}
	return out
}

// leave makes them.
func (r remains) leave(dbs []*database, from migration.Side, token int64) {
	try := migration.Try{Token: token, Owner: "the dead"}
	for i, d := range dbs {
		if r.fenced>>i&1 == 1 {
			d.fence(from, try, 5*time.Second)
		}
		if r.sealed>>i&1 == 1 {
			d.seal(from, try)
		}
		if i < r.opened {
			d.open(from.Other(), try)
		}
		if i < r.poisoned {
			d.poison(from.Other(), try.Next())
		}
		if i < r.reopen && d.reopen(from, try.Next()) == migration.WordFenced {
			d.claim(from, try.Next())
		}
		if r.spent {
			d.sides[from].lease = d.now().Add(-time.Second)
		}
	}
}

func TestCustomerRepairsWhatADeadMoveLeft(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
			for _, r := range allRemains(n) {
				t.Run(fmt.Sprintf("from %s %s", from, r), func(t *testing.T) {
					s := newStage(t, n, from)
					r.leave(s.dbs, from, 7)
					require.Empty(t, unsound(s.dbs))
					first := migration.Side("") // where all were open for the first time
					s.before = func(call) {
						if first == "" {
							first = settledOn(s.dbs)
						}
					}
					c := s.customer(nil)
					s.sound(c)
					require.Equal(t, migration.PhaseFinished, c.Phase, s.story())
					require.Equal(t, migration.AWS, c.Home)
					want := from
					if r.opened > 0 { // the first database is the commit point
						want = from.Other()
					}
					require.Equal(t, want, first, s.story())
				})
			}
		}
	})
}
