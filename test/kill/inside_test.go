package kill

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	pggate "github.com/drover-migration/drover/lab/pg/gate"
	"github.com/drover-migration/drover/lab/process"
	"github.com/drover-migration/drover/migration"
)

// takeover is how long a Move may lie still when its worker is killed while another one runs.
const takeover = 3 * time.Second

// twin is one of two workers. It reaches Temporal and the databases on premises through gates of
// its own, so that a test knows whose step it is.
type twin struct {
	name     string
	temporal *gate.Gate
	onprem   *pggate.Gate
	aws      string
	process  *process.Process
	starts   int
}

// twins are the bench's only workers.
func (b *bench) twins(t *testing.T, aws *front, flags ...string) (out []*twin) {
	t.Helper()
	b.kill(gate.Event{}) // the bench's own has done nothing yet
	for _, name := range []string{"first", "second"} {
		w := &twin{name: name, aws: aws.URL}
		var err error
		w.temporal, err = gate.Start("127.0.0.1:0", b.lab.TemporalAddress())
		require.NoError(t, err)
		t.Cleanup(w.temporal.Close)
		w.onprem, err = pggate.Start(b.lab.Database)
		require.NoError(t, err)
		t.Cleanup(w.onprem.Close)
		b.start(t, w, flags...)
		t.Cleanup(func() { w.process.Close() })
		out = append(out, w)
	}
	return out
}

// start starts a twin, or the next of its name.
func (b *bench) start(t *testing.T, w *twin, flags ...string) {
	t.Helper()
	host, port := w.onprem.Address()
	env := append(b.lab.Environ(), "TEMPORAL_ADDRESS="+w.temporal.Address(), "AWS_ENDPOINT_URL="+w.aws)
	for _, name := range []string{"ORDERS_ONPREM", "ARCHIVE_ONPREM"} {
		dsn, err := url.Parse(b.lab.Env()[name])
		require.NoError(t, err)
		dsn.Host = fmt.Sprintf("%s:%d", host, port)
		env = append(env, name+"="+dsn.String())
	}
	dir := filepath.Dir(b.lab.Plan)
	w.starts++
	var err error
	w.process, err = process.Start(process.Options{Name: fmt.Sprintf("%s-%02d", w.name, w.starts), Path: b.drover,
		Args: append([]string{"worker", "--site", "dc1"}, flags...), Env: env, Dir: dir, LogDir: filepath.Join(dir, "workers")})
	require.NoError(t, err)
}

// point is a statement of a freeze on premises.
type point struct {
	sql  string
	nth  int // of its text, from the point's round on; in the first round its rehearsals come first, one for each database
	when pggate.When
	// round is how many activities of the freeze have begun by then: one at one site; at two sites
	// two for each of fence, drain and seal, and one for the first open.
	round int
}

func (p point) String() string {
	return fmt.Sprintf("%s #%d %s", strings.TrimSuffix(p.sql, "($1"), p.nth, p.when)
}

// hit is a twin that was killed inside a freeze.
type hit struct {
	killed *twin
	taken  <-chan time.Duration // when the other was handed a step of the Move
}

// attack kills the twin that comes to a point.
type attack struct {
	point
	done chan hit

	mu     sync.Mutex
	rounds int // that have begun
	seen   int
	killed *twin
	at     time.Time
	taken  chan time.Duration
}

// killAt arms both twins.
func killAt(p point, both []*twin) <-chan hit {
	a := &attack{point: p, done: make(chan hit, 1), taken: make(chan time.Duration, 1)}
	for _, w := range both {
		w.temporal.Set(func(_ context.Context, e gate.Event) bool { a.delivered(w, e); return true })
		w.onprem.Set(func(e pggate.Event) bool { return a.passes(w, e) })
	}
	return a.done
}

func (a *attack) delivered(to *twin, e gate.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case e.When != gate.Delivery || !strings.HasPrefix(e.WorkflowID, "move/"):
	case a.killed == nil && e.Activity == "FreezeCustomer":
		a.rounds++
	case a.killed != nil && a.killed != to && len(a.taken) == 0:
		a.taken <- time.Since(a.at)
	}
}

func (a *attack) passes(w *twin, e pggate.Event) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.killed != nil || a.rounds < a.round || !strings.Contains(e.SQL, a.sql) {
		return a.killed != w
	}
	if e.When == pggate.Before {
		a.seen++
	}
	if a.seen != a.nth || e.When != a.when {
		return true
	}
	w.process.Kill()
	a.killed, a.at = w, time.Now()
	a.done <- hit{w, a.taken}
	return false
}

func disarm(both []*twin) {
	for _, w := range both {
		w.onprem.Set(nil)
		w.temporal.Set(nil)
	}
}

// way is a freeze that is hit on its way.
type way struct {
	to migration.Side
	at point
}

// hitInside has a customer meet every hit on its way, and holds the world to what must be true
// after each. It answers how long each Move lay still.
func (b *bench) hitInside(ctx context.Context, t *testing.T, both []*twin, id string, ways []way, flags ...string) (still []time.Duration) {
	for _, w := range ways {
		t.Run(fmt.Sprintf("on the way to %s, %s", w.to, w.at), func(t *testing.T) {
			killed := killAt(w.at, both)
			b.send(ctx, t, id, w.to)
			var h hit
			select {
			case h = <-killed:
			case <-time.After(settleLimit):
				require.Fail(t, "the statement was never reached")
			}
			select {
			case d := <-h.taken:
				t.Logf("the %s worker was killed; the other went on after %s", h.killed.name, d.Round(time.Millisecond))
				still = append(still, d)
			case <-time.After(settleLimit):
				require.Fail(t, "nobody went on with the Move")
			}
			disarm(both)
			b.start(t, h.killed, flags...)
			b.settled(ctx, id, w.to)
			b.consistent(ctx, t)
		})
	}
	return still
}

// inTime holds the takeovers to their limit: their median on a machine that is not busy, and the
// best of them on any. A machine that has no time for the worker that goes on says nothing about
// Drover.
func inTime(t *testing.T, still []time.Duration) {
	t.Helper()
	require.NotEmpty(t, still)
	slices.Sort(still)
	t.Logf("takeovers: %v", still)
	require.Less(t, still[0], takeover)
	if !busy() {
		require.Less(t, still[len(still)/2], takeover)
	}
}

// busy says whether more runs on this machine than it has processors for.
func busy() bool {
	b, err := os.ReadFile("/proc/loadavg")
	var load float64
	if err == nil {
		_, err = fmt.Sscan(string(b), &load)
	}
	return err != nil || load > 1.5*float64(runtime.NumCPU())
}

// A worker dies in the middle of a freeze, between the two databases of a customer too. Another one
// finds out what has become of it within seconds, and nothing is lost.
func TestAKilledWorkerChangesNothingInsideAFreezeAndIsReplacedWithinSeconds(t *testing.T) {
	const fence, seal, open = "drover.fence($1", "drover.seal($1", "drover.open($1"
	for _, c := range []struct {
		name  string
		flags []string
		sites bool
		ways  []way
	}{
		{name: "both databases at one site", ways: []way{
			{migration.OnPrem, point{open, 3, pggate.Before, 1}},
			{migration.AWS, point{fence, 4, pggate.After, 1}},
			{migration.OnPrem, point{open, 3, pggate.After, 1}}, // the first is open, the second is not
			{migration.AWS, point{seal, 4, pggate.Before, 1}},   // one is sealed, the other is not
			{migration.OnPrem, point{open, 4, pggate.After, 1}},
		}},
		{name: "at two sites", flags: []string{"--site", "dc2"}, sites: true, ways: []way{
			{migration.OnPrem, point{open, 1, pggate.After, 7}},
			{migration.AWS, point{seal, 2, pggate.Before, 5}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
			defer cancel()
			shape := lab.SmallShape(2)
			shape.Archive, shape.Bake = true, "1s"
			b := newBench(ctx, t, shape)
			if c.sites {
				b.archiveAt(t, "dc2")
			}
			f := newFront(t, b.lab)
			both := b.twins(t, f, c.flags...)
			a := b.archive(ctx, t)
			b.submit(ctx)
			for _, who := range shape.Customers() {
				b.settled(ctx, who.ID, migration.AWS)
			}
			inTime(t, b.hitInside(ctx, t, both, shape.Customers()[0].ID, c.ways, c.flags...))
			if c.sites {
				b.unrouted(ctx, t, both, f, shape.Customers()[0].ID)
			}
			a.stop()
			for _, who := range shape.Customers() {
				a.complete(ctx, t, who.Tenant)
			}
			b.nothingLost(ctx, t)
		})
	}
}

// archiveAt moves the second database to a site of its own, in the plan.
func (b *bench) archiveAt(t *testing.T, site string) {
	t.Helper()
	text, err := os.ReadFile(b.lab.Plan)
	require.NoError(t, err)
	plan := string(text)
	at := strings.Index(plan, "  dc1:\n")
	end := strings.Index(plan, "targets:\n")
	require.True(t, 0 < at && at < end)
	second := strings.Replace(plan[at:end], "dc1", site, 1)
	head, rest, found := strings.Cut(plan[end:], "  archive:\n    postgres:\n      site: dc1\n")
	require.True(t, found)
	plan = plan[:end] + second + head + "  archive:\n    postgres:\n      site: " + site + "\n" + rest
	require.NoError(t, os.WriteFile(b.lab.Plan, []byte(plan), 0o600))
}
