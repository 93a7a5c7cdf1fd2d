package traffic

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// WantedRoute says where a customer's requests shall go, as its data said.
type WantedRoute struct {
	Customer string         `json:"customer"`
	Side     migration.Side `json:"side,omitempty"`  // migration.NoHome: its route is left as it is
	Token    int64          `json:"token,omitempty"` // of the home record that Side was read from
}

func wanted(in []WantedRoute) []routes.Wanted {
	out := make([]routes.Wanted, len(in))
	for i, w := range in {
		out[i] = routes.Wanted(w)
	}
	return out
}

// ReconcileRouteRequest names a customer of a spec, and what is wanted of it and of others. Without
// Wanted the activity reads the customer's home itself, and so must run where the databases are
// reached.
type ReconcileRouteRequest struct {
	Spec     migration.SpecRef `json:"spec"`
	Customer string            `json:"customer"`
	Wanted   []WantedRoute     `json:"wanted,omitempty"`
}

// RouteState is where the routes send a customer.
type RouteState = routes.State

// ReconcileRoute makes the rules of every listener send the wanted customers to their sides, and
// answers for the request's customer. It may run any number of times, at once and late: see
// alb.Router.Reconcile. Where it reads the home itself, it reads it again at the end and follows a
// change.
func (a *Activities) ReconcileRoute(ctx context.Context, req ReconcileRouteRequest) (RouteState, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return RouteState{}, err
	}
	if len(req.Wanted) > 0 {
		return a.reconcile(ctx, spec, req.Customer, wanted(req.Wanted))
	}
	w, err := a.home(ctx, spec, req.Customer)
	for {
		if err != nil {
			return RouteState{}, err
		}
		state, err := a.reconcile(ctx, spec, req.Customer, w)
		if err != nil {
			return RouteState{}, err
		}
		before := w[0]
		if w, err = a.home(ctx, spec, req.Customer); err == nil && w[0].Side == before.Side {
			return state, nil
		}
	}
}

func (a *Activities) reconcile(ctx context.Context, spec *migration.Spec, customer string, w []routes.Wanted) (RouteState, error) {
	states, err := a.router.Reconcile(ctx, spec, w)
	if err != nil {
		return RouteState{}, err
	}
	out := states[customer]
	if customer != "" && out.Home == migration.NoHome {
		return out, permanent.New("NoHome", nil, "route customer %q: its data names no home; its rules were left as they are", customer)
	}
	return out, nil
}

// home reads where one customer is homed.
func (a *Activities) home(ctx context.Context, spec *migration.Spec, customer string) ([]routes.Wanted, error) {
	c, ok := spec.Customer(customer)
	if !ok {
		return nil, permanent.New("NoCustomer", nil, "plan %q has no customer %q", spec.Plan, customer)
	}
	w, err := a.homes.Wanted(ctx, spec, []migration.Customer{c})
	if err != nil {
		return nil, fmt.Errorf("read the home record of customer %q: %w", customer, err)
	}
	if len(w) == 0 {
		w = []routes.Wanted{{Customer: customer}}
	}
	return w, nil
}

// VerifyRoute reads the rules anew, and the home record unless the request says what is wanted, and
// answers an error, to be tried again, while they disagree for the customer. It writes nothing.
func (a *Activities) VerifyRoute(ctx context.Context, req ReconcileRouteRequest) (RouteState, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return RouteState{}, err
	}
	w := wanted(req.Wanted)
	if len(w) == 0 {
		if w, err = a.home(ctx, spec, req.Customer); err != nil {
			return RouteState{}, err
		}
	}
	states, err := a.router.Verify(ctx, spec, w)
	if err != nil {
		return RouteState{}, err
	}
	switch s := states[req.Customer]; {
	case s.Home == migration.NoHome:
		return s, permanent.New("NoHome", nil, "verify the route of customer %q: its data names no home", req.Customer)
	case s.Wrong != "":
		return s, fmt.Errorf("verify the route of customer %q: %s", req.Customer, s.Wrong)
	default:
		return s, nil
	}
}

// VerifyRoutesRequest says what is wanted of customers of a spec.
type VerifyRoutesRequest struct {
	Spec   migration.SpecRef `json:"spec"`
	Wanted []WantedRoute     `json:"wanted"`
}

// VerifyRoutesResult says whose route is not as wanted, and why; nobody in it: all are.
type VerifyRoutesResult struct {
	Wrong map[string]string `json:"wrong,omitempty"`
}

// VerifyRoutes reads each listener's rules once for all wanted customers. It writes nothing.
func (a *Activities) VerifyRoutes(ctx context.Context, req VerifyRoutesRequest) (VerifyRoutesResult, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return VerifyRoutesResult{}, err
	}
	states, err := a.router.Verify(ctx, spec, wanted(req.Wanted))
	out := VerifyRoutesResult{Wrong: map[string]string{}}
	for id, s := range states {
		if s.Wrong != "" {
			out.Wrong[id] = s.Wrong
		}
	}
	return out, err
}

// RestoreRouteRequest names the spec whose routes are restored, and says where all its customers
// are homed. Without Wanted the activity reads that itself.
type RestoreRouteRequest struct {
	Spec   migration.SpecRef `json:"spec"`
	Wanted []WantedRoute     `json:"wanted,omitempty"`
}

// RestoreRouteResult says what was done, and what is not as it was recorded although Drover never
// touched it.
type RestoreRouteResult = routes.Restored

// RestoreRoute takes Drover's rules and target groups off every listener. It refuses while a
// customer is homed on AWS. Run twice it deletes nothing more; cut off, the next run deletes the
// rest.
func (a *Activities) RestoreRoute(ctx context.Context, req RestoreRouteRequest) (RestoreRouteResult, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return RestoreRouteResult{}, err
	}
	w := wanted(req.Wanted)
	if len(w) == 0 {
		if w, err = a.homes.Wanted(ctx, spec, spec.Customers); err != nil {
			return RestoreRouteResult{}, fmt.Errorf("read the home records: %w", err)
		}
	}
	return a.router.Restore(ctx, spec, w)
}
