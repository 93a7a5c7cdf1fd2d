package health

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	engine "github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// Activities are the Temporal activities of health, which ask the load balancer, or through it; a
// freeze asks machines by itself. All of them but WatchMany only read, and heartbeat beside
// the probing, which may take as long as the plan allows a probe.
type Activities struct {
	doctor *engine.Doctor
	specs  Specs
	router Router
}

// Specs reads compiled plans.
type Specs interface {
	Spec(ctx context.Context, ref migration.SpecRef) (*migration.Spec, error)
}

// Router keeps customers' routes where they are wanted.
type Router interface {
	Reconcile(context.Context, *migration.Spec, []routes.Wanted) (map[string]routes.State, error)
	Verify(context.Context, *migration.Spec, []routes.Wanted) (map[string]routes.State, error)
}

// New builds the activities.
func New(doctor *engine.Doctor, specs Specs, router Router) *Activities {
	return &Activities{doctor: doctor, specs: specs, router: router}
}

// DestinationRequest asks what serves a customer on a side.
type DestinationRequest struct {
	Plan  string                  `json:"plan"`
	Slice migration.CustomerSlice `json:"slice"`
	Side  migration.Side          `json:"side"`
}

// Machines of a workload, as the load balancer knows them.
type Machines = engine.Machines

// FindMachines asks the load balancer what serves a customer on a side: a freeze begins by asking
// those machines.
func (a *Activities) FindMachines(ctx context.Context, req DestinationRequest) ([]Machines, error) {
	return a.doctor.FindMachines(ctx, req.Plan, req.Slice, req.Side)
}

// CheckRequest asks machines whether they serve a customer.
type CheckRequest struct {
	DestinationRequest
	Machines []Machines `json:"machines"` // as FindMachines answered
}

// CheckDestination asks every machine of a customer's workloads on a side, as a freeze does, for
// one that is not frozen. It answers a blocker for each thing that is not well there. It writes
// what write probes say, and takes that away again: run twice, it leaves nothing.
func (a *Activities) CheckDestination(ctx context.Context, req CheckRequest) ([]migration.Finding, error) {
	defer heartbeat.Alive(ctx)()
	return a.doctor.CheckDestination(ctx, req.Slice, req.Side, req.Machines)
}

// WatchRequest asks for a customer's health through its route.
type WatchRequest struct {
	Plan     string                  `json:"plan"`
	Slice    migration.CustomerSlice `json:"slice"`
	For      migration.Duration      `json:"for"`
	Compare  bool                    `json:"compare,omitempty"`  // what the plan compares needs a baseline, or the verdict is inconclusive
	Baseline *Baseline               `json:"baseline,omitempty"` // nil: there is none
	Share    int                     `json:"share,omitempty"`    // percentage of its requests that go to AWS; 0: all
}

// Baseline is a customer's own numbers, before its fence.
type Baseline = engine.Baseline

// RequestsRequest asks how many requests of a customer's users failed, or were retried, over a
// time.
type RequestsRequest struct {
	Plan  string                  `json:"plan"`
	Slice migration.CustomerSlice `json:"slice"`
	Side  migration.Side          `json:"side"` // where it has moved to
	From  time.Time               `json:"from"`
	To    time.Time               `json:"to"`
}

// RequestsResult has a number, or why there is none, of each that the plan names a query for.
type RequestsResult struct {
	Failed  *migration.Count `json:"failed,omitempty"`
	Retried *migration.Count `json:"retried,omitempty"`
}

// CountRequests asks who counts a customer's requests. That they do not answer is no error: it is
// said in place of the number.
func (a *Activities) CountRequests(ctx context.Context, req RequestsRequest) (out RequestsResult, err error) {
	out.Failed, out.Retried = a.doctor.CountRequests(ctx, engine.RequestsQuestion(req))
	return out, ctx.Err()
}

// CheckRequests asks each query that counts requests once. It answers a warning for each without a
// number.
func (a *Activities) CheckRequests(ctx context.Context, ref migration.SpecRef) ([]migration.Finding, error) {
	spec, err := a.specs.Spec(ctx, ref)
	if err != nil {
		return nil, err
	}
	return a.doctor.CheckRequests(ctx, spec), ctx.Err()
}

// MeasureBaseline takes as many samples through the route as the comparison wants, or as many as it
// has the time for. Run twice, the later numbers count.
func (a *Activities) MeasureBaseline(ctx context.Context, req WatchRequest) (Baseline, error) {
	say, stop := heartbeat.Saying[int](ctx)
	defer stop()
	return a.doctor.MeasureBaseline(ctx, engine.Question(req), say)
}

// WatchHealth probes a customer through its route for a while. Cut off and run again it watches
// anew, for the full time. Cancelled it answers temporal.CanceledError, whose details are the
// verdict by then.
func (a *Activities) WatchHealth(ctx context.Context, req WatchRequest) (migration.Verdict, error) {
	say, stop := heartbeat.Saying[int](ctx)
	defer stop()
	v, err := a.doctor.Watch(ctx, engine.Question(req), say)
	if errors.Is(err, context.Canceled) {
		return migration.Verdict{}, temporal.NewCanceledError(v)
	}
	return v, err
}
