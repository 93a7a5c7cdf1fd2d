package alb

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
)

// CheckTargets asks the load balancer about every routed workload's targets on AWS: at least one
// must be healthy, and none unhealthy. Targets that come or go (initial, draining) do not count. It
// only reads. Nothing found: every routed workload serves there.
func (rt *Router) CheckTargets(ctx context.Context, spec *migration.Spec) (out []migration.Finding, err error) {
	seen := map[string]bool{}
	check := func(c ELB, t migration.Target, workloads []string) error {
		for _, name := range workloads {
			if seen[name] {
				continue
			}
			seen[name] = true
			arn, err := rt.group(ctx, c, t, spec.Plan, name, groupFresh)
			if err != nil {
				return err
			}
			why, err := rt.unready(ctx, t, arn)
			if err != nil {
				return err
			}
			if why != "" {
				out = append(out, migration.Finding{
					Severity: migration.Blocker, Check: "targets", Subject: "workload " + name, Reason: why,
					Remedy: "look at the workload's own log on AWS; the batch goes on by itself once its targets are healthy",
				})
			}
		}
		return nil
	}
	if err := rt.eachRoute(ctx, spec, func(l *layout, c ELB) error { return check(c, l.target, l.workloads()) }); err != nil {
		return out, err
	}
	return out, rt.eachGateway(ctx, spec, func(g *gateway, c ELB) error { return check(c, g.target, g.workloads()) })
}

// unready says why a target group cannot take customers.
func (rt *Router) unready(ctx context.Context, t migration.Target, group string) (string, error) {
	if group == "" {
		return "it has no target group on AWS yet", nil
	}
	all, err := rt.TargetHealth(ctx, t, group)
	if err != nil {
		return "", err
	}
	healthy := 0
	for _, h := range all {
		switch h.State {
		case "healthy":
			healthy++
		case "unhealthy":
			return "target " + h.String(), nil
		}
	}
	if healthy == 0 {
		return fmt.Sprintf("none of its %d targets is healthy", len(all)), nil
	}
	return "", nil
}

// GroupOf is the ARN of a workload's target group on AWS; empty: there is none. It only reads. Who
// asks before a Move spares it that: the route, which comes half a minute later at most, knows it.
func (rt *Router) GroupOf(ctx context.Context, t migration.Target, plan, workload string) (string, error) {
	c, err := rt.clients.ELB(ctx, t)
	if err != nil {
		return "", err
	}
	return rt.group(ctx, c, t, plan, workload, groupFresh/2)
}
