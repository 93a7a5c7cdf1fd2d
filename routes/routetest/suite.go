package routetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// Router is what is under test.
type Router interface {
	Record(context.Context, *migration.Spec) error
	Reconcile(context.Context, *migration.Spec, []routes.Wanted) (map[string]routes.State, error)
	Verify(context.Context, *migration.Spec, []routes.Wanted) (map[string]routes.State, error)
	Restore(context.Context, *migration.Spec, []routes.Wanted) (routes.Restored, error)
}

// World is a place to route in. Its spec has customers with one tenant and one host each, all of
// them using a workload "web" for every path and a workload "api" for "/api/*", all served on
// premises by what stood before.
type World interface {
	Spec() *migration.Spec

	// NewRouter is a router as another worker process would have it: it shares nothing in memory
	// with those made before.
	NewRouter() Router
	// HoldLook makes the next look of router r at what stands answer as of now, but only once
	// release was called.
	HoldLook(r Router) (reached <-chan struct{}, release func())

	// Serves says by which side, and which of its workloads, a request would be answered now. Where
	// both sides may answer it is AWS.
	Serves(t *testing.T, host, path string) (migration.Side, string)
	// Share is the percentage of such requests that AWS would answer.
	Share(t *testing.T, host, path string) int
	// Standing is everything that others than Drover put there, in a form that compares.
	Standing(t *testing.T) string
	// Drovers counts what Drover put there for customers: rules, records.
	Drovers(t *testing.T) int
	// Packed is how many Drovers may be at most while all requests of n customers go to AWS, if
	// nothing is wasted.
	Packed(n int) int
}

// Run runs the suite; newWorld makes a fresh world with at least 12 customers for each test.
func Run(t *testing.T, newWorld func(t *testing.T) World) {
	for name, test := range map[string]func(*testing.T, *run){
		"before the first cutover everybody is served on premises": beforeFirst,
		"a customer follows its home record, and comes back":       thereAndBack,
		"a reconcile that finds nothing to do writes nothing":      idempotent,
		"many reconciles at once, by several workers, agree":       concurrent,
		"hosts are packed":                            packed,
		"a host stays where it is while others move":  stable,
		"what others made is never touched":           untouched,
		"a stale writer is healed by the next look":   staleWriter,
		"who is not wanted is left alone":             leftAlone,
		"an older token changes nothing":              oldToken,
		"what one process overwrites another heals":   overwritten,
		"verify tells that a route was broken":        verifyTells,
		"restore leaves exactly what stood":           restoreExact,
		"restore refuses while a customer is on AWS":  restoreRefuses,
		"the record is of what stood, and stays that": recordOnce,

		"a share of a customer's requests goes to AWS, and grows": grows,
		"who has one share never gets another's":                  apart,
		"a customer goes back from any share":                     backFromAny,
		"a smaller share of the same try changes nothing":         smallerShare,
		"a stale writer's share is healed by the next look":       staleShare,
		"many set shares at once, by several workers, and agree":  sharesAtOnce,
		"verify tells of a wrong share":                           wrongShare,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := &run{World: w, router: w.NewRouter(), homes: map[string]routes.Wanted{}}
			for _, c := range w.Spec().Customers {
				r.homes[c.ID] = routes.Wanted{Customer: c.ID, Side: migration.OnPrem, Token: 1}
			}
			require.NoError(t, r.router.Record(t.Context(), w.Spec()))
			test(t, r)
		})
	}
}

type run struct {
	World
	router Router

	mu    sync.Mutex
	homes map[string]routes.Wanted // by customer
}

func (r *run) customer(i int) migration.Customer { return r.Spec().Customers[i] }

// home writes a customer's home record, under a token higher than before.
func (r *run) home(side migration.Side, i int) routes.Wanted {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.customer(i).ID
	w := routes.Wanted{Customer: id, Side: side, Token: r.homes[id].Token + 1}
	r.homes[id] = w
	return w
}

// wanted are customers' home records.
func (r *run) wanted(customers ...int) (out []routes.Wanted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range customers {
		out = append(out, r.homes[r.customer(i).ID])
	}
	return out
}

func (r *run) all() []routes.Wanted { return r.wanted(upTo(len(r.Spec().Customers))...) }

// move homes customers, each at a time, and has the router follow.
func (r *run) move(t *testing.T, side migration.Side, customers ...int) {
	t.Helper()
	for _, i := range customers {
		r.follow(t, r.router, r.home(side, i))
	}
}

// follow has a router send a customer where it is wanted.
func (r *run) follow(t *testing.T, router Router, w routes.Wanted) {
	t.Helper()
	states, err := router.Reconcile(t.Context(), r.Spec(), []routes.Wanted{w})
	require.NoError(t, err)
	got := states[w.Customer]
	require.Equal(t, w.Side, got.Home)
	require.Equal(t, w.Side == migration.AWS, len(got.Rules) > 0, "rules exist for the customers on AWS only")
}

// routed checks every host and path of customers, and that verify agrees.
func (r *run) routed(t *testing.T, side migration.Side, customers ...int) {
	t.Helper()
	for _, i := range customers {
		for path, workload := range map[string]string{"/": "web", "/orders/1": "web", "/api/orders": "api"} {
			for _, h := range r.customer(i).Hosts {
				at, what := r.Serves(t, h, path)
				require.Equal(t, fmt.Sprint(side, " ", workload), fmt.Sprint(at, " ", what), "%s%s", h, path)
			}
		}
	}
	states, err := r.router.Verify(t.Context(), r.Spec(), r.wanted(customers...))
	require.NoError(t, err)
	for _, s := range states {
		require.Empty(t, s.Wrong)
		require.Equal(t, side, s.Home)
	}
	require.Len(t, states, len(customers), "one reading answers for all")
}

func upTo(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

func beforeFirst(t *testing.T, r *run) {
	_, err := r.router.Reconcile(t.Context(), r.Spec(), r.all())
	require.NoError(t, err)
	r.routed(t, migration.OnPrem, upTo(len(r.Spec().Customers))...)
	require.LessOrEqual(t, r.Drovers(t), r.Packed(0), "a customer that was never on AWS has nothing")
}

func thereAndBack(t *testing.T, r *run) {
	r.move(t, migration.AWS, 3)
	r.routed(t, migration.AWS, 3)
	r.routed(t, migration.OnPrem, 0, 1, 2, 4)
	r.move(t, migration.OnPrem, 3)
	r.routed(t, migration.OnPrem, upTo(5)...)
	require.LessOrEqual(t, r.Drovers(t), r.Packed(0), "nothing empty stays behind")
}

func idempotent(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0, 1)
	first, err := r.router.Reconcile(t.Context(), r.Spec(), r.wanted(1))
	require.NoError(t, err)
	for _, router := range []Router{r.router, r.NewRouter()} {
		again, err := router.Reconcile(t.Context(), r.Spec(), r.wanted(1))
		require.NoError(t, err)
		for id, state := range again {
			require.False(t, state.Set.Before(first[id].Set), "it says when it was seen that nothing is to be written")
			state.Set = first[id].Set
			again[id] = state
		}
		require.Equal(t, first, again)
	}
}

// concurrent: customers are routed all at once, each by each of three processes, and one that
// overwrites what another wrote heals it.
func concurrent(t *testing.T, r *run) {
	n := len(r.Spec().Customers)
	r.atOnce(t, func(i int) routes.Wanted { return r.home(migration.AWS, i) })
	r.settled(t, migration.AWS, upTo(n)...)
	require.LessOrEqual(t, r.Drovers(t), r.Packed(n))
}

// atOnce has every customer reconciled as wanted says, all at once, each by each of three
// processes.
func (r *run) atOnce(t *testing.T, wanted func(i int) routes.Wanted) {
	t.Helper()
	n := len(r.Spec().Customers)
	routers := []Router{r.router, r.NewRouter(), r.NewRouter()}
	var wg sync.WaitGroup
	errs := make(chan error, n*len(routers))
	for i := range n {
		w := wanted(i)
		for _, router := range routers {
			wg.Go(func() {
				if _, err := router.Reconcile(t.Context(), r.Spec(), []routes.Wanted{w}); err != nil {
					errs <- err
				}
			})
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// settled waits until verify finds customers as wanted, and checks that they are.
func (r *run) settled(t *testing.T, side migration.Side, customers ...int) {
	t.Helper()
	r.agreed(t, customers...)
	r.routed(t, side, customers...)
}

// agreed waits until verify finds customers as wanted.
func (r *run) agreed(t *testing.T, customers ...int) {
	t.Helper()
	require.Eventually(t, func() bool {
		states, err := r.router.Verify(t.Context(), r.Spec(), r.wanted(customers...))
		for _, s := range states {
			if s.Wrong != "" {
				return false
			}
		}
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
}

// leftAlone: whoever says nothing of a customer, or that its data names no home, changes nothing of
// it.
func leftAlone(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0, 1, 2)
	other := r.NewRouter()
	r.follow(t, other, r.home(migration.OnPrem, 2))
	states, err := other.Reconcile(t.Context(), r.Spec(), []routes.Wanted{{Customer: r.customer(0).ID}})
	require.NoError(t, err)
	require.Equal(t, migration.NoHome, states[r.customer(0).ID].Home)
	r.routed(t, migration.AWS, 0, 1)
	r.routed(t, migration.OnPrem, 2)
}

// oldToken: what was read before a newer token was told does not override it in the same process.
func oldToken(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0)
	old := r.wanted(0)
	r.move(t, migration.OnPrem, 0)
	states, err := r.router.Reconcile(t.Context(), r.Spec(), old)
	require.NoError(t, err)
	require.Equal(t, migration.OnPrem, states[r.customer(0).ID].Home, "it says what counts")
	r.routed(t, migration.OnPrem, 0)
}

// overwritten: two processes change the same rule, and the second had read it before the first
// wrote. The first was done by then.
func overwritten(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0)
	slow := r.NewRouter()
	reached, release := r.HoldLook(slow)
	w := r.home(migration.AWS, 1)
	done := make(chan error, 1)
	go func() {
		_, err := slow.Reconcile(t.Context(), r.Spec(), []routes.Wanted{w})
		done <- err
	}()
	<-reached
	r.move(t, migration.AWS, 2)
	release()
	require.NoError(t, <-done)
	r.settled(t, migration.AWS, 0, 1, 2)
}

func packed(t *testing.T, r *run) {
	n := len(r.Spec().Customers)
	for i := range n {
		r.move(t, migration.AWS, i)
		require.LessOrEqual(t, r.Drovers(t), r.Packed(i+1), "%d customers", i+1)
	}
	r.move(t, migration.OnPrem, 0, 5, 7)
	r.move(t, migration.AWS, 7, 0, 5)
	require.LessOrEqual(t, r.Drovers(t), r.Packed(n), "additions fill the space that others left")
	r.routed(t, migration.AWS, upTo(n)...)
}

func stable(t *testing.T, r *run) {
	r.move(t, migration.AWS, upTo(10)...)
	before, err := r.router.Verify(t.Context(), r.Spec(), r.wanted(9))
	require.NoError(t, err)
	r.move(t, migration.OnPrem, 0, 1, 2)
	r.move(t, migration.AWS, 11, 1)
	after, err := r.router.Verify(t.Context(), r.Spec(), r.wanted(9))
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func untouched(t *testing.T, r *run) {
	before := r.Standing(t)
	r.move(t, migration.AWS, upTo(8)...)
	require.Equal(t, before, r.Standing(t))
	r.move(t, migration.OnPrem, upTo(8)...)
	require.Equal(t, before, r.Standing(t))
}

// staleWriter: a process that was told of a customer before its last Move was held up, and writes
// what it was told after everybody else was done.
func staleWriter(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0, 1)
	stale := r.NewRouter()
	reached, release := r.HoldLook(stale)
	old := r.home(migration.OnPrem, 1)
	done := make(chan error, 1)
	go func() {
		_, err := stale.Reconcile(t.Context(), r.Spec(), []routes.Wanted{old})
		done <- err
	}()
	<-reached
	r.move(t, migration.OnPrem, 1)
	r.move(t, migration.AWS, 1, 2)
	release()
	require.NoError(t, <-done)
	_, err := r.router.Reconcile(t.Context(), r.Spec(), r.wanted(0, 1, 2))
	require.NoError(t, err)
	r.routed(t, migration.AWS, 0, 1, 2)
}

func verifyTells(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0, 2)
	r.home(migration.OnPrem, 0)
	r.home(migration.AWS, 1)
	states, err := r.router.Verify(t.Context(), r.Spec(), r.wanted(0, 1, 2))
	require.NoError(t, err)
	for i, wrong := range []bool{true, true, false} {
		s := states[r.customer(i).ID]
		require.Equal(t, wrong, s.Wrong != "", s.Wrong)
		require.True(t, !wrong || strings.Contains(s.Wrong, s.Customer), s.Wrong)
	}
}

func restoreExact(t *testing.T, r *run) {
	before := r.Standing(t)
	r.move(t, migration.AWS, upTo(7)...)
	r.move(t, migration.OnPrem, upTo(7)...)
	for range 2 {
		got, err := r.router.Restore(t.Context(), r.Spec(), r.all())
		require.NoError(t, err)
		require.Empty(t, got.Differences)
		require.Equal(t, before, r.Standing(t))
		require.Zero(t, r.Drovers(t))
	}
}

func restoreRefuses(t *testing.T, r *run) {
	r.move(t, migration.AWS, 4)
	_, err := r.router.Restore(t.Context(), r.Spec(), r.all())
	require.ErrorContains(t, err, r.customer(4).ID)
	r.routed(t, migration.AWS, 4)
}

func recordOnce(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0)
	require.NoError(t, r.NewRouter().Record(t.Context(), r.Spec()))
	r.move(t, migration.OnPrem, 0)
	got, err := r.NewRouter().Restore(t.Context(), r.Spec(), r.all())
	require.NoError(t, err)
	require.Empty(t, got.Differences, "the record of before the first cutover was not replaced")
}
