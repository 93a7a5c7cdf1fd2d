package main

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/migration"
)

// short are the cells of `make test`: one of each kind that is quick.
var short = []string{
	"move/aws/FreezeCustomer/killed after", "move/onprem/FreezeCustomer/all killed", "freeze/aws/seal@onprem/past the lease",
	"freeze/onprem/open@onprem/connection lost after", "hand/aws/FreezeCustomer/terminate the Customer",
	"hand/aws/FreezeCustomer/reset the Customer",
	"hand/onprem/FreezeCustomer/cancel the Customer", "guard/snapshot/older than the fence", "protocol/fence/two tries of one token",
	"protocol/seal/past the lease", "protocol/open/after a later try went back", "system/onprem/seal/database on aws killed",
}

func TestAShortSelectionOfTheMatrix(t *testing.T) {
	tools := tooltest.Dir(t, "bin/temporal", "pg/bin/postgres")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	r := newRig(ctx, t, tools, 4)
	p, err := r.derive(ctx, 0)
	require.NoError(t, err)
	require.Greater(t, len(p.Freezes), 10, "statements inside a freeze")
	out := t.TempDir()
	b, err := openBook(filepath.Join(out, bookFile))
	require.NoError(t, err)
	m := &matrix{options: options{out: out}, book: b, began: time.Now(), points: p, done: map[string]bool{}}
	byName := map[string]cell{}
	for _, c := range m.cells() {
		byName[c.name] = c
	}
	var due []cell
	for _, name := range short {
		c, ok := byName[name]
		require.True(t, ok, "there is no cell %q", name)
		due = append(due, c)
	}
	require.NoError(t, m.play(ctx, r, due))
	for _, name := range short {
		res, ok := b.has(name)
		require.True(t, ok, "%s did not run", name)
		require.Empty(t, res.Broken, name)
		require.Positive(t, res.Writes, name)
		require.Positive(t, res.Samples, name)
	}
}

// newRig starts a rig whose customers soak.
func newRig(ctx context.Context, t *testing.T, tools string, customers int) *rig {
	t.Helper()
	bin, clean, err := build(ctx)
	require.NoError(t, err)
	t.Cleanup(clean)
	r, err := startRig(ctx, tools, filepath.Join(t.TempDir(), "lab"), bin, shape(customers))
	require.NoError(t, err)
	t.Cleanup(r.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.WorkerLog(40))
		}
	})
	require.NoError(t, r.aloft(ctx, aloftLimit))
	return r
}

func TestAPatternNamesCellsByTheirParts(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		is            bool
	}{
		{"", "move/aws/seal/late", true},
		{"move", "move/aws/seal/late", true},
		{"move/*/seal", "move/aws/seal/late", true},
		{"move/aws/seal/late", "move/aws/seal/late", true},
		{"move/aws/seal/l*", "move/aws/seal/late", true},
		{"move/aws/open", "move/aws/seal/late", false},
		{"move/aws/seal/late/x", "move/aws/seal/late", false},
		{"mov", "move/aws/seal/late", false},
		{"hand,move/*/seal", "move/aws/seal/late", true},
	} {
		require.Equal(t, c.is, matches(c.pattern, c.name), "%s %s", c.pattern, c.name)
	}
}

func TestAStatusIsUntrueOnlyWhereTheFencesDenyItBeforeAndAfter(t *testing.T) {
	home, away, none := fences{onprem: true}, fences{aws: true}, fences{}
	soaks := migration.CustomerStatus{ID: "acme", Phase: migration.CustomerSoaking, Home: migration.AWS}
	moves := migration.CustomerStatus{ID: "acme", Phase: migration.CustomerMoving, Home: migration.AWS}
	said := migration.CustomerStatus{ID: "acme", Phase: migration.CustomerHeld, Home: migration.AWS,
		Reason: "it may be closed on both sides"}
	for _, c := range []struct {
		name          string
		status        migration.CustomerStatus
		before, after fences
		untrue        bool
	}{
		{"it is so", soaks, away, away, false},
		{"it is elsewhere", soaks, home, home, true},
		{"it is closed", soaks, none, none, true},
		{"both sides are open", soaks, fences{true, true}, fences{true, true}, true},
		{"it changed meanwhile", soaks, away, home, false},
		{"it moves, which claims nothing", moves, none, none, false},
		{"it says that it is closed", said, none, none, false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.untrue, untrue(c.status, c.before, c.after) != "") })
	}
}

func TestARunOfEverythingFailsWhileSomethingHasNotRun(t *testing.T) {
	all := summary{Cases: 3, Passed: 3, Controls: 1, Caught: 1}
	require.NoError(t, all.verdict(options{}))
	all.Pending = 271
	require.ErrorContains(t, all.verdict(options{}), "271 derived cells and controls have not run yet")
	require.NoError(t, all.verdict(options{pattern: "hand"}), "who names cells wants these")
	require.NoError(t, all.verdict(options{limit: time.Minute}), "who names a time wants what it allows")
	all.Passed = 2
	require.ErrorContains(t, all.verdict(options{pattern: "hand"}), "1 of 3 cells")
}

func TestARivalIsRefusedForBeingOne(t *testing.T) {
	require.NoError(t, refusedAsRival("database orders: it is replicated by\n  plan \"orders\" (dataset \"orders\") already"))
	require.ErrorContains(t, refusedAsRival("the bucket does not answer"), "not because the database belongs to the first: the bucket")
}

// Only what the server that forgot had served alone may be gone.
func TestOnlyWhoWasAtHomeOnTheServerThatForgotMayMissWrites(t *testing.T) {
	dir, at := t.TempDir(), time.Now()
	p := &play{rig: &rig{dir: dir}, customer: lab.Customer{ID: "left"}, bystander: lab.Customer{ID: "stayed"},
		forgotFrom: at, forgotTo: at.Add(time.Minute), forgotHome: map[string]bool{"stayed": true}}
	for _, c := range []lab.Customer{p.customer, p.bystander} {
		l, err := load.OpenLedger(p.ledgerOf(c))
		require.NoError(t, err)
		for i, when := range []time.Duration{-time.Second, time.Second, 2 * time.Minute} {
			require.NoError(t, l.Add(load.Entry{Customer: c.ID, Token: fmt.Sprint(i), First: at.Add(when), Acked: at.Add(when)}))
		}
		require.NoError(t, l.Close())
	}
	for c, want := range map[lab.Customer]int{p.customer: 0, p.bystander: 1} {
		path, forgiven, err := p.forgive(c)
		require.NoError(t, err)
		require.Equal(t, want, forgiven, c.ID)
		entries, err := load.ReadLedger(path)
		require.NoError(t, err)
		require.Len(t, entries, 3)
		for _, e := range entries {
			require.Equal(t, want == 1 && e.Token == "1", e.Acked.IsZero(), "%s %s", c.ID, e.Token)
		}
	}
}

func TestTheBookRemembersTheLastResultOfACell(t *testing.T) {
	path := filepath.Join(t.TempDir(), bookFile)
	b, err := openBook(path)
	require.NoError(t, err)
	require.NoError(t, b.add(result{Cell: "move/a", Lost: 1}))
	require.NoError(t, b.add(result{Cell: "move/a", Passed: true, Writes: 3}))
	require.NoError(t, b.add(result{Cell: "move/b", Left: "it cannot be"}))
	require.NoError(t, b.add(result{Cell: "control/x", Passed: true}))
	again, err := openBook(path)
	require.NoError(t, err)
	var all []result
	for _, name := range sorted(again.all) {
		all = append(all, again.all[name])
	}
	require.Equal(t, summary{Cases: 1, Passed: 1, Controls: 1, Caught: 1, LeftOut: 1, Writes: 3}, sum(all))
}
