package alb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// rounds bounds how often a pass looks again while others write. Losing this often means that somebody undoes our writes.
const rounds = 12

// view is what a pass saw last: homes, and rules that agree with them.
type view struct {
	homes   map[string]migration.Side
	own     []*rule
	foreign []types.Rule // without the default rule
	basis   []types.Rule // the default rule
}

// rulesOf are the rules that name one of the hosts.
func (v *view) rulesOf(hosts []string) (out []string) {
	for _, r := range v.own {
		if slices.ContainsFunc(hosts, func(h string) bool { return r.has(strings.ToLower(h)) }) {
			out = append(out, r.arn)
		}
	}
	return out
}

// Reconcile makes the rules of every listener that carries the customer say what the home records say, for all customers of that
// listener.
//
// Twice, it finds nothing to do. Cut off after its writes, the rules are right already; cut off between them, or a zombie that
// writes from an old reading, the next reconcile heals it: it takes no side as an argument, so it cannot be told a wrong one. Calls
// that arrive while a pass runs share the next one.
func (rt *Router) Reconcile(ctx context.Context, spec *migration.Spec, customer string) (routes.State, error) {
	out := routes.State{Customer: customer}
	c, ls, err := carried(spec, customer)
	if err != nil {
		return out, err
	}
	for _, l := range ls {
		key := fmt.Sprintf("%s %d %s", spec.Plan, spec.Revision, l.route.Name)
		v, err := rt.passes.do(ctx, key, func(ctx context.Context) (*view, error) { return rt.reconcile(ctx, spec, l) })
		if err != nil {
			return out, fmt.Errorf("reconcile route %q: %w", l.route.Name, err)
		}
		if out.Home = v.homes[customer]; out.Home == "" {
			return out, permanent.New("NoHome", nil, "reconcile route %q: the data of customer %q names no home; its rules were left as they are",
				l.route.Name, customer)
		}
		out.Rules = append(out.Rules, v.rulesOf(c.Hosts)...)
	}
	return out, nil
}

// carried finds a customer and the routes that carry it.
func carried(spec *migration.Spec, customer string) (migration.Customer, []*layout, error) {
	c, ok := spec.Customer(customer)
	if !ok {
		return c, nil, permanent.New("NoCustomer", nil, "plan %q has no customer %q", spec.Plan, customer)
	}
	ls := layoutsOf(spec, c)
	if len(ls) == 0 {
		return c, nil, permanent.New("NoRoute", nil,
			"no route of plan %q carries a workload of customer %q; add one of its workloads to a route", spec.Plan, c.ID)
	}
	return c, ls, nil
}

// layoutsOf are the routes that carry a workload of the customer.
func layoutsOf(spec *migration.Spec, c migration.Customer) (out []*layout) {
	for _, r := range spec.Routes {
		if r.ALB == nil {
			continue
		}
		if l := newLayout(spec, r); slices.ContainsFunc(l.customers, func(x migration.Customer) bool { return x.ID == c.ID }) {
			out = append(out, l)
		}
	}
	return out
}

// reconcile looks and writes until what it reads needs no write. The last look is after its last write, of homes and rules both: if
// a home changed in between, the rules are made to follow.
func (rt *Router) reconcile(ctx context.Context, spec *migration.Spec, l *layout) (*view, error) {
	return rt.settle(ctx, l, func(c ELB) (*view, error) { return rt.look(ctx, c, spec, l) })
}

// anchor makes the rules that attach the workloads' groups to the load balancer. It knows no home, and so moves no customer.
func (rt *Router) anchor(ctx context.Context, l *layout) error {
	_, err := rt.settle(ctx, l, func(c ELB) (*view, error) { return rt.standing(ctx, c, l) })
	return err
}

func (rt *Router) settle(ctx context.Context, l *layout, look func(ELB) (*view, error)) (*view, error) {
	c, err := rt.clients.ELB(ctx, l.target)
	if err != nil {
		return nil, err
	}
	for range rounds {
		v, err := look(c)
		if err != nil {
			return nil, err
		}
		groups, err := rt.groupsOf(ctx, c, l, v.homes)
		if err != nil {
			return nil, err
		}
		changes, fresh := l.diff(v.homes, v.own, groups)
		if len(changes) == 0 {
			return v, nil
		}
		if err := rt.apply(ctx, c, l, v, changes, fresh); err != nil && !raced(err) {
			return nil, explain(err)
		}
	}
	return nil, fmt.Errorf("listener %s: the rules were changed by somebody else %d times in a row; find out who writes to rules tagged %s=%s", l.route.ALB.Listener, rounds, tagPlan, l.plan)
}

// look reads the homes and the rules at the same time.
func (rt *Router) look(ctx context.Context, c ELB, spec *migration.Spec, l *layout) (*view, error) {
	v := &view{}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if v.homes, err = rt.homes.Homes(ctx, spec, l.customers); err != nil {
			return fmt.Errorf("read the home records: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		rules, err := rt.rules(ctx, c, l.route.ALB.Listener)
		if err != nil {
			return err
		}
		return rt.sort(ctx, c, l, rules, v)
	})
	return v, g.Wait()
}

func (rt *Router) rules(ctx context.Context, c ELB, listener string) (out []types.Rule, err error) {
	in := &elb.DescribeRulesInput{ListenerArn: &listener, PageSize: aws.Int32(400)}
	for {
		if err := rt.reads.Wait(ctx); err != nil {
			return nil, err
		}
		page, err := c.DescribeRules(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("describe the rules of listener %s: %w", listener, err)
		}
		out = append(out, page.Rules...)
		if aws.ToString(page.NextMarker) == "" {
			return out, nil
		}
		in.Marker = page.NextMarker
	}
}

// sort tells the plan's rules from all others. Only a rule that forwards to several groups can be Drover's, and one that was
// found to be stays it, so that in the steady state no tags are read.
func (rt *Router) sort(ctx context.Context, c ELB, l *layout, rules []types.Rule, v *view) error {
	var unknown []string
	rt.facts.mu.Lock()
	for _, r := range rules {
		if _, ok := rt.facts.owned[aws.ToString(r.RuleArn)]; !ok && len(groupsOf(r.Actions)) > 1 {
			unknown = append(unknown, aws.ToString(r.RuleArn))
		}
	}
	rt.facts.mu.Unlock()
	tags, err := rt.tags(ctx, c, unknown)
	if err != nil {
		return err
	}
	rt.facts.mu.Lock()
	defer rt.facts.mu.Unlock()
	for arn, t := range tags {
		if t[tagPlan] != "" {
			rt.facts.owned[arn] = ownership{t[tagPlan], t[tagRoute], t[tagWorkload]}
		}
	}
	for _, raw := range rules {
		own := rt.facts.owned[aws.ToString(raw.RuleArn)]
		switch {
		case aws.ToBool(raw.IsDefault) || aws.ToString(raw.Priority) == "default":
			v.basis = append(v.basis, raw)
		case own.plan == l.plan && own.route == l.route.Name:
			r := parse(raw)
			r.workload = own.workload
			v.own = append(v.own, r)
		default:
			v.foreign = append(v.foreign, raw)
		}
	}
	slices.SortFunc(v.own, func(x, y *rule) int { return x.priority - y.priority })
	return nil
}

// groupsOf finds the groups on AWS. A workload may have none yet only as long as no customer needs it.
func (rt *Router) groupsOf(ctx context.Context, c ELB, l *layout, homes map[string]migration.Side) (map[string]string, error) {
	out := map[string]string{}
	for _, k := range l.classes {
		if out[k.workload] != "" {
			continue
		}
		arn, err := rt.group(ctx, c, l.target, l.plan, k.workload)
		if err != nil {
			return nil, err
		}
		if arn == "" && slices.ContainsFunc(k.users, func(i int) bool { return homes[l.customers[i].ID] == migration.AWS }) {
			return nil, fmt.Errorf("workload %q has no target group on AWS yet, but customers are homed there; provision the workload", k.workload)
		}
		out[k.workload] = arn
	}
	return out, nil
}

// apply writes changes, all at once: no two touch the same rule. Of several errors one that is no race is answered.
func (rt *Router) apply(ctx context.Context, c ELB, l *layout, v *view, changes []change, fresh map[*class]int) error {
	foreign := map[int]bool{}
	for _, r := range v.foreign {
		if p, err := strconv.Atoi(aws.ToString(r.Priority)); err == nil {
			foreign[p] = true
		}
	}
	if !l.place(changes, v.own, foreign) {
		return rt.respread(ctx, c, l, v, fresh, foreign)
	}
	errs := make([]error, len(changes))
	var g errgroup.Group
	g.SetLimit(8)
	for i, ch := range changes {
		g.Go(func() error { errs[i] = rt.write(ctx, c, l, ch); return nil })
	}
	_ = g.Wait()
	var race error
	for _, err := range errs {
		switch {
		case err == nil:
		case raced(err):
			race = err
		default:
			return err
		}
	}
	return race
}

func (rt *Router) write(ctx context.Context, c ELB, l *layout, ch change) error {
	if err := rt.writes.Wait(ctx); err != nil {
		return err
	}
	rest := l.route.ALB.Workloads[ch.workload]
	switch {
	case len(ch.hosts) == 0:
		if _, err := c.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: &ch.arn}); err != nil {
			return fmt.Errorf("delete the empty rule %s: %w", ch.arn, err)
		}
	case ch.arn != "":
		if _, err := c.ModifyRule(ctx, &elb.ModifyRuleInput{RuleArn: &ch.arn, Conditions: conditions(ch.hosts, ch.class.paths), Actions: forward(ch.group, rest)}); err != nil {
			return fmt.Errorf("set the hosts of rule %s: %w", ch.arn, err)
		}
	default:
		return rt.create(ctx, c, l, ch, rest)
	}
	return nil
}

// create makes a rule with its tags in one call. Two writers choose the same priority for the same hosts, and a priority exists
// once: the second fails, looks again and finds it done.
func (rt *Router) create(ctx context.Context, c ELB, l *layout, ch change, rest string) error {
	out, err := c.CreateRule(ctx, &elb.CreateRuleInput{
		ListenerArn: &l.route.ALB.Listener,
		Priority:    aws.Int32(int32(ch.priority)), //nolint:gosec // at most 50000
		Conditions:  conditions(ch.hosts, ch.class.paths),
		Actions:     forward(ch.group, rest),
		Tags:        tagList(l.target.Tags, map[string]string{tagPlan: l.plan, tagRoute: l.route.Name, tagWorkload: ch.workload}),
	})
	if err != nil {
		return fmt.Errorf("create a rule for workload %q at priority %d of listener %s: %w", ch.workload, ch.priority, l.route.ALB.Listener, err)
	}
	rt.facts.mu.Lock()
	defer rt.facts.mu.Unlock()
	for _, r := range out.Rules {
		rt.facts.owned[aws.ToString(r.RuleArn)] = ownership{l.plan, l.route.Name, ch.workload}
	}
	return nil
}

// respread moves Drover's own rules, in one call that ELB applies as a whole, so that the next round finds room.
func (rt *Router) respread(ctx context.Context, c ELB, l *layout, v *view, fresh map[*class]int, foreign map[int]bool) error {
	priorities := l.respread(v.own, fresh, foreign)
	if len(priorities) == 0 {
		return fmt.Errorf("listener %s has too few free priorities below its first rule for the rules of route %q; give the listener's rules higher numbers (aws elbv2 set-rule-priorities)", l.route.ALB.Listener, l.route.Name)
	}
	in := &elb.SetRulePrioritiesInput{}
	for _, r := range v.own {
		if p, ok := priorities[r.arn]; ok {
			in.RulePriorities = append(in.RulePriorities, types.RulePriorityPair{RuleArn: aws.String(r.arn), Priority: aws.Int32(int32(p))}) //nolint:gosec // at most 50000
		}
	}
	if err := rt.writes.Wait(ctx); err != nil {
		return err
	}
	if _, err := c.SetRulePriorities(ctx, in); err != nil {
		return fmt.Errorf("move Drover's %d rules of listener %s together: %w", len(in.RulePriorities), l.route.ALB.Listener, err)
	}
	return nil
}

// tagList is the target's own tags and Drover's, which win.
func tagList(target, own map[string]string) (out []types.Tag) {
	all := map[string]string{}
	maps.Copy(all, target)
	maps.Copy(all, own)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(all[k])})
	}
	return out
}
