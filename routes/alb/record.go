package alb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// record is a listener's rules as they stood.
type record struct {
	Listener string       `json:"listener"`
	At       time.Time    `json:"at"`
	Rules    []types.Rule `json:"rules"`
}

func recordKey(l *layout) string {
	return "plans/" + l.plan + "/routes/" + l.route.Name + "/before.json"
}

// Record writes the rules of every listener as they stood to the state bucket, and then attaches
// the workloads' target groups on AWS to it, so that their health is known before a customer
// depends on it. The first record stays: a later one might show what Drover did. Rules of this plan
// are never in it. Run twice, or cut off anywhere, it ends the same.
func (rt *Router) Record(ctx context.Context, spec *migration.Spec) error {
	return rt.eachRoute(ctx, spec, func(l *layout, c ELB) error {
		v, err := rt.standing(ctx, c, l)
		if err != nil {
			return err
		}
		body, err := json.MarshalIndent(record{Listener: l.route.ALB.Listener, At: time.Now().UTC(), Rules: v.others()}, "", " ")
		if err != nil {
			return fmt.Errorf("encode the rules of listener %s: %w", l.route.ALB.Listener, err)
		}
		_, err = rt.bucket.Put(ctx, spec.State, store(spec), recordKey(l), body, "")
		if err != nil && !errors.Is(err, objects.ErrConflict) {
			return err
		}
		return rt.attach(ctx, spec, l)
	})
}

func (rt *Router) attach(ctx context.Context, spec *migration.Spec, l *layout) error {
	for _, name := range slices.Sorted(maps.Keys(l.route.ALB.Workloads)) {
		w, ok := spec.Workload(name)
		if !ok || w.Ingress == nil {
			continue
		}
		if _, err := rt.EnsureGroup(ctx, l.target, spec.Plan, w); err != nil {
			return err
		}
	}
	return rt.anchor(ctx, l)
}

// Restore takes Drover's rules and target groups off every listener and compares what is left with
// what was recorded. wanted says where the customers are homed, all that a route carries: it
// refuses unless that is on premises for each. What others changed since is told and not undone: it
// was not Drover's to change.
//
// Run twice it deletes nothing more; cut off, the next run deletes the rest.
func (rt *Router) Restore(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (out routes.Restored, err error) {
	rt.told.forget(spec.Plan)
	err = rt.eachRoute(ctx, spec, func(l *layout, c ELB) error {
		if err := l.allHome(wanted); err != nil {
			return err
		}
		return rt.passes.alone(ctx, l.lane(), func() error {
			n, differences, err := rt.restore(ctx, spec, l, c)
			out.Deleted += n
			out.Differences = append(out.Differences, differences...)
			return err
		})
	})
	return out, err
}

// restore takes one route's rules and groups off its listener, and answers how many rules it
// deleted and what is left that differs from the record.
func (rt *Router) restore(ctx context.Context, spec *migration.Spec, l *layout, c ELB) (deleted int, differences []string, err error) {
	v, err := rt.standing(ctx, c, l)
	if err != nil {
		return 0, nil, err
	}
	for _, r := range v.own {
		if err := rt.writes.Wait(ctx); err != nil {
			return deleted, nil, err
		}
		if _, err := c.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: &r.arn}); err != nil && !raced(err) {
			return deleted, nil, fmt.Errorf("delete rule %s: %w", r.arn, err)
		}
		deleted++
	}
	if err := rt.dropGroups(ctx, c, l); err != nil {
		return deleted, nil, err
	}
	differences, err = rt.compare(ctx, spec, l, v)
	return deleted, differences, err
}

// dropGroups deletes the workloads' groups on AWS.
func (rt *Router) dropGroups(ctx context.Context, c ELB, l *layout) error {
	for _, k := range l.classes {
		arn, err := rt.findGroup(ctx, c, l.target, l.plan, k.workload)
		if err != nil {
			return err
		}
		if arn == "" {
			continue
		}
		_, err = c.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &arn})
		var used *types.ResourceInUseException
		if err != nil && !errors.As(err, &used) { // in use by another route, which deletes it when it is restored
			return fmt.Errorf("delete target group %s of workload %q: %w", arn, k.workload, err)
		}
		rt.forget(l.target, l.plan, k.workload)
	}
	return nil
}

func (l *layout) allHome(wanted []routes.Wanted) error {
	homes := map[string]migration.Side{}
	for _, w := range wanted {
		homes[w.Customer] = w.Side
	}
	for _, c := range l.customers {
		switch homes[c.ID] {
		case migration.OnPrem:
		case migration.NoHome:
			return permanent.New("NoHome", nil, "customer %q: its data names no home: look with drover doctor before its route is touched",
				c.ID)
		default:
			return permanent.New("NotHome", nil, "customer %q is homed on AWS: its requests would go to the wrong side; roll it back first",
				c.ID)
		}
	}
	return nil
}

// others are the rules that are not Drover's, as ELB gave them.
func (v *view) others() (out []types.Rule) {
	for _, r := range slices.Concat(v.foreign, v.basis) {
		out = append(out, r.raw)
	}
	return out
}

func (rt *Router) compare(ctx context.Context, spec *migration.Spec, l *layout, v *view) (out []string, err error) {
	body, _, err := rt.bucket.Get(ctx, spec.State, store(spec), recordKey(l))
	if errors.Is(err, objects.ErrNotFound) {
		return nil, nil // aborted before anything was recorded, and so before anything was routed
	}
	if err != nil {
		return nil, err
	}
	var before record
	if err := json.Unmarshal(body, &before); err != nil {
		return nil, fmt.Errorf("read the record of route %q: %w", l.route.Name, err)
	}
	now := v.others()
	for _, was := range before.Rules {
		arn := aws.ToString(was.RuleArn)
		i := slices.IndexFunc(now, func(r types.Rule) bool { return aws.ToString(r.RuleArn) == arn })
		switch {
		case i < 0:
			out = append(out, fmt.Sprintf("rule %s (priority %s, %s) was deleted by somebody else", arn, aws.ToString(was.Priority),
				strings.Join(parse(was).hosts, " ")))
		case !sameRule(was, now[i]):
			out = append(out, fmt.Sprintf("rule %s (priority %s) was changed by somebody else", arn, aws.ToString(was.Priority)))
		}
	}
	return out, nil
}

func sameRule(a, b types.Rule) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// store is the target whose account the state bucket is in.
func store(spec *migration.Spec) migration.Target {
	t, _ := spec.Target(spec.State.Target)
	return t
}

func (rt *Router) eachRoute(ctx context.Context, spec *migration.Spec, do func(*layout, ELB) error) error {
	for _, r := range spec.Routes {
		if r.ALB == nil {
			continue
		}
		l := newLayout(spec, r)
		c, err := rt.clients.ELB(ctx, l.target)
		if err != nil {
			return err
		}
		if err := do(l, c); err != nil {
			return fmt.Errorf("route %q: %w", r.Name, err)
		}
	}
	return nil
}
