package alb

import (
	"context"

	"github.com/drover-migration/drover/migration"
)

// Survey lists the plan's rules on each listener, and its target groups. It changes nothing.
func (rt *Router) Survey(ctx context.Context, spec *migration.Spec) (out []migration.Thing, err error) {
	seen := map[string]bool{}
	err = rt.eachRoute(ctx, spec, func(l *layout, c ELB) error {
		v, err := rt.standing(ctx, c, l)
		if err != nil {
			return err
		}
		for _, r := range v.own {
			out = append(out, migration.Thing{Kind: "rule", ID: r.arn, Of: "workload " + r.workload, Where: "route " + l.route.Name})
		}
		return rt.surveyGroups(ctx, c, l.target, l.plan, l.workloads(), seen, &out)
	})
	if err != nil {
		return out, err
	}
	return out, rt.eachGateway(ctx, spec, func(g *gateway, c ELB) error {
		v, err := rt.gatewayRules(ctx, c, g)
		if err != nil {
			return err
		}
		for _, r := range v.own {
			out = append(out, migration.Thing{Kind: "rule", ID: r.arn, Of: "workload " + r.workload, Where: "route " + g.route.Name})
		}
		return rt.surveyGroups(ctx, c, g.target, g.plan, g.workloads(), seen, &out)
	})
}

// surveyGroups adds the workloads' groups that are not seen yet.
func (rt *Router) surveyGroups(ctx context.Context, c ELB, t migration.Target, plan string, workloads []string, seen map[string]bool,
	out *[]migration.Thing) error {
	for _, name := range workloads {
		arn, err := rt.findGroup(ctx, c, t, plan, name)
		if err != nil {
			return err
		}
		if arn != "" && !seen[arn] {
			seen[arn] = true
			*out = append(*out, migration.Thing{Kind: "target group", ID: arn, Of: "workload " + name, Where: "target " + t.Name})
		}
	}
	return nil
}
