package health

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// WatchManyRequest asks for one look at customers that soak. Above some hundreds the caller shards.
type WatchManyRequest struct {
	Spec      migration.SpecRef `json:"spec"`
	Customers []Soaking         `json:"customers"`
}

// Soaking is a customer, and where its data says that it is homed.
type Soaking struct {
	Customer string         `json:"customer"`
	Side     migration.Side `json:"side,omitempty"`   // migration.NoHome: its route is left as it is
	Token    int64          `json:"token,omitempty"`  // of the home record that Side was read from
	Weight   int            `json:"weight,omitempty"` // as that record's
}

// WatchManyResult has a verdict for every customer that was asked for.
type WatchManyResult struct {
	Verdicts map[string]migration.Verdict `json:"verdicts"`
	// Routes says of a customer what is wrong with its route; who is not in it is routed as wanted.
	Routes map[string]string `json:"routes,omitempty"`
	// Blind is not empty when this worker reaches nothing: why, in words. No verdict is a fail
	// then.
	Blind string `json:"blind,omitempty"`
}

// lookedAt is what WatchMany heartbeats.
type lookedAt struct {
	Done int `json:"done"`
	Of   int `json:"of"`
}

// WatchMany looks once at many customers: it sends each where it is wanted, in one reconciliation,
// reads the rules once, and asks every customer its probes meanwhile. It can run twice, at once, or
// be cut off anywhere. A route that cannot be read or set is no customer's verdict: it is said in
// Routes, of all.
func (a *Activities) WatchMany(ctx context.Context, req WatchManyRequest) (WatchManyResult, error) {
	say, stop := heartbeat.Saying[lookedAt](ctx)
	defer stop()
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return WatchManyResult{}, err
	}
	slices, wanted, err := soaking(spec, req.Customers)
	if err != nil {
		return WatchManyResult{}, err
	}
	out := WatchManyResult{}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		out.Routes = a.route(gctx, spec, wanted)
		return nil
	})
	g.Go(func() (err error) {
		out.Verdicts, out.Blind, err = a.doctor.Look(gctx, req.Spec.Plan, slices, func(done int) { say(lookedAt{done, len(slices)}) })
		return err
	})
	return out, g.Wait()
}

func soaking(spec *migration.Spec, in []Soaking) (slices []migration.CustomerSlice, wanted []routes.Wanted, err error) {
	for _, s := range in {
		slice, ok := spec.Slice(s.Customer)
		if !ok {
			return nil, nil, permanent.New("NoCustomer", nil, "plan %q has no customer %q", spec.Plan, s.Customer)
		}
		slices = append(slices, slice)
		if len(spec.Routes) > 0 {
			wanted = append(wanted, routes.Wanted(s))
		}
	}
	return slices, wanted, nil
}

// route sends customers where they are wanted and answers what is wrong with whose route.
func (a *Activities) route(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) map[string]string {
	if len(wanted) == 0 {
		return nil
	}
	wrong := map[string]string{}
	_, err := a.router.Reconcile(ctx, spec, wanted)
	states, verr := a.router.Verify(ctx, spec, wanted)
	for _, w := range wanted {
		switch s := states[w.Customer]; {
		case verr != nil:
			wrong[w.Customer] = fmt.Sprintf("its route could not be read: %v", verr)
		case s.Wrong != "" && err != nil:
			wrong[w.Customer] = fmt.Sprintf("%s; it could not be set: %v", s.Wrong, err)
		case s.Wrong != "":
			wrong[w.Customer] = s.Wrong
		}
	}
	return wrong
}
