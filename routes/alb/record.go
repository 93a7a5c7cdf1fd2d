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
// are never in it. Behind the listeners of routes of other kinds it puts the groups that they lead
// to. Run twice, or cut off anywhere, it ends the same.
func (rt *Router) Record(ctx context.Context, spec *migration.Spec) error {
	if err := rt.eachGateway(ctx, spec, func(g *gateway, c ELB) error { return rt.open(ctx, spec, g, c) }); err != nil {
		return err
	}
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
	rt.told.Forget(spec.Plan)
	err = rt.eachGateway(ctx, spec, func(g *gateway, c ELB) error {
		n, err := rt.shut(ctx, g, c)
		out.Deleted += n
		return err
	})
	if err != nil {
		return out, err
	}
	err = rt.eachRoute(ctx, spec, func(l *layout, c ELB) error {
		if err := routes.AllHome(l.customers, wanted); err != nil {
			return err
		}
		return rt.passes.Alone(ctx, l.lane(), func() error {
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
		if err := rt.deleteRule(ctx, c, r.arn); err != nil {
			return deleted, nil, err
		}
		deleted++
	}
	if err := rt.dropGroups(ctx, c, l.target, l.plan, l.workloads()); err != nil {
		return deleted, nil, err
	}
	differences, err = rt.compare(ctx, spec, l, v)
	return deleted, differences, err
}

// workloads are those that have a class.
func (l *layout) workloads() (out []string) {
	for _, k := range l.classes {
		if !slices.Contains(out, k.workload) {
			out = append(out, k.workload)
		}
	}
	return out
}

// dropGroups deletes the workloads' groups on AWS.
func (rt *Router) dropGroups(ctx context.Context, c ELB, t migration.Target, plan string, workloads []string) error {
	for _, name := range workloads {
		arn, err := rt.findGroup(ctx, c, t, plan, name)
		if err != nil {
			return err
		}
		if arn == "" {
			continue
		}
		_, err = c.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &arn})
		var used *types.ResourceInUseException
		if err != nil && !errors.As(err, &used) { // in use by another route, which deletes it when it is restored
			return fmt.Errorf("delete target group %s of workload %q: %w", arn, name, err)
		}
		rt.forget(t, plan, name)
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
