package routes

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// Router routes the customers of plans by one kind of route, and leaves a plan's routes of other
// kinds alone.
type Router interface {
	Check(context.Context, *migration.Spec) ([]migration.Finding, error)
	Record(context.Context, *migration.Spec) error
	Survey(context.Context, *migration.Spec) ([]migration.Thing, error)
	Restore(context.Context, *migration.Spec, []Wanted) (Restored, error)
	Reconcile(context.Context, *migration.Spec, []Wanted) (map[string]State, error)
	Verify(context.Context, *migration.Spec, []Wanted) (map[string]State, error)
}

// Preparer is a Router whose customers need something done before they move, and when they stay.
type Preparer interface {
	// Prepare makes the routes of customers ready for a Move that nobody begins before opens. Run
	// twice, or cut off anywhere, it ends the same.
	Prepare(ctx context.Context, spec *migration.Spec, customers []string, opens time.Time) (Prepared, error)
	// Settle puts back what Prepare has changed, of customers that stay where they are. Run twice
	// it changes nothing more.
	Settle(ctx context.Context, spec *migration.Spec, customers []string) error
}

// Prepared says how far the routes of customers are ready for a Move.
type Prepared struct {
	Ready time.Time `json:"ready,omitzero"` // when the customers may move; zero: now
	Again time.Time `json:"again,omitzero"` // when there will be something to do; zero: everything is done
}

// later is what of both comes last, and what is to be done first.
func (p Prepared) later(o Prepared) Prepared {
	if p.Ready.Before(o.Ready) {
		p.Ready = o.Ready
	}
	if p.Again.IsZero() || !o.Again.IsZero() && o.Again.Before(p.Again) {
		p.Again = o.Again
	}
	return p
}

// Kinds routes each customer by whatever kinds of route carry it. The Router of load balancers is
// in it: it puts the workloads of every kind of route behind their listener on AWS.
type Kinds map[migration.RouteKind]Router

// Check is each Router's.
func (a Kinds) Check(ctx context.Context, spec *migration.Spec) (out []migration.Finding, err error) {
	for _, k := range a.kinds() {
		found, err := a[k].Check(ctx, spec)
		if err != nil {
			return out, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// Record is each Router's, the load balancers' first: what the others lead to stands behind them.
func (a Kinds) Record(ctx context.Context, spec *migration.Spec) error {
	for _, k := range a.kinds() {
		if err := a[k].Record(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}

// Survey is each Router's.
func (a Kinds) Survey(ctx context.Context, spec *migration.Spec) (out []migration.Thing, err error) {
	for _, k := range a.kinds() {
		things, err := a[k].Survey(ctx, spec)
		if err != nil {
			return out, err
		}
		out = append(out, things...)
	}
	return out, nil
}

// Restore is each Router's, the load balancers' last: nothing leads there any more by then.
func (a Kinds) Restore(ctx context.Context, spec *migration.Spec, wanted []Wanted) (out Restored, err error) {
	for _, k := range slices.Backward(a.kinds()) {
		r, err := a[k].Restore(ctx, spec, wanted)
		out.Deleted += r.Deleted
		out.Differences = append(out.Differences, r.Differences...)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// Reconcile is each Router's, of the customers that its kind of route carries, all at once. Where
// one cannot, the others do their part all the same, and the error says so.
func (a Kinds) Reconcile(ctx context.Context, spec *migration.Spec, wanted []Wanted) (map[string]State, error) {
	return a.each(spec, wanted, func(r Router, mine []Wanted) (map[string]State, error) { return r.Reconcile(ctx, spec, mine) })
}

// Verify is each Router's, of the customers that its kind of route carries.
func (a Kinds) Verify(ctx context.Context, spec *migration.Spec, wanted []Wanted) (map[string]State, error) {
	return a.each(spec, wanted, func(r Router, mine []Wanted) (map[string]State, error) { return r.Verify(ctx, spec, mine) })
}

func (a Kinds) each(spec *migration.Spec, wanted []Wanted, do func(Router, []Wanted) (map[string]State, error)) (map[string]State, error) {
	by, err := split(spec, wanted, func(w Wanted) string { return w.Customer })
	if err != nil {
		return nil, err
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	out := map[string]State{}
	for _, k := range a.kinds() {
		mine := by[k]
		if len(mine) == 0 {
			continue
		}
		all.Go(func() {
			states, err := do(a[k], mine)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			for id, s := range states {
				out[id] = Merge(out[id], s)
			}
		})
	}
	all.Wait()
	return out, errors.Join(errs...)
}

// Prepare is that of each Router that has one. Customers of the others are ready.
func (a Kinds) Prepare(ctx context.Context, spec *migration.Spec, customers []string, opens time.Time) (out Prepared, err error) {
	err = a.preparers(spec, customers, func(p Preparer, mine []string) error {
		one, err := p.Prepare(ctx, spec, mine, opens)
		out = out.later(one)
		return err
	})
	return out, err
}

// Settle is that of each Router that has one.
func (a Kinds) Settle(ctx context.Context, spec *migration.Spec, customers []string) error {
	return a.preparers(spec, customers, func(p Preparer, mine []string) error { return p.Settle(ctx, spec, mine) })
}

func (a Kinds) preparers(spec *migration.Spec, customers []string, do func(Preparer, []string) error) error {
	by, err := split(spec, customers, func(id string) string { return id })
	if err != nil {
		return err
	}
	for _, k := range a.kinds() {
		if p, ok := a[k].(Preparer); ok && len(by[k]) > 0 {
			if err := do(p, by[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a Kinds) kinds() []migration.RouteKind { return slices.Sorted(maps.Keys(a)) }

// split says which of these are carried by which kinds of route. Each must be carried by one at
// least.
func split[T any](spec *migration.Spec, all []T, customer func(T) string) (map[migration.RouteKind][]T, error) {
	out := map[migration.RouteKind][]T{}
	for _, x := range all {
		c, ok := spec.Customer(customer(x))
		if !ok {
			return nil, permanent.New("NoCustomer", nil, "plan %q has no customer %q", spec.Plan, customer(x))
		}
		routes := spec.RoutesOf(c)
		if len(routes) == 0 {
			return nil, permanent.New("NoRoute", nil,
				"no route of plan %q carries a workload of customer %q; add one of its workloads to a route", spec.Plan, c.ID)
		}
		seen := map[migration.RouteKind]bool{}
		for _, r := range routes {
			if k := r.Kind(); !seen[k] {
				seen[k] = true
				out[k] = append(out[k], x)
			}
		}
	}
	return out, nil
}

// Merge joins what two routes say of a customer.
func Merge(a, b State) State {
	b.Rules = append(a.Rules, b.Rules...)
	b.Wrong = strings.Trim(a.Wrong+"; "+b.Wrong, "; ")
	if a.Set.After(b.Set) {
		b.Set = a.Set
	}
	return b
}

// AllHome is an error unless each of the customers is homed on premises, as wanted says: what leads
// to AWS must not be taken away from the others.
func AllHome(customers []migration.Customer, wanted []Wanted) error {
	homes := map[string]migration.Side{}
	for _, w := range wanted {
		homes[w.Customer] = w.Side
	}
	for _, c := range customers {
		switch homes[c.ID] {
		case migration.OnPrem:
		case migration.NoHome:
			return permanent.New("NoHome", nil, "customer %q: its data names no home: look with drover doctor before its route is touched",
				c.ID)
		default:
			return permanent.New("NotHome", nil, "customer %q is homed on AWS: its requests would go to the wrong side; roll it back first",
				c.ID)
		}
	}
	return nil
}
