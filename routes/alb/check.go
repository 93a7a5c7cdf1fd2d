package alb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/drover-migration/drover/migration"
)

// Check reads every listener and says what would stop Drover from routing its customers, or change
// what their requests meet today. It writes nothing.
func (rt *Router) Check(ctx context.Context, spec *migration.Spec) (out []migration.Finding, err error) {
	err = rt.eachRoute(ctx, spec, func(l *layout, c ELB) error {
		ch := &check{rt: rt, c: c, l: l, route: l.route, target: l.target}
		err := ch.run(ctx, spec)
		out = append(out, ch.findings...)
		return err
	})
	if err != nil {
		return out, answered(err)
	}
	err = rt.eachGateway(ctx, spec, func(g *gateway, c ELB) error {
		ch := &check{rt: rt, c: c, route: g.route, target: g.target}
		err := ch.gateway(ctx, g)
		out = append(out, ch.findings...)
		return err
	})
	return out, answered(err)
}

type check struct {
	rt       *Router
	c        ELB
	l        *layout // nil: of a gateway
	route    migration.Route
	target   migration.Target
	findings []migration.Finding
}

func (ch *check) find(s migration.Severity, name, reason, remedy string, args ...any) {
	ch.findings = append(ch.findings, migration.Finding{Severity: s, Check: name, Subject: "route " + ch.route.Name,
		Reason: fmt.Sprintf(reason, args...), Remedy: remedy})
}

func (ch *check) run(ctx context.Context, spec *migration.Spec) error {
	f, ok, err := ch.listener(ctx)
	if err != nil || !ok {
		return err
	}
	if err := ch.groups(ctx, spec, f); err != nil {
		return err
	}
	v, err := ch.rt.standing(ctx, ch.c, ch.l)
	if err != nil {
		return err
	}
	if err := ch.quota(ctx, f, len(v.foreign), ch.needed()); err != nil {
		return err
	}
	ch.priorities(v)
	ch.stickyRules(v)
	return ch.claims(ctx, v)
}

func (ch *check) listener(ctx context.Context) (front, bool, error) {
	arn := ch.route.Listener()
	f, err := ch.rt.front(ctx, ch.target, arn)
	var missing *types.ListenerNotFoundException
	var invalid *types.LoadBalancerNotFoundException
	if errors.As(err, &missing) || errors.As(err, &invalid) {
		ch.find(migration.Blocker, "route-listener", "listener %s does not exist in account %s, region %s",
			"correct the route's listener, or create it", arn, ch.target.Account, ch.target.Region)
		return f, false, nil
	}
	return f, err == nil, err
}

// groups checks the target groups on premises: there, in use by this load balancer, not sticky.
func (ch *check) groups(ctx context.Context, spec *migration.Spec, f front) error {
	for _, name := range slices.Sorted(maps.Keys(ch.l.route.ALB.Workloads)) {
		arn := ch.l.route.ALB.Workloads[name]
		if w, ok := spec.Workload(name); ok && w.Ingress == nil {
			ch.find(migration.Blocker, "route-ingress", "workload %q is on the route and has no ingress", "give it an ingress, or take "+
				"it off the route", name)
		}
		got, err := ch.c.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{arn}})
		var missing *types.TargetGroupNotFoundException
		if errors.As(err, &missing) || err == nil && len(got.TargetGroups) == 0 {
			ch.find(migration.Blocker, "route-onprem-group", "target group %s of workload %q on premises does not exist",
				"create a group of IP targets with the addresses of its machines on premises, or correct the ARN", arn, name)
			continue
		}
		if err != nil {
			return fmt.Errorf("describe target group %s: %w", arn, err)
		}
		if lbs := got.TargetGroups[0].LoadBalancerArns; len(lbs) > 0 && !slices.Contains(lbs, f.lb) {
			ch.find(migration.Blocker, "route-onprem-group", "target group %s of workload %q is attached to another load balancer",
				"make a group for this load balancer; a group serves one", arn, name)
		}
		attrs, err := ch.c.DescribeTargetGroupAttributes(ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: &arn})
		if err != nil {
			return fmt.Errorf("describe the attributes of target group %s: %w", arn, err)
		}
		for _, at := range attrs.Attributes {
			if aws.ToString(at.Key) == "stickiness.enabled" && aws.ToString(at.Value) == "true" {
				ch.find(migration.Blocker, "route-stickiness", "target group %s of workload %q is sticky: clients would stay on the "+
					"side they are on", "turn stickiness off, and let its cookies run out before the first batch", arn, name)
			}
		}
	}
	return nil
}

// quota compares the rules that the route will need beside those of others on its listener with
// what the load balancer may have.
func (ch *check) quota(ctx context.Context, f front, foreign, need int) error {
	limits, err := ch.c.DescribeAccountLimits(ctx, &elb.DescribeAccountLimitsInput{PageSize: aws.Int32(400)})
	if err != nil {
		return fmt.Errorf("read the quotas of load balancers: %w", err)
	}
	limit := 100 // the default
	for _, q := range limits.Limits {
		if aws.ToString(q.Name) == "rules-per-application-load-balancer" {
			if n, err := strconv.Atoi(aws.ToString(q.Max)); err == nil {
				limit = n
			}
		}
	}
	others, err := ch.otherListeners(ctx, f)
	if err != nil {
		return err
	}
	if foreign+others+need > limit {
		ch.find(migration.Blocker, "route-quota", "the load balancer has %d rules of others, %d will be needed for all customers on AWS "+
			"(%d condition values a rule), and its quota is %d",
			"raise the quota of rules per Application Load Balancer, or route through several load balancers", foreign+others, need,
			valuesPerRule, limit)
	}
	return nil
}

// otherListeners counts the rules of the load balancer's other listeners: the quota is the load
// balancer's.
func (ch *check) otherListeners(ctx context.Context, f front) (n int, err error) {
	got, err := ch.c.DescribeListeners(ctx, &elb.DescribeListenersInput{LoadBalancerArn: &f.lb})
	if err != nil {
		return 0, fmt.Errorf("describe the listeners of load balancer %s: %w", f.lb, err)
	}
	for _, x := range got.Listeners {
		if aws.ToString(x.ListenerArn) == ch.route.Listener() {
			continue
		}
		rules, err := ch.rt.rules(ctx, ch.c, aws.ToString(x.ListenerArn))
		if err != nil {
			return 0, err
		}
		n += max(0, len(rules)-1) // default rules do not count
	}
	return n, nil
}

func (ch *check) needed() (n int) {
	for _, k := range ch.l.classes {
		n += ch.l.need(k)
	}
	return n
}

func (ch *check) priorities(v *view) {
	room := maxPriority
	for _, r := range v.foreign {
		room = min(room, r.priority-1)
	}
	if need := ch.needed(); room < need {
		ch.find(migration.Blocker, "route-priorities", "Drover's rules must be asked first: %d priorities are needed below the "+
			"listener's first rule and %d are free",
			"give the listener's rules higher numbers: aws elbv2 set-rule-priorities (it changes their order for nobody)", need, room)
	}
}

func (ch *check) stickyRules(v *view) {
	for _, r := range slices.Concat(v.foreign, v.basis) {
		for _, act := range r.raw.Actions {
			if f := act.ForwardConfig; f != nil && f.TargetGroupStickinessConfig != nil &&
				aws.ToBool(f.TargetGroupStickinessConfig.Enabled) {
				ch.find(migration.Blocker, "route-stickiness", "rule %s keeps clients on the target group they first met",
					"turn the rule's target group stickiness off", r.arn)
			}
		}
	}
}

// claims follows every host of every customer through the rules that stand. What takes a customer's
// requests today must be the workload's group on premises, and nothing that Drover's rules would
// get ahead of may do anything else with them.
func (ch *check) claims(ctx context.Context, v *view) error {
	others, err := ch.otherPlans(ctx, v)
	if err != nil {
		return err
	}
	type complaint struct{ arn, workload string }
	told := map[complaint]bool{}
	for _, k := range ch.l.classes {
		for _, i := range k.users {
			for _, h := range ch.l.customers[i].Hosts {
				if r, ok := ch.claimant(v, k, ch.l.customers[i], strings.ToLower(h)); ok && !told[complaint{r.arn, k.workload}] {
					told[complaint{r.arn, k.workload}] = true
					ch.claimed(r, k, h, others[r.arn])
				}
			}
		}
	}
	return nil
}

// claimant is the first rule that takes the host's requests of a class and does not send them to
// the workload on premises as they are.
func (ch *check) claimant(v *view, k *class, customer migration.Customer, host string) (*rule, bool) {
	onprem := ch.l.route.ALB.Workloads[k.workload]
	rules := slices.SortedFunc(slices.Values(v.foreign), func(a, b *rule) int { return a.priority - b.priority })
	for _, r := range slices.Concat(rules, v.basis) {
		if !r.mayTake(host, k.paths) {
			continue
		}
		if ch.siblings(r, k, customer) {
			continue
		}
		if !forwardsOnlyTo(r.raw.Actions, onprem) || len(r.raw.Transforms) > 0 {
			return r, true
		}
		if !r.partial(k) {
			return nil, false // it takes all of them, to where they belong
		}
	}
	return nil, false
}

// siblings says whether a rule takes only requests that another workload of the route takes on AWS
// too, ahead of this class: its paths are that workload's, and it does nothing else with them than
// forward them to that workload on premises.
func (ch *check) siblings(r *rule, k *class, customer migration.Customer) bool {
	if len(r.paths) == 0 || slices.Equal(r.paths, k.paths) || len(r.raw.Transforms) > 0 {
		return false
	}
	return !slices.ContainsFunc(r.paths, func(p string) bool {
		return !slices.ContainsFunc(ch.l.classes, func(other *class) bool {
			return other.workload != k.workload && slices.Contains(customer.Workloads, other.workload) &&
				forwardsOnlyTo(r.raw.Actions, ch.l.route.ALB.Workloads[other.workload]) &&
				slices.ContainsFunc(other.paths, func(q string) bool { return matches(q, p) })
		})
	})
}

// partial says whether the rule takes only some of the class's requests.
func (r *rule) partial(k *class) bool {
	return r.narrow || len(r.paths) > 0 && !slices.Equal(r.paths, k.paths)
}

func (ch *check) claimed(r *rule, k *class, host, otherPlan string) {
	to := ch.l.route.ALB.Workloads[k.workload]
	switch {
	case otherPlan != "":
		ch.find(migration.Blocker, "route-host-claimed", "rule %s of Drover's plan %q takes requests to %s", "finish or abort that "+
			"plan, or take the customer out of one of the two",
			r.arn, otherPlan, host)
	case aws.ToBool(r.raw.IsDefault):
		ch.find(migration.Blocker, "route-host-unserved", "requests to %s meet the listener's default action, which does not send them "+
			"to workload %q on premises (%s)",
			"give the customer's host a rule that forwards to that target group, or correct the route's onprem group", host, k.workload, to)
	default:
		ch.find(migration.Blocker, "route-host-claimed", "rule %s (priority %d) takes requests to %s of workload %q and %s, where %s "+
			"should get them as they are; Drover's rules would be asked before it",
			"move what the rule does (sign-in, redirect, rewrite, another service) to a workload of the route, or narrow its condition "+
				"to other hosts",
			r.arn, r.priority, host, k.workload, r.does(), to)
	}
}

// does says in words what a rule does with requests.
func (r *rule) does() string {
	var what []string
	for _, t := range r.raw.Transforms {
		switch t.Type {
		case types.TransformTypeEnumUrlRewrite:
			what = append(what, "rewrites their path")
		case types.TransformTypeEnumHostHeaderRewrite:
			what = append(what, "rewrites their host")
		default:
			what = append(what, "changes them ("+string(t.Type)+")")
		}
	}
	for _, a := range r.raw.Actions {
		switch a.Type {
		case types.ActionTypeEnumForward:
		case types.ActionTypeEnumRedirect:
			what = append(what, "redirects them")
		case types.ActionTypeEnumFixedResponse:
			what = append(what, "answers them itself")
		case types.ActionTypeEnumAuthenticateOidc, types.ActionTypeEnumAuthenticateCognito:
			what = append(what, "has clients sign in first")
		default:
			what = append(what, "does something else with them ("+string(a.Type)+")")
		}
	}
	if groups := groupsOf(r.raw.Actions); len(groups) > 0 {
		slices.Sort(groups)
		what = append(what, "forwards them to "+strings.Join(slices.Compact(groups), " and "))
	}
	return strings.Join(what, ", ")
}

// otherPlans are the rules that other plans of Drover made: ARN -> plan.
func (ch *check) otherPlans(ctx context.Context, v *view) (map[string]string, error) {
	arns := make([]string, len(v.foreign))
	for i, r := range v.foreign {
		arns[i] = r.arn
	}
	tags, err := ch.rt.tags(ctx, ch.c, arns)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for arn, t := range tags {
		if t[tagPlan] != "" {
			out[arn] = t[tagPlan]
		}
	}
	return out, nil
}
