package traffic

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// WantedRoute says where a customer's requests shall go, as its data said.
type WantedRoute struct {
	Customer string         `json:"customer"`
	Side     migration.Side `json:"side,omitempty"`   // migration.NoHome: its route is left as it is
	Token    int64          `json:"token,omitempty"`  // of the home record that Side was read from
	Weight   int            `json:"weight,omitempty"` // percentage of its requests that go to AWS while it is homed there; 0: all
}

func wanted(in []WantedRoute) []routes.Wanted {
	out := make([]routes.Wanted, len(in))
	for i, w := range in {
		out[i] = routes.Wanted(w)
	}
	return out
}

// ReconcileRouteRequest names a customer of a spec, and what is wanted of it and of others.
type ReconcileRouteRequest struct {
	Spec     migration.SpecRef `json:"spec"`
	Customer string            `json:"customer"`
	Wanted   []WantedRoute     `json:"wanted"`
}

// RouteState is where the routes send a customer.
type RouteState = routes.State

// ReconcileRoute makes the routes send the wanted customers to their sides, and answers for the
// request's customer. It answers an error, to be tried again, while what it read after its last
// write does not send the customer there: a rule that is not Drover's may come first, or somebody
// else have changed a record. It may run any number of times, at once and late: see the Reconcile
// of each Router.
func (a *Activities) ReconcileRoute(ctx context.Context, req ReconcileRouteRequest) (RouteState, error) {
	defer heartbeat.Alive(ctx)()
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return RouteState{}, err
	}
	states, err := a.router.Reconcile(ctx, spec, wanted(req.Wanted))
	if err != nil {
		return RouteState{}, err
	}
	switch s := states[req.Customer]; {
	case req.Customer != "" && s.Home == migration.NoHome:
		return s, permanent.New("NoHome", nil, "route customer %q: its data names no home; its routes were left as they are", req.Customer)
	case s.Wrong != "":
		return s, fmt.Errorf("route customer %q: %s", req.Customer, s.Wrong)
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

// VerifyRoutes looks at each route once for all wanted customers. It writes nothing.
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

// RestoreRouteRequest names the spec whose routes are restored, and says what every dataset's
// fences say of its tenants: dataset -> tenant -> home.
type RestoreRouteRequest struct {
	Spec  migration.SpecRef                    `json:"spec"`
	Homes map[string]map[int64]migration.Homed `json:"homes"`
}

// RestoreRouteResult says what was done, and what is not as it was recorded although Drover never
// touched it.
type RestoreRouteResult = routes.Restored

// RestoreRoute takes what is Drover's off every listener and out of every zone and router. It
// refuses while a customer is homed on AWS, or its home is not known. Run twice it deletes nothing
// more; cut off, the next run deletes the rest.
func (a *Activities) RestoreRoute(ctx context.Context, req RestoreRouteRequest) (RestoreRouteResult, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return RestoreRouteResult{}, err
	}
	return a.router.Restore(ctx, spec, homed(spec, req.Homes))
}

// homed says of every customer what its first database says.
func homed(spec *migration.Spec, homes map[string]map[int64]migration.Homed) (out []routes.Wanted) {
	for _, c := range spec.Customers {
		for _, name := range c.Datasets {
			if d, ok := spec.Dataset(name); ok && d.Postgres != nil {
				h := homes[name][c.Tenant]
				out = append(out, routes.Wanted{Customer: c.ID, Side: h.Side, Token: h.Token})
				break
			}
		}
	}
	return out
}

// SurveyRoutesRequest names a spec.
type SurveyRoutesRequest struct {
	Spec migration.SpecRef `json:"spec"`
}

// SurveyRoutesResult are the plan's rules, target groups and records.
type SurveyRoutesResult struct {
	Things []migration.Thing `json:"things,omitempty"`
}

// SurveyRoutes lists the rules, target groups and records that Drover made for a plan. It changes
// nothing.
func (a *Activities) SurveyRoutes(ctx context.Context, req SurveyRoutesRequest) (SurveyRoutesResult, error) {
	defer heartbeat.Alive(ctx)()
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return SurveyRoutesResult{}, err
	}
	things, err := a.router.Survey(ctx, spec)
	return SurveyRoutesResult{Things: things}, err
}
