package main

import (
	"context"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// router stands in for a load balancer, below the product's own activities.
type router struct{ *below }

// Reconcile sends customers where they are wanted.
func (r router) Reconcile(ctx context.Context, _ *migration.Spec, wanted []routes.Wanted) (out map[string]routes.State, err error) {
	return r.about(ctx, ms(121, 229), "Route", wanted)
}

// Verify reads where they are sent.
func (r router) Verify(ctx context.Context, _ *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	return r.about(ctx, ms(33, 145), "Routed", wanted)
}

func (r router) about(ctx context.Context, t took, method string, wanted []routes.Wanted) (map[string]routes.State, error) {
	var out States
	err := r.call(ctx, t, func() error { return r.ask(method, wanted, &out) })
	return out, err
}

// Check finds nothing in the way.
func (r router) Check(ctx context.Context, _ *migration.Spec) ([]migration.Finding, error) {
	return nil, r.call(ctx, ms(63, 63), nothing)
}

// Prepare finds everybody ready.
func (r router) Prepare(context.Context, *migration.Spec, []string, time.Time) (p routes.Prepared, err error) {
	return p, nil
}

// Settle has nothing to put back.
func (r router) Settle(context.Context, *migration.Spec, []string) error { return nil }

// CheckTargets finds every workload serving.
func (r router) CheckTargets(ctx context.Context, _ *migration.Spec) ([]migration.Finding, error) {
	return nil, r.call(ctx, targets, nothing)
}

// targets is how long the load balancer takes to say what serves behind its groups.
var targets = ms(44, 53)

// Record records nothing.
func (r router) Record(ctx context.Context, _ *migration.Spec) error {
	return r.call(ctx, ms(120, 120), nothing)
}

// Restore restores nothing.
func (r router) Restore(ctx context.Context, _ *migration.Spec, _ []routes.Wanted) (routes.Restored, error) {
	return routes.Restored{}, r.call(ctx, ms(120, 120), nothing)
}

// EnsureGroup finds a workload's group.
func (r router) EnsureGroup(ctx context.Context, _ migration.Target, _ string, w migration.Workload) (string, error) {
	return "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/" + w.Name + "/0123456789abcdef", r.call(ctx, ms(8, 8), nothing)
}

// Register finds the targets registered.
func (r router) Register(ctx context.Context, _ migration.Target, _ string, _ []string, _ int) error {
	return r.call(ctx, ms(36, 36), nothing)
}

// AwaitTargets finds them healthy.
func (r router) AwaitTargets(ctx context.Context, _ migration.Target, _ string, _ int, _ func(string)) error {
	return r.call(ctx, ms(1012, 1012), nothing)
}

// Survey finds nothing: the bench asks for none.
func (r router) Survey(context.Context, *migration.Spec) ([]migration.Thing, error) { return nil, nil }
