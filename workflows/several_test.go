package workflows_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
	"pgregory.net/rapid"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/test/model"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
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
					c := s.customer()
					s.sound(c)
					require.Equal(t, migration.CustomerRolledBack, c.Phase, s.story())
				})
			}
		}
	})
}

// remains is what a dead Move leaves: how many of the databases, or which of them, had each step
// carried out.
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
func (r remains) leave(dbs []*model.Database, from migration.Side, token int64) {
	try := migration.Try{Token: token, Owner: "the dead"}
	for i, d := range dbs {
		if r.fenced>>i&1 == 1 {
			d.Fence(from, try, 5*time.Second)
			d.Deliver(from)
		}
		if r.sealed>>i&1 == 1 {
			d.Seal(from, try)
		}
		if i < r.opened {
			d.Open(from.Other(), try)
		}
		if i < r.poisoned {
			d.Poison(from.Other(), try.Next())
		}
		if i < r.reopen && d.Reopen(from, try.Next()) == migration.WordFenced {
			d.Claim(from, try.Next())
		}
		if r.spent {
			d.Half(from).Lease = d.Now().Add(-time.Second)
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
					require.Empty(t, model.Unsound(s.dbs...))
					first := migration.Side("") // where all were open for the first time
					s.before = func(call) {
						if first == "" {
							first = settledOn(s.dbs)
						}
					}
					c := s.customer()
					s.sound(c)
					require.Equal(t, migration.CustomerFinished, c.Phase, s.story())
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

// Workers, Temporal and all workflows are lost at any moment, with a call under way that takes
// effect or not; then somebody submits the plan again.
func TestCustomerStartedAnewAfterEverythingWasLost(t *testing.T) {
	forEach(t, func(t *testing.T, n int) {
		calls := roundTrip(t, n)
		for ends, last := range calls {
			if n == 3 && ends%3 != 0 {
				continue // a third database adds an order of two others, not a step
			}
			for _, m := range []mishap{neverHeard, tooLate} {
				t.Run(fmt.Sprintf("in call %d, %s, which %s", ends, last, m), func(t *testing.T) {
					s := newStage(t, n, migration.OnPrem)
					s.verdict, s.ends, s.faults[last] = migration.Fail, ends+1, fault{m, 5}
					s.customer()
					home := s.goesHome()
					s = s.again()
					s.mended()
					s.goes = 10 * time.Minute
					s.at(9*time.Minute, func() { // it gets there, and is not sent out again by itself
						require.Equal(t, home, s.says().Phase == migration.CustomerRolledBack, "%+v", s.says())
					})
					c := s.customer()
					s.sound(c)
					require.Equal(t, migration.CustomerFinished, c.Phase, s.story())
				})
			}
		}
	})
}

// TestNoSeriesOfMishapsLeavesACustomerBetweenTheSides draws a death, and a few mishaps upon the
// calls of any step. rapid prints the seed of what fails.
func TestNoSeriesOfMishapsLeavesACustomerBetweenTheSides(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(rt, "databases")
		s := newStage(rt, n, migration.OnPrem)
		s.verdict = rapid.SampledFrom([]migration.Outcome{migration.Pass, migration.Fail}).Draw(rt, "verdict")
		s.slice.Policy.Tries = rapid.SampledFrom([]int{1, 3}).Draw(rt, "tries")
		if rapid.Bool().Draw(rt, "dies") {
			s.death = rapid.SampledFrom(append(deaths(migration.OnPrem, n), deaths(migration.AWS, n)...)).Draw(rt, "death")
		}
		lasts := 0
		for range rapid.IntRange(0, 6).Draw(rt, "mishaps") {
			on := s.dbs[rapid.IntRange(0, n-1).Draw(rt, "on")].Name
			step := rapid.SampledFrom([]string{"CheckTenant", "FenceTenant", "DrainTenant", "SealTenant", "OpenTenant", "PoisonTenant",
				"ReopenTenant", "ClaimTenant",
				"UnfenceTenant", "FinalFiles", "ReconcileRoute"}).Draw(rt, "step")
			switch step {
			case "FinalFiles":
				on = "attachments"
			case "ReconcileRoute":
				on = ""
			}
			f := fault{rapid.SampledFrom([]mishap{answerLost, runsTwice, comesBack, foundBusy, neverHeard, neverCame, tooLate}).Draw(rt,
				"mishap"), rapid.IntRange(1, 30).Draw(rt, "after")}
			if !f.passes() {
				if lasts++; lasts > s.slice.Policy.Tries {
					continue
				}
			}
			s.faults[call{step, on, rapid.IntRange(1, 3).Draw(rt, "nth")}] = f
		}
		if s.death.step == "" && rapid.Bool().Draw(rt, "canceled") {
			at := rapid.IntRange(1, 60).Draw(rt, "at call")
			s.before = func(call) {
				if len(s.calls) == at {
					s.env.CancelWorkflow()
				}
			}
		}
		for _, d := range s.dbs {
			s.behind[d.Name] = rapid.SampledFrom([]int{0, 0, 0, 3, 100}).Draw(rt, "behind")
		}
		s.sound(s.customer())
	})
}

// What stops a customer is mended by somebody. Where it waits, it goes on by itself then; where it
// rests, somebody says retry.
func TestACustomerThatIsStoppedGoesOnWhenItsCauseIsMended(t *testing.T) {
	for _, c := range []struct {
		name   string
		broken call
		death  death
		phase  migration.CustomerPhase // in which it waits
		home   migration.Side          // as it says
		reason string
		then   migration.CustomerPhase
	}{
		{"the fence tables refuse to be read", call{step: "ReadHome", on: "orders"}, death{}, migration.CustomerFinding, migration.NoHome,
			"its home cannot be read, and is asked again: database orders: permission denied", migration.CustomerFinished},
		{"the load balancer refuses to be written", call{step: "ReconcileRoute"}, death{}, migration.CustomerRolledBack, migration.OnPrem,
			"its route could not be set, and is tried again: permission denied", migration.CustomerFinished},
		{"a Move dies after its seal, and cannot be repaired", call{step: "ClaimTenant", on: "orders"},
			death{"SealTenant", migration.OnPrem, 7},
			migration.CustomerFinding, migration.OnPrem,
			"it may be closed on both sides, and its repair did not succeed: permission denied", migration.CustomerFinished},
		{"a Move back dies after its seal, and cannot be repaired", call{step: "ClaimTenant", on: "orders"},
			death{"SealTenant", migration.AWS, 7},
			migration.CustomerFinding, migration.AWS, "it may be closed on both sides, and its repair did not succeed: permission denied",
			migration.CustomerRolledBack},
	} {
		t.Run(c.name, func(t *testing.T) {
			forEach(t, func(t *testing.T, n int) {
				s := newStage(t, n, migration.OnPrem)
				s.death = c.death
				if c.death.from == migration.AWS {
					s.verdict = migration.Fail
				}
				for nth := 1; nth <= 400; nth++ {
					s.faults[call{c.broken.step, c.broken.on, nth}] = fault{mishap: neverCame}
				}
				s.at(20*time.Minute, func() {
					waits := s.says()
					require.Equal(s, c.phase, waits.Phase, s.story())
					require.Equal(s, c.home, waits.Home)
					require.Contains(s, waits.Reason, c.reason)
					s.mended()
				})
				s.at(30*time.Minute, func() {
					if s.says().Phase == migration.CustomerRolledBack && c.then == migration.CustomerFinished {
						s.command(migration.UpdateRetry)
					}
				})
				after := s.customer()
				s.sound(after)
				require.Equal(t, c.then, after.Phase, s.story())
			})
		})
	}
}

// What is in a customer's way may stay there for hours: a replication that is behind, a table that
// somebody else holds. Temporal's server ends a workflow whose history is longer than 51,200
// events.
func TestALockOrALagOfHoursMakesNoHistoryLong(t *testing.T) {
	const lasts, suggested, longest = 2000, 600, 1000 // questions; commands of a run, each of which is some five events
	for name, inTheWay := range map[string]func(*stage){
		"the second database is behind": func(s *stage) { s.behind["billing"] = lasts },
		"a Move dies after its seal, and the tables are locked": func(s *stage) {
			s.death = death{"SealTenant", migration.OnPrem, 3}
			for nth := 1; nth <= lasts; nth++ {
				s.faults[call{"PoisonTenant", "orders", nth}] = fault{mishap: foundBusy}
			}
		},
		"a Move dies after its seal, and nothing can be claimed": func(s *stage) {
			s.death = death{"SealTenant", migration.OnPrem, 3}
			for nth := 1; nth <= lasts; nth++ {
				s.faults[call{"ClaimTenant", "billing", nth}] = fault{mishap: foundBusy}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 2, migration.OnPrem)
			inTheWay(s)
			s.most = 10 * lasts
			in, runs := customer.Input{ID: "acme", Batch: "canary"}, 1
			s.at(time.Millisecond, func() { s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1}) })
			waits := ""
			for ; ; runs++ {
				var look func()
				look = func() {
					if s.said.n > suggested {
						s.env.SetContinueAsNewSuggested(true)
					}
					if c := s.says(); c.Phase == migration.CustomerFinding {
						waits = c.Reason
					}
					s.at(time.Minute, look)
				}
				s.at(time.Minute, look)
				s.env.ExecuteWorkflow(life, in)
				require.True(t, s.env.IsWorkflowCompleted(), "after %d commands", s.said.n)
				require.LessOrEqual(t, s.said.n, longest, "run %d", runs)
				var next *workflow.ContinueAsNewError
				if !errors.As(s.env.GetWorkflowError(), &next) {
					break
				}
				in = customer.Input{}
				require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
				s = s.again()
			}
			require.NoError(t, s.env.GetWorkflowError(), s.story())
			s.end()
			require.Greater(t, runs, 2)
			require.Greater(t, len(s.calls), lasts)
			require.Regexp(t, "repair did not succeed: .*(does not have everything|long transactions)", waits)
			c := s.says()
			s.sound(c)
			require.Equal(t, migration.CustomerFinished, c.Phase, s.story())
		})
	}
}

// accepted is an update that must not be refused.
type accepted struct{ *stage }

func (accepted) Accept()                     {}
func (a accepted) Reject(err error)          { require.NoError(a, err) }
func (a accepted) Complete(_ any, err error) { require.NoError(a, err) }

// goesHome says whether the data remembers that the customer was sent home from AWS.
func (s *stage) goesHome() bool {
	s.mu.Lock() // a call of the life before may still be under way
	defer s.mu.Unlock()
	return strings.Contains(s.dbs[0].Record().Note(migration.AWS).Words, `"phase":"moving-back"`)
}
