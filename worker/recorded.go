package worker

import (
	"context"
	"slices"

	"github.com/drover-migration/drover/homes"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/alb"
)

// recorded is a router that reads where customers without a database are homed, and which share of
// their requests goes to AWS, at the moment when it is asked. Whoever asks may have read it long
// ago, and come late.
type recorded struct {
	*alb.Router
	records *homes.Records
}

// Reconcile is the router's.
func (r recorded) Reconcile(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	now, err := r.now(ctx, spec, wanted)
	if err != nil {
		return nil, err
	}
	return r.Router.Reconcile(ctx, spec, now)
}

// Restore is the router's. Nobody else tells it of customers without a database.
func (r recorded) Restore(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (routes.Restored, error) {
	for _, c := range spec.Customers {
		if spec.Stateless(c) {
			wanted = append(wanted, routes.Wanted{Customer: c.ID})
		}
	}
	now, err := r.now(ctx, spec, wanted)
	if err != nil {
		return routes.Restored{}, err
	}
	return r.Router.Restore(ctx, spec, now)
}

// now is what is wanted of customers, with what the home records say of those without a database.
func (r recorded) now(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) ([]routes.Wanted, error) {
	var ids []string
	for _, w := range wanted {
		if c, ok := spec.Customer(w.Customer); ok && spec.Stateless(c) {
			ids = append(ids, c.ID)
		}
	}
	if len(ids) == 0 {
		return wanted, nil
	}
	target, _ := spec.Target(spec.State.Target)
	records, err := r.records.ReadMany(ctx, migration.SpecRef{Plan: spec.Plan, State: spec.State, Target: target}, ids)
	if err != nil {
		return nil, err
	}
	wanted = slices.Clone(wanted)
	for i, w := range wanted {
		if rec, ok := records[w.Customer]; ok {
			h := rec.Homed()
			wanted[i] = routes.Wanted{Customer: w.Customer, Side: h.Side, Token: h.Token, Weight: h.Weight}
		}
	}
	return wanted, nil
}
