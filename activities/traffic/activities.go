package traffic

import (
	"context"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// Specs reads compiled plans.
type Specs interface {
	Spec(ctx context.Context, ref migration.SpecRef) (*migration.Spec, error)
}

// Router routes customers, by whatever kinds of route carry them; routes.Kinds is one.
type Router interface {
	routes.Router
	routes.Preparer
}

// Targets is what stands behind load balancers on AWS; *alb.Router knows it.
type Targets interface {
	CheckTargets(context.Context, *migration.Spec) ([]migration.Finding, error)
	EnsureGroup(ctx context.Context, target migration.Target, plan string, w migration.Workload) (arn string, err error)
	Register(ctx context.Context, target migration.Target, group string, addresses []string, port int) error
	AwaitTargets(ctx context.Context, target migration.Target, group string, want int, say func(string)) error
}

// Activities are the Temporal activities of the route.
type Activities struct {
	specs   Specs
	router  Router
	targets Targets
}

// New builds the activities over a router. None of them reads where a customer is homed: requests
// say what the data said.
func New(specs Specs, router Router, targets Targets) *Activities {
	return &Activities{specs: specs, router: router, targets: targets}
}

// CheckRouteRequest names the spec whose routes are checked.
type CheckRouteRequest struct {
	Spec migration.SpecRef `json:"spec"`
}

// CheckRouteResult is what was found.
type CheckRouteResult struct {
	Findings []migration.Finding `json:"findings,omitempty"`
}

// CheckRoute says what would stop Drover from routing the plan's customers. It writes nothing.
func (a *Activities) CheckRoute(ctx context.Context, req CheckRouteRequest) (CheckRouteResult, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return CheckRouteResult{}, err
	}
	found, err := a.router.Check(ctx, spec)
	return CheckRouteResult{Findings: found}, err
}

// CheckTargetsRequest names the spec whose workloads on AWS are looked at.
type CheckTargetsRequest struct {
	Spec migration.SpecRef `json:"spec"`
}

// CheckTargetsResult is what keeps customers from being sent to AWS; nothing found: every routed
// workload serves there.
type CheckTargetsResult struct {
	Findings []migration.Finding `json:"findings,omitempty"`
}

// CheckTargets asks the load balancer whether every routed workload serves on AWS. It only reads.
func (a *Activities) CheckTargets(ctx context.Context, req CheckTargetsRequest) (CheckTargetsResult, error) {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return CheckTargetsResult{}, err
	}
	found, err := a.targets.CheckTargets(ctx, spec)
	return CheckTargetsResult{Findings: found}, err
}

// RecordRouteRequest names the spec whose routes are recorded.
type RecordRouteRequest struct {
	Spec migration.SpecRef `json:"spec"`
}

// RecordRoute keeps what stands on every listener and in every zone, and attaches the workloads'
// target groups on AWS to their listeners. Run twice, or cut off anywhere, it ends the same: the
// first record stays.
func (a *Activities) RecordRoute(ctx context.Context, req RecordRouteRequest) error {
	spec, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return err
	}
	return a.router.Record(ctx, spec)
}

// EnsureTargetGroupRequest names a workload with an ingress.
type EnsureTargetGroupRequest struct {
	Plan     string             `json:"plan"`
	Target   migration.Target   `json:"target"`
	Workload migration.Workload `json:"workload"`
}

// TargetGroup is a workload's group on AWS.
type TargetGroup struct {
	ARN string `json:"arn"`
}

// EnsureTargetGroup finds or creates the workload's target group. Any number of calls make one.
func (a *Activities) EnsureTargetGroup(ctx context.Context, req EnsureTargetGroupRequest) (TargetGroup, error) {
	arn, err := a.targets.EnsureGroup(ctx, req.Target, req.Plan, req.Workload)
	return TargetGroup{ARN: arn}, err
}

// RegisterTargetsRequest names addresses to add to a group.
type RegisterTargetsRequest struct {
	Target      migration.Target `json:"target"`
	TargetGroup string           `json:"targetGroup"`
	Addresses   []string         `json:"addresses"`
	Port        int              `json:"port"`
}

// RegisterTargets adds addresses to a group and removes none. Adding what is there changes nothing.
func (a *Activities) RegisterTargets(ctx context.Context, req RegisterTargetsRequest) error {
	return a.targets.Register(ctx, req.Target, req.TargetGroup, req.Addresses, req.Port)
}

// AwaitTargetsRequest says how many targets must be healthy.
type AwaitTargetsRequest struct {
	Target      migration.Target `json:"target"`
	TargetGroup string           `json:"targetGroup"`
	Want        int              `json:"want"`
}

// AwaitTargets waits until Want targets are healthy, or none registered is unhealthy and Want is 0.
// It only reads.
func (a *Activities) AwaitTargets(ctx context.Context, req AwaitTargetsRequest) error {
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	return a.targets.AwaitTargets(ctx, req.Target, req.TargetGroup, req.Want, say)
}
