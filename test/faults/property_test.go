package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/door"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
)

var propertyFor = flag.Duration("faults.for", 0, "how long random series of Moves, commands and faults are driven; 0: not at all")

const propertyCustomers = 8

// mishap is something that happens in a series. What it takes away comes back when the series ends,
// at the latest.
type mishap struct {
	what     string
	customer int
	worker   int
	side     migration.Side
	wait     time.Duration // before the next
}

func (m mishap) String() string {
	return fmt.Sprintf("%s (customer %d, worker %d, %s), then %s", m.what, m.customer, m.worker, m.side, m.wait)
}

// happens are the mishaps by name.
var happens = map[string]func(*rig, context.Context, mishap, lab.Customer){
	"home": func(r *rig, ctx context.Context, _ mishap, c lab.Customer) { _ = r.send(ctx, c.ID, migration.OnPrem) },
	"out":  func(r *rig, ctx context.Context, _ mishap, c lab.Customer) { _ = r.send(ctx, c.ID, migration.AWS) },
	"hold": func(r *rig, ctx context.Context, _ mishap, c lab.Customer) {
		_, _ = r.client.Hold(ctx, r.Shape.Name, c.ID, byMatrix)
	},
	"pause": func(r *rig, ctx context.Context, _ mishap, _ lab.Customer) {
		_, _ = r.client.Pause(ctx, r.Shape.Name, byMatrix)
	},
	"resume": func(r *rig, ctx context.Context, _ mishap, _ lab.Customer) {
		_, _ = r.client.Resume(ctx, r.Shape.Name, byMatrix)
	},
	"kill":    func(r *rig, _ context.Context, m mishap, _ lab.Customer) { r.workers[m.worker].kill() },
	"restart": func(r *rig, _ context.Context, m mishap, _ lab.Customer) { _ = r.start(r.workers[m.worker]) },
	"stop":    func(r *rig, _ context.Context, m mishap, _ lab.Customer) { r.workers[m.worker].signal(syscall.SIGSTOP) },
	"go on":   func(r *rig, _ context.Context, m mishap, _ lab.Customer) { r.workers[m.worker].signal(syscall.SIGCONT) },
	"terminate": func(r *rig, ctx context.Context, _ mishap, c lab.Customer) {
		_ = r.server.TerminateWorkflow(ctx, migration.CustomerID(r.Shape.Name, c.ID), "", "the matrix")
	},
	"cancel": func(r *rig, ctx context.Context, _ mishap, c lab.Customer) {
		_ = r.server.CancelWorkflow(ctx, migration.CustomerID(r.Shape.Name, c.ID), "")
	},
	"crash": func(r *rig, ctx context.Context, m mishap, _ lab.Customer) {
		_ = r.Server(m.side).Stop(pg.Immediate)
		_ = r.Server(m.side).Restart(ctx)
	},
	"cut": func(r *rig, _ context.Context, m mishap, _ lab.Customer) {
		mend := r.Doors.Gate(m.side).Cut()
		time.AfterFunc(time.Second, mend)
	},
	"hold packets": func(r *rig, _ context.Context, m mishap, _ lab.Customer) {
		release := r.Doors.Gate(m.side).Hold()
		time.AfterFunc(2*time.Second, release)
	},
	"AWS fails": func(r *rig, _ context.Context, _ mishap, _ lab.Customer) {
		r.Doors.AWS.Set(func(context.Context, door.Request) door.Verdict { return door.Verdict{Status: 500} })
		time.AfterFunc(2*time.Second, func() { r.Doors.AWS.Set(nil) })
	},
	"S3 fails": func(r *rig, _ context.Context, _ mishap, _ lab.Customer) {
		r.Doors.S3.Set(func(context.Context, door.Request) door.Verdict { return door.Verdict{Cut: true} })
		time.AfterFunc(2*time.Second, func() { r.Doors.S3.Set(nil) })
	},
}

// Whatever happens to eight customers, in whatever order, each ends open on one side with all that
// it was acknowledged.
func TestNoSeriesOfMishapsBreaksAnything(t *testing.T) {
	if *propertyFor == 0 {
		t.Skip("it runs for as long as -faults.for says: make test-faults-random")
	}
	tools := tooltest.Dir(t, "bin/temporal", "pg/bin/postgres")
	bin, clean, err := build(t.Context())
	require.NoError(t, err)
	t.Cleanup(clean)
	var r *rig
	t.Cleanup(func() {
		if r != nil {
			r.Close()
		}
	})
	end, series := enough{at: time.Now().Add(*propertyFor)}, 0
	draw := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) mishap {
		return mishap{
			what:     rapid.SampledFrom(sorted(happens)).Draw(t, "what"),
			customer: rapid.IntRange(0, propertyCustomers-1).Draw(t, "customer"),
			worker:   rapid.IntRange(0, 1).Draw(t, "worker"),
			side:     rapid.SampledFrom([]migration.Side{migration.OnPrem, migration.AWS}).Draw(t, "side"),
			wait:     time.Duration(rapid.IntRange(0, 20).Draw(t, "wait")) * 50 * time.Millisecond,
		}
	}), 1, 20)
	rapid.Check(t, func(rt *rapid.T) {
		all := draw.Draw(rt, "series")
		if end.is(time.Now()) {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if r == nil { // the first, or the one before has broken its lab
			var err error
			if r, err = startRig(ctx, tools, filepath.Join(t.TempDir(), "lab"), bin, shape(propertyCustomers)); err == nil {
				err = r.aloft(ctx, aloftLimit)
			}
			require.NoError(t, err)
		}
		series++
		if broken := r.series(ctx, all); len(broken) > 0 {
			r.Close()
			r, end.broken = nil, true
			rt.Fatalf("%v", broken)
		}
	})
	t.Logf("%d series", series)
	require.Positive(t, series)
}

// enough ends a search. A series that has broken something is played again, and smaller ones: they
// would all pass if they were not played.
type enough struct {
	at     time.Time
	broken bool // something has been: from then on rapid says when it is enough
}

func (e enough) is(now time.Time) bool { return !e.broken && now.After(e.at) }

func TestASearchEndsInTimeUnlessItHasFoundSomething(t *testing.T) {
	at := time.Now()
	require.False(t, enough{at: at}.is(at.Add(-time.Second)))
	require.True(t, enough{at: at}.is(at.Add(time.Second)))
	require.False(t, enough{at: at, broken: true}.is(at.Add(time.Second)), "what is left would pass without being played")
}

// series has mishaps happen under load, heals everything, and answers what is broken.
func (r *rig) series(ctx context.Context, all []mishap) (broken []string) {
	customers := r.Shape.Customers()
	loads := make([]*load.Load, len(customers))
	for i, c := range customers {
		var err error
		if loads[i], err = r.StartLoadOf(ctx, c, 6, r.ledgerOf(c)); err != nil {
			return []string{err.Error()}
		}
	}
	w := r.watch(ctx, customers...)
	for _, m := range all {
		happens[m.what](r, ctx, m, customers[m.customer])
		time.Sleep(m.wait)
	}
	for _, h := range r.workers {
		h.signal(syscall.SIGCONT)
	}
	time.Sleep(2 * time.Second) // what was taken away for a time is back
	if err := r.startAll(); err != nil {
		return []string{err.Error()}
	}
	_, _ = r.client.Resume(ctx, r.Shape.Name, byMatrix)
	for _, c := range customers {
		if s, ok := r.await(ctx, c.ID, settleLimit, func(s migration.CustomerStatus) bool { return resting(s) && s.Home.Valid() }); !ok {
			broken = append(broken, fmt.Sprintf("customer %s is stuck: %s on %s: %s", c.ID, s.Phase, s.Home, s.Reason))
		}
	}
	for _, l := range loads {
		l.Stop()
	}
	w.end()
	broken = append(broken, w.said...)
	for id, d := range w.bothOpen {
		broken = append(broken, fmt.Sprintf("customer %s: both sides took its writes for %s", id, d))
	}
	for _, c := range customers {
		truth, err := r.VerifyOf(ctx, c, r.ledgerOf(c))
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		broken = append(broken, truth.Violations...)
	}
	return broken
}
