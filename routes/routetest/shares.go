package routetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// weights are the shares by which the suite moves customers.
var weights = []int{5, 25, routes.All}

// weigh has a customer's home record say that a share of its requests goes to AWS: under a new
// token where the customer was at home, else under the one of its try.
func (r *run) weigh(share, i int) routes.Wanted {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.customer(i).ID
	w := r.homes[id]
	if w.Side != migration.AWS {
		w.Token++
	}
	w.Customer, w.Side, w.Weight = id, migration.AWS, share
	r.homes[id] = w
	return w
}

// share has the router send a share of customers' requests to AWS, each customer at a time.
func (r *run) share(t *testing.T, share int, customers ...int) {
	t.Helper()
	for _, i := range customers {
		r.follow(t, r.router, r.weigh(share, i))
	}
}

// shared checks every host and path of customers, and that verify agrees.
func (r *run) shared(t *testing.T, share int, customers ...int) {
	t.Helper()
	for _, i := range customers {
		for _, path := range []string{"/", "/orders/1", "/api/orders"} {
			for _, h := range r.customer(i).Hosts {
				require.Equal(t, share, r.Share(t, h, path), "%s%s", h, path)
			}
		}
	}
	states, err := r.router.Verify(t.Context(), r.Spec(), r.wanted(customers...))
	require.NoError(t, err)
	for _, s := range states {
		require.Empty(t, s.Wrong)
		require.Equal(t, share, s.Share)
	}
}

func grows(t *testing.T, r *run) {
	r.move(t, migration.AWS, 0) // whose rules have room
	for _, share := range weights {
		r.share(t, share, 3)
		r.shared(t, share, 3)
		r.routed(t, migration.AWS, 0)
		r.routed(t, migration.OnPrem, 1, 2, 4)
	}
	require.LessOrEqual(t, r.Drovers(t), r.Packed(2), "at the end it has no rule of its own")
	first, err := r.router.Reconcile(t.Context(), r.Spec(), r.wanted(3))
	require.NoError(t, err)
	require.Equal(t, routes.All, first[r.customer(3).ID].Share)
}

// apart: customers of three shares come and go in turns, and each has the share that it is to have.
func apart(t *testing.T, r *run) {
	n := len(r.Spec().Customers)
	for step := range len(weights) + 2 {
		for i := range n {
			if at := step - i%3; at >= 0 && at < len(weights) {
				r.share(t, weights[at], i)
			}
		}
		for i := range n {
			share := 0
			if at := step - i%3; at >= 0 {
				share = weights[min(at, len(weights)-1)]
			}
			r.shared(t, share, i)
		}
	}
	require.LessOrEqual(t, r.Drovers(t), r.Packed(n), "rules of shares that nobody has are gone, and the others are full")
}

func backFromAny(t *testing.T, r *run) {
	for _, share := range weights {
		r.share(t, share, 2, 3)
		r.move(t, migration.OnPrem, 2)
		r.routed(t, migration.OnPrem, 2)
		r.shared(t, share, 3)
		r.move(t, migration.OnPrem, 3)
		r.routed(t, migration.OnPrem, 2, 3)
		require.LessOrEqual(t, r.Drovers(t), r.Packed(0))
	}
}

func smallerShare(t *testing.T, r *run) {
	r.share(t, 5, 0)
	old := r.wanted(0)
	r.share(t, 25, 0)
	states, err := r.router.Reconcile(t.Context(), r.Spec(), old)
	require.NoError(t, err)
	require.Equal(t, 25, states[r.customer(0).ID].Share, "it says what counts")
	r.shared(t, 25, 0)
}

// staleShare: a process that had read the home record before the share grew was held up, and writes
// what it had read after everybody else was done.
func staleShare(t *testing.T, r *run) {
	r.share(t, 5, 0, 1)
	stale := r.NewRouter()
	reached, release := r.HoldLook(stale)
	old := r.wanted(1)
	done := make(chan error, 1)
	go func() {
		_, err := stale.Reconcile(t.Context(), r.Spec(), old)
		done <- err
	}()
	<-reached
	r.share(t, 25, 1)
	r.share(t, routes.All, 1)
	release()
	require.NoError(t, <-done)
	_, err := r.router.Reconcile(t.Context(), r.Spec(), r.wanted(0, 1))
	require.NoError(t, err)
	r.shared(t, 5, 0)
	r.shared(t, routes.All, 1)
}

func sharesAtOnce(t *testing.T, r *run) {
	n := len(r.Spec().Customers)
	r.atOnce(t, func(i int) routes.Wanted { return r.weigh(weights[i%len(weights)], i) })
	r.agreed(t, upTo(n)...)
	for i := range n {
		r.shared(t, weights[i%len(weights)], i)
	}
}

func wrongShare(t *testing.T, r *run) {
	r.share(t, 25, 0, 1)
	r.weigh(routes.All, 0)
	states, err := r.router.Verify(t.Context(), r.Spec(), r.wanted(0, 1))
	require.NoError(t, err)
	require.Contains(t, states[r.customer(0).ID].Wrong, "25 %")
	require.Empty(t, states[r.customer(1).ID].Wrong)
}
