package kill

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/migration"
)

// statelessPlan has customers without a database, and workloads without VMs: target groups serve
// them today.
const statelessPlan = `version: 1
name: %[1]s
state: {target: prod, bucket: drover-state}
targets:
  prod: {account: "%[2]s", region: %[3]s, vpc: %[4]s, subnets: [%[5]s]}
workloads:
  web:
    origin: {targetGroup: "%[6]s"}
    state: none
    ingress: {port: %[9]s}
    target: {name: prod, fargate: {cluster: platform, image: "registry.example/web:1.4.2", count: 2, taskRole: api, securityGroups: [web]}, config: {env: {DB_SECRET: orders/app}}}
  api:
    origin: {targetGroup: "%[7]s"}
    state: none
    ingress: {port: %[9]s, paths: ["/api/*"]}
    target: {name: prod, fargate: {cluster: platform, image: "registry.example/api:1.4.2", taskRole: api, securityGroups: [web]}, config: {env: {DB_SECRET: orders/app}}}
routes:
  public: {alb: {target: prod, listener: %[8]s, workloads: {web: {}, api: {}}}}
health:
  probes:
    - {http: {path: /healthz, expect: 200}, every: 100ms, timeout: 2s, failAfter: 3}
    - {http: {path: /api/healthz, expect: 200}, every: 100ms, timeout: 2s, failAfter: 3}
customers:
%[10]sbatches:
  - {name: all, customers: {}, concurrency: 2}
policy: {weights: [5, 25, 100], step: 6s, bake: 3s, soak: 2h, stopAfter: 0}
`

// writeStateless writes the plan over the lab's own.
func (b *bench) writeStateless(t *testing.T) {
	t.Helper()
	var customers strings.Builder
	for _, c := range b.lab.Shape.Customers() {
		fmt.Fprintf(&customers, "  - {id: %s, match: {host: [%s]}, uses: {workloads: [web, api]}}\n", c.ID, c.Host)
	}
	l := b.lab
	body := fmt.Sprintf(statelessPlan, l.Shape.Name, lab.Account, lab.Region, l.VPC, strings.Join(l.Subnets, ", "), l.GroupWeb, l.GroupAPI,
		l.Listener, fmt.Sprint(l.AppPort), customers.String())
	require.NoError(t, os.WriteFile(l.Plan, []byte(body), 0o600))
}

// reader asks a customer's page again and again, and counts who answered.
type reader struct {
	edge, host string
	stop       context.CancelFunc
	done       sync.WaitGroup

	mu     sync.Mutex
	sides  map[string]int // "aws", "onprem"
	failed []string
}

func (b *bench) read(ctx context.Context, host string) *reader {
	ctx, cancel := context.WithCancel(ctx)
	r := &reader{edge: b.lab.Edge(), host: host, stop: cancel, sides: map[string]int{}}
	for _, path := range []string{"/healthz", "/api/healthz"} {
		r.done.Go(func() {
			for tick := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-tick.C {
				r.ask(ctx, path)
			}
		})
	}
	return r
}

func (r *reader) ask(ctx context.Context, path string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.edge+path, nil)
	if err != nil {
		return
	}
	req.Host = r.host
	res, err := http.DefaultClient.Do(req)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed = append(r.failed, err.Error())
		return
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	side, _, _ := strings.Cut(res.Header.Get("X-Served-By"), "/")
	if res.StatusCode != http.StatusOK {
		r.failed = append(r.failed, fmt.Sprintf("%s by %s: %s", res.Status, side, body))
		return
	}
	r.sides[side]++
}

// count answers how many requests each side has answered since the last count.
func (r *reader) count() (aws, onprem int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	aws, onprem = r.sides["aws"], r.sides["onprem"]
	clear(r.sides)
	return aws, onprem
}

func (r *reader) end() []string {
	r.stop()
	r.done.Wait()
	return r.failed
}

// at waits until the customer is shifted to a weight.
func (b *bench) at(ctx context.Context, t *testing.T, id string, weight int) {
	t.Helper()
	var c migration.CustomerStatus
	require.True(t, eventually(func() bool {
		s, err := b.client.Customer(ctx, b.lab.Shape.Name, id)
		if err == nil {
			c = s
		}
		return err == nil && s.Weight == weight
	}), "%s is not at %d %%: %+v", id, weight, c)
}

// Two customers whose workloads run on no VM of ours move out by weights under load, and one of
// them is not well at 25 %. The worker dies in the middle.
func TestStatelessCustomersShiftByWeightsAndGoBackByThemselves(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	b := newQuietBench(ctx, t, lab.Options{Shape: lab.SmallShape(2)})
	b.writeStateless(t)
	well, ill := b.lab.Shape.Customers()[0], b.lab.Shape.Customers()[1]
	reading := b.read(ctx, well.Host)

	killed := make(chan struct{})
	var once atomic.Bool
	b.gate.Set(func(_ context.Context, e gate.Event) bool {
		if e.When != gate.Completion || e.Activity != "WeighHome" || e.WorkflowID != migration.CustomerID(b.lab.Shape.Name, well.ID) ||
			!once.CompareAndSwap(false, true) {
			return true
		}
		defer close(killed)
		return b.kill(e)
	})
	b.submit(ctx)

	b.at(ctx, t, well.ID, 5)
	reading.count()
	b.at(ctx, t, ill.ID, 5)
	b.reached(t, killed) // its record says 25 already, and nobody has heard of it
	aws, onprem := reading.count()
	t.Logf("at 5 %%: AWS has answered %d, premises %d", aws, onprem)
	require.Positive(t, aws)
	require.Less(t, aws, onprem/4)
	b.startWorker(t)
	b.at(ctx, t, well.ID, 25)
	b.at(ctx, t, ill.ID, 25)
	require.NoError(t, b.lab.Break(ctx, ill.Host, "error500"))
	b.settled(ctx, ill.ID, migration.OnPrem)
	b.settled(ctx, well.ID, migration.AWS)

	c, err := b.client.Customer(ctx, b.lab.Shape.Name, ill.ID)
	require.NoError(t, err)
	require.Equal(t, migration.ByVerdict, c.Cause)
	require.Contains(t, c.Verdict.Reason, "500")
	require.Zero(t, c.Weight)
	require.NoError(t, b.lab.Repair(ctx, ill.Host))

	reading.count()
	back := b.read(ctx, ill.Host)
	require.True(t, eventually(func() bool {
		reading.mu.Lock()
		defer reading.mu.Unlock()
		return reading.sides["aws"] > 100
	}))
	aws, onprem = reading.count()
	require.Zero(t, onprem, "all requests of who has moved go to AWS")
	require.Positive(t, aws)
	require.True(t, eventually(func() bool {
		back.mu.Lock()
		defer back.mu.Unlock()
		return back.sides["onprem"] > 100
	}))
	aws, _ = back.count()
	require.Zero(t, aws, "none of who went back does")
	require.Empty(t, back.end())
	require.Empty(t, reading.end(), "nobody who was well missed an answer")

	c, err = b.client.Customer(ctx, b.lab.Shape.Name, well.ID)
	require.NoError(t, err)
	var told []string
	for _, e := range c.Timeline {
		if strings.Contains(e.What+e.Why, "% of its requests") {
			told = append(told, e.What+" "+e.Why)
		}
	}
	t.Logf("its timeline: %v", told)
	require.NotEmpty(t, told)

	b.send(ctx, t, well.ID, migration.OnPrem)
	b.settled(ctx, well.ID, migration.OnPrem)
	b.send(ctx, t, ill.ID, migration.AWS)
	b.settled(ctx, ill.ID, migration.AWS)
}
