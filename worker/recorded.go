package worker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/homes"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// recorded is a router that reads where customers without a database are homed, and which share of
// their requests goes to AWS, at the moment when it is asked. Whoever asks may have read it long
// ago, and come late.
type recorded struct {
	traffic.Router
	records *homes.Records
}

// readLimit is how long the others wait for the home records of those without a database.
const readLimit = 10 * time.Second

// Reconcile is the router's. While the home records cannot be read, the routes of those without a
// database are left as they are and the error says so; the others go where they are wanted.
func (r recorded) Reconcile(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	reading, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	now, unread := r.now(reading, spec, wanted)
	if len(now) == 0 {
		return nil, unread
	}
	states, err := r.Router.Reconcile(ctx, spec, now)
	return states, errors.Join(err, unread)
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
// Beside an error it is what is wanted of the others.
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
		others := slices.DeleteFunc(slices.Clone(wanted), func(w routes.Wanted) bool { return slices.Contains(ids, w.Customer) })
		return others, err
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
