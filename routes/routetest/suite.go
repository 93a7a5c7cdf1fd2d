package routetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// Router is what is under test.
type Router interface {
	Record(context.Context, *migration.Spec) error
	Reconcile(ctx context.Context, spec *migration.Spec, customer string) (routes.State, error)
	Verify(ctx context.Context, spec *migration.Spec, customer string) (routes.State, error)
	Restore(context.Context, *migration.Spec) (routes.Restored, error)
}

// World is a place to route in. Its spec has customers with one tenant and one host each, all of them using a workload "web" for every path
// and a workload "api" for "/api/*", all served on premises by what stood before.
type World interface {
	Spec() *migration.Spec

	// NewRouter is a router as another worker process would have it: it shares nothing in memory with those made before.
	NewRouter() Router
	// SetHome writes a customer's home record.
	SetHome(customer string, side migration.Side)
	// HoldHomes makes the next reading of the homes by router r answer as of now, but only once release was called.
	HoldHomes(r Router) (reached <-chan struct{}, release func())

	// Serves says by which side, and which of its workloads, a request would be answered now.
	Serves(t *testing.T, host, path string) (migration.Side, string)
	// Standing is everything that others than Drover put there, in a form that compares.
	Standing(t *testing.T) string
	// Drovers counts what Drover put there for customers: rules, records.
	Drovers(t *testing.T) int
	// Packed is how many Drovers may be at most while n customers are on AWS, if nothing is wasted.
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
		"a stale writer heals":                        staleWriter,
		"verify tells that a route was broken":        verifyTells,
		"restore leaves exactly what stood":           restoreExact,
		"restore refuses while a customer is on AWS":  restoreRefuses,
		"the record is of what stood, and stays that": recordOnce,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := &run{World: w, router: w.NewRouter()}
			require.NoError(t, r.router.Record(t.Context(), w.Spec()))
			test(t, r)
		})
	}
}

type run struct {
	World
	router Router
}

func (r *run) customer(i int) migration.Customer { return r.Spec().Customers[i] }

// move homes customers and has the router follow.
func (r *run) move(t *testing.T, side migration.Side, customers ...int) {
	t.Helper()
	for _, i := range customers {
		r.SetHome(r.customer(i).ID, side)
		got, err := r.router.Reconcile(t.Context(), r.Spec(), r.customer(i).ID)
		require.NoError(t, err)
		require.Equal(t, side, got.Home)
		require.Equal(t, side == migration.AWS, len(got.Rules) > 0, "rules exist for the customers on AWS only")
	}
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
		_, err := r.router.Verify(t.Context(), r.Spec(), r.customer(i).ID)
		require.NoError(t, err)
	}
}

func upTo(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

func beforeFirst(t *testing.T, r *run) {
	for i := range r.Spec().Customers {
		_, err := r.router.Reconcile(t.Context(), r.Spec(), r.customer(i).ID)
		require.NoError(t, err)
	}
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
	first, err := r.router.Reconcile(t.Context(), r.Spec(), r.customer(1).ID)
	require.NoError(t, err)
	for _, router := range []Router{r.router, r.NewRouter()} {
		again, err := router.Reconcile(t.Context(), r.Spec(), r.customer(1).ID)
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
}

func concurrent(t *testing.T, r *run) {
	n := len(r.Spec().Customers)
	routers := []Router{r.router, r.NewRouter(), r.NewRouter()}
	var wg sync.WaitGroup
	errs := make(chan error, n*len(routers))
	for i := range n {
		r.SetHome(r.customer(i).ID, migration.AWS)
		for _, router := range routers {
			wg.Go(func() {
				if _, err := router.Reconcile(t.Context(), r.Spec(), r.customer(i).ID); err != nil {
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
	r.routed(t, migration.AWS, upTo(n)...)
	require.LessOrEqual(t, r.Drovers(t), r.Packed(n))
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
	before, err := r.router.Verify(t.Context(), r.Spec(), r.customer(9).ID)
	require.NoError(t, err)
	r.move(t, migration.OnPrem, 0, 1, 2)
	r.move(t, migration.AWS, 11, 1)
	after, err := r.router.Verify(t.Context(), r.Spec(), r.customer(9).ID)
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

// staleWriter: a worker read the homes before a customer's commit, was held up, and writes what it read after everybody else was done.
func staleWriter(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0, 1)
	stale := r.NewRouter()
	reached, release := r.HoldHomes(stale)
	done := make(chan error, 1)
	go func() {
		_, err := stale.Reconcile(t.Context(), r.Spec(), r.customer(1).ID)
		done <- err
	}()
	<-reached
	r.move(t, migration.OnPrem, 1)
	r.move(t, migration.AWS, 2)
	release()
	require.NoError(t, <-done)
	r.routed(t, migration.AWS, 0, 2)
	r.routed(t, migration.OnPrem, 1)
}

func verifyTells(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0)
	r.SetHome(r.customer(0).ID, migration.OnPrem)
	_, err := r.router.Verify(t.Context(), r.Spec(), r.customer(0).ID)
	require.ErrorContains(t, err, r.customer(0).ID)
	r.SetHome(r.customer(1).ID, migration.AWS)
	_, err = r.router.Verify(t.Context(), r.Spec(), r.customer(1).ID)
	require.ErrorContains(t, err, r.customer(1).ID)
}

func restoreExact(t *testing.T, r *run) {
	before := r.Standing(t)
	r.move(t, migration.AWS, upTo(7)...)
	r.move(t, migration.OnPrem, upTo(7)...)
	for range 2 {
		got, err := r.router.Restore(t.Context(), r.Spec())
		require.NoError(t, err)
		require.Empty(t, got.Differences)
		require.Equal(t, before, r.Standing(t))
		require.Zero(t, r.Drovers(t))
	}
}

func restoreRefuses(t *testing.T, r *run) {
	r.move(t, migration.AWS, 4)
	_, err := r.router.Restore(t.Context(), r.Spec())
	require.ErrorContains(t, err, r.customer(4).ID)
	r.routed(t, migration.AWS, 4)
}

func recordOnce(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0)
	require.NoError(t, r.NewRouter().Record(t.Context(), r.Spec()))
	r.move(t, migration.OnPrem, 0)
	got, err := r.NewRouter().Restore(t.Context(), r.Spec())
	require.NoError(t, err)
	require.Empty(t, got.Differences, "the record of before the first cutover was not replaced")
}
