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
		for _, k := range l.classes {
			arn, err := rt.findGroup(ctx, c, l.target, l.plan, k.workload)
			if err != nil {
				return err
			}
			if arn != "" && !seen[arn] {
				seen[arn] = true
				out = append(out, migration.Thing{Kind: "target group", ID: arn, Of: "workload " + k.workload,
					Where: "target " + l.target.Name})
			}
		}
		return nil
	})
	return out, err
}
