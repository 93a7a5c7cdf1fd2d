package alb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/drover-migration/drover/migration"
)

// gateway is the listener on AWS of a route of another kind. Whatever that route sends there for a
// host below the customers' domains goes to the workloads' groups: who is homed where is not asked.
type gateway struct {
	plan     string
	route    migration.Route
	target   migration.Target
	hosts    []string  // of the customers, lower case
	passages []passage // in the order in which their rules must be asked
}

// passage is one rule of a gateway.
type passage struct {
	workload string
	band     int      // which of the gateway's bands of priorities it lies in: those of specific paths are asked first
	paths    []string // sorted; empty: every path
	hosts    []string // patterns, sorted
}

// is says whether a rule that stands is the passage's.
func (p passage) is(r *rule) bool {
	return r.workload == p.workload && slices.Equal(r.paths, p.paths) && slices.Equal(r.hosts, p.hosts) && !r.narrow && len(r.hostRE) == 0
}

// bandWidth is how many priorities a band of a gateway has. The bands lie at the end of the range,
// so that whatever others have on the listener is asked first.
const bandWidth = 100

func newGateway(spec *migration.Spec, route migration.Route) *gateway {
	g := &gateway{plan: spec.Plan, route: route}
	g.target, _ = spec.Target(route.Target())
	for _, c := range spec.Customers {
		if spec.Carries(route.Name, c) {
			for _, h := range c.Hosts {
				g.hosts = append(g.hosts, strings.ToLower(h))
			}
		}
	}
	patterns := migration.HostPatterns(g.hosts)
	var classes []passage
	for _, name := range route.Workloads() {
		if w, ok := spec.Workload(name); ok && w.Ingress != nil {
			for _, paths := range chunkPaths(w.Ingress.Paths) {
				classes = append(classes, passage{workload: name, paths: paths})
			}
		}
	}
	slices.SortStableFunc(classes, func(a, b passage) int { return specificity(b.paths) - specificity(a.paths) })
	for i, p := range classes {
		for hosts := range slices.Chunk(patterns, valuesPerRule-len(p.paths)) {
			p.band, p.hosts = len(classes)-i, hosts
			g.passages = append(g.passages, p)
		}
	}
	return g
}

// eachGateway calls do for the listener of each route of another kind.
func (rt *Router) eachGateway(ctx context.Context, spec *migration.Spec, do func(*gateway, ELB) error) error {
	for _, r := range spec.Routes {
		if r.ALB != nil || r.Listener() == "" {
			continue
		}
		g := newGateway(spec, r)
		c, err := rt.clients.ELB(ctx, g.target)
		if err != nil {
			return err
		}
		if err := do(g, c); err != nil {
			return fmt.Errorf("route %q: %w", r.Name, err)
		}
	}
	return nil
}

// open puts the workloads' groups behind the listener. Of two workers that do so at once both end
// with the same rules.
func (rt *Router) open(ctx context.Context, spec *migration.Spec, g *gateway, c ELB) error {
	groups := map[string]string{}
	for _, name := range g.route.Workloads() {
		w, ok := spec.Workload(name)
		if !ok || w.Ingress == nil {
			continue
		}
		arn, err := rt.EnsureGroup(ctx, g.target, spec.Plan, w)
		if err != nil {
			return err
		}
		groups[name] = arn
	}
	for range rounds {
		v, err := rt.gatewayRules(ctx, c, g)
		if err != nil {
			return err
		}
		done, err := rt.openMore(ctx, g, c, v, groups)
		if err != nil && !raced(err) {
			return explain(err)
		}
		if done && err == nil {
			return nil
		}
	}
	return fmt.Errorf("listener %s: the rules were changed by somebody else %d times in a row; find out who writes to rules tagged %s=%s",
		g.route.Listener(), rounds, tagPlan, g.plan)
}

// openMore writes what the rules lack, and says whether that was nothing.
func (rt *Router) openMore(ctx context.Context, g *gateway, c ELB, v *view, groups map[string]string) (done bool, err error) {
	taken := map[int]bool{}
	for _, r := range slices.Concat(v.own, v.foreign) {
		taken[r.priority] = true
	}
	done = true
	for _, p := range g.passages {
		at := slices.IndexFunc(v.own, p.is)
		if at >= 0 && !v.own[at].odd && forwardsOnlyTo(v.own[at].raw.Actions, groups[p.workload]) {
			continue
		}
		done = false
		if err := rt.writes.Wait(ctx); err != nil {
			return false, err
		}
		actions := []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: aws.String(groups[p.workload])}}
		if at >= 0 {
			in := &elb.ModifyRuleInput{RuleArn: &v.own[at].arn, Conditions: conditions(p.hosts, p.paths), Actions: actions}
			if len(v.own[at].raw.Transforms) > 0 {
				in.ResetTransforms = aws.Bool(true)
			}
			if _, err := c.ModifyRule(ctx, in); err != nil {
				return false, fmt.Errorf("set the group of rule %s: %w", v.own[at].arn, err)
			}
			continue
		}
		priority := p.priority(taken)
		if priority == 0 {
			return false, fmt.Errorf("listener %s has no free priority from %d to %d for the rules of route %q; give the "+
				"listener's own rules lower numbers (aws elbv2 set-rule-priorities)", g.route.Listener(), p.first(),
				p.first()+bandWidth-1, g.route.Name)
		}
		taken[priority] = true
		if err := rt.createPassage(ctx, g, c, p, priority, actions); err != nil {
			return false, err
		}
	}
	for _, r := range v.own {
		if slices.ContainsFunc(g.passages, func(p passage) bool { return p.is(r) }) {
			continue
		}
		done = false
		if err := rt.deleteRule(ctx, c, r.arn); err != nil {
			return false, err
		}
	}
	return done, nil
}

// priority is a free one of the passage's band; 0: there is none.
func (p passage) priority(taken map[int]bool) int {
	return free(p.first(), p.first()+bandWidth, taken)
}

// first is the lowest priority of the passage's band.
func (p passage) first() int { return maxPriority - p.band*bandWidth + 1 }

func (rt *Router) createPassage(ctx context.Context, g *gateway, c ELB, p passage, priority int, actions []types.Action) error {
	listener := g.route.Listener()
	_, err := c.CreateRule(ctx, &elb.CreateRuleInput{
		ListenerArn: &listener, Priority: aws.Int32(int32(priority)), //nolint:gosec // at most 50000
		Conditions: conditions(p.hosts, p.paths), Actions: actions,
		Tags: tagList(g.target.Tags, map[string]string{tagPlan: g.plan, tagRoute: g.route.Name, tagWorkload: p.workload}),
	})
	if err != nil {
		return fmt.Errorf("create a rule for workload %q at priority %d of listener %s: %w", p.workload, priority, listener, err)
	}
	return nil
}

func (rt *Router) deleteRule(ctx context.Context, c ELB, arn string) error {
	if err := rt.writes.Wait(ctx); err != nil {
		return err
	}
	if _, err := c.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: &arn}); err != nil && !raced(err) {
		return fmt.Errorf("delete rule %s: %w", arn, err)
	}
	return nil
}

// gatewayRules reads the listener's rules, and tells the route's from all others by their tags.
func (rt *Router) gatewayRules(ctx context.Context, c ELB, g *gateway) (*view, error) {
	all, err := rt.rules(ctx, c, g.route.Listener())
	if err != nil {
		return nil, err
	}
	v := &view{}
	var arns []string
	for _, raw := range all {
		if !isDefault(raw) {
			arns = append(arns, aws.ToString(raw.RuleArn))
		}
	}
	tags, err := rt.tags(ctx, c, arns)
	if err != nil {
		return nil, err
	}
	for _, raw := range all {
		switch t := tags[aws.ToString(raw.RuleArn)]; {
		case isDefault(raw):
			v.basis = append(v.basis, parse(raw))
		case t[tagPlan] == g.plan && t[tagRoute] == g.route.Name:
			r := parse(raw)
			r.workload = t[tagWorkload]
			slices.Sort(r.hosts)
			v.own = append(v.own, r)
		default:
			v.foreign = append(v.foreign, parse(raw))
		}
	}
	return v, nil
}

func isDefault(r types.Rule) bool {
	return aws.ToBool(r.IsDefault) || aws.ToString(r.Priority) == "default"
}

// shut takes the route's rules off the listener, and deletes the workloads' groups. It answers how
// many rules it deleted. Run twice it deletes nothing more.
func (rt *Router) shut(ctx context.Context, g *gateway, c ELB) (deleted int, err error) {
	v, err := rt.gatewayRules(ctx, c, g)
	if err != nil {
		return 0, err
	}
	for _, r := range v.own {
		if err := rt.deleteRule(ctx, c, r.arn); err != nil {
			return deleted, err
		}
		deleted++
	}
	return deleted, rt.dropGroups(ctx, c, g.target, g.plan, g.workloads())
}

// workloads are those that have a passage.
func (g *gateway) workloads() (out []string) {
	for _, p := range g.passages {
		if !slices.Contains(out, p.workload) {
			out = append(out, p.workload)
		}
	}
	return out
}

// Named is how a listener's load balancer is called in DNS, and the hosted zone that an alias of
// that name is in.
func (rt *Router) Named(ctx context.Context, t migration.Target, listener string) (name, zone string, err error) {
	f, err := rt.front(ctx, t, listener)
	return f.host, f.zone, err
}

// gateway checks the listener on AWS of a route of another kind: it must be there, have room for
// the rules, and give them all requests of the customers.
func (ch *check) gateway(ctx context.Context, g *gateway) error {
	f, ok, err := ch.listener(ctx)
	if err != nil || !ok {
		return err
	}
	v, err := ch.rt.gatewayRules(ctx, ch.c, g)
	if err != nil {
		return err
	}
	if err := ch.quota(ctx, f, len(v.foreign), len(g.passages)); err != nil {
		return err
	}
	told := map[string]bool{}
	for _, p := range g.passages {
		for _, r := range v.foreign {
			takes := func(h string) bool { return r.mayTake(h, p.paths) }
			if i := slices.IndexFunc(g.hosts, takes); i >= 0 && !told[r.arn] && r.priority < p.first()+bandWidth {
				told[r.arn] = true
				ch.find(migration.Blocker, "route-host-claimed", "rule %s (priority %d) of the listener on AWS takes requests to %s of "+
					"workload %q and %s; it may be asked before Drover's",
					"take the rule away, or narrow its condition to other hosts", r.arn, r.priority, g.hosts[i], p.workload, r.does())
			}
		}
	}
	return nil
}
