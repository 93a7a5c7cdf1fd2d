package alb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// rounds bounds how often a pass looks again while others write. Losing this often means that
// somebody undoes our writes.
const rounds = 12

// echoAfter is how long after its last write a pass looks once more. Another process that had read
// the rules before that write may have written them as it knew them, and ELB keeps what is written
// last.
const echoAfter = 3 * time.Second

// recently is how old a look may be that a pass goes by for its first writes: where customers
// follow each other, a route is set without a look before it. It is far below echoAfter, so that
// what two processes overwrite of each other's is healed by the echo all the same.
const recently = time.Second

// view is what a pass saw last, and what it was for.
type view struct {
	homes   map[string]routes.Wanted // of the customers that somebody wants something of; others stay
	own     []*rule
	foreign []*rule           // without the default rule
	basis   []*rule           // the default rule
	groups  map[string]string // workload -> its target group on AWS
	wrote   bool              // the pass has written
	set     time.Time         // when its last write was acknowledged, or it was seen that none is needed
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

// state is what a view says of a customer.
func (v *view) state(l *layout, c migration.Customer) routes.State {
	home := v.homes[c.ID]
	s := routes.State{Customer: c.ID, Home: home.Side, Share: home.Share(), Rules: v.rulesOf(c.Hosts), Set: v.set}
	if err := v.agrees(l, c); err != nil {
		s.Wrong = fmt.Sprintf("route %q: %v", l.route.Name, err)
	}
	return s
}

// Reconcile makes the rules of every listener that carries one of the wanted customers send it to
// its side, and answers where each is sent now, as the last look at the rules said. A customer
// without a side, or that is not among wanted, is left as it is.
//
// Twice, it finds nothing to do. Cut off after its writes, the rules are right already; cut off
// between them, the next call does the rest. What comes late with an older token than this process
// was told in the last half minute does not count. Calls that arrive while a pass runs share the
// next one.
//
// Two processes that change one rule at the same time overwrite each other's hosts. Each looks
// again after its last write, and once more seconds later, when whatever the other had read before
// is written.
func (rt *Router) Reconcile(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	ls, err := carriers(spec, wanted)
	if err != nil {
		return nil, err
	}
	rt.told.Hear(spec.Plan, wanted)
	out := map[string]routes.State{}
	for _, l := range ls {
		v, err := rt.pass(ctx, l, wanted)
		if err != nil {
			return nil, fmt.Errorf("reconcile route %q: %w", l.route.Name, err)
		}
		if v.wrote {
			rt.echo(ctx, l, wanted)
		}
		l.each(wanted, func(c migration.Customer) { out[c.ID] = routes.Merge(out[c.ID], v.state(l, c)) })
	}
	return out, nil
}

func (rt *Router) pass(ctx context.Context, l *layout, wanted []routes.Wanted) (*view, error) {
	return rt.passes.Do(ctx, l.lane(), wanted, func(ctx context.Context, all map[string]routes.Wanted) (*view, error) {
		return rt.settle(ctx, l, func() map[string]routes.Wanted { return rt.told.Newest(l.plan, all) })
	})
}

// lane names the passes that may share work and never run beside each other.
func (l *layout) lane() string { return fmt.Sprintf("%s %d %s", l.plan, l.revision, l.route.Name) }

// echo has one more pass a little later, which finds nothing wanted once the routes were restored.
// It ends there: two processes that were told different things would else undo each other's writes
// for ever, and the echo of the one told last comes last.
func (rt *Router) echo(ctx context.Context, l *layout, wanted []routes.Wanted) {
	ctx = context.WithoutCancel(ctx)
	time.AfterFunc(echoAfter, func() {
		ctx, cancel := context.WithTimeout(ctx, routes.PassLimit)
		defer cancel()
		_, _ = rt.pass(ctx, l, wanted) // what it cannot mend, the next reconcile finds
	})
}

// carriers are the routes that carry one of the wanted customers.
func carriers(spec *migration.Spec, wanted []routes.Wanted) (out []*layout, err error) {
	var all []*layout
	for _, r := range spec.Routes {
		if r.ALB != nil {
			all = append(all, newLayout(spec, r))
		}
	}
	used := map[*layout]bool{}
	for _, w := range wanted {
		if _, ok := spec.Customer(w.Customer); !ok {
			return nil, permanent.New("NoCustomer", nil, "plan %q has no customer %q", spec.Plan, w.Customer)
		}
		carried := false
		for _, l := range all {
			if _, ok := l.index[w.Customer]; ok {
				carried, used[l] = true, true
			}
		}
		if !carried {
			return nil, permanent.New("NoRoute", nil,
				"no route of plan %q carries a workload of customer %q; add one of its workloads to a route", spec.Plan, w.Customer)
		}
	}
	return slices.DeleteFunc(all, func(l *layout) bool { return !used[l] }), nil
}

// anchor makes the rules that attach the workloads' groups to the load balancer. It knows no home,
// and so moves no customer.
func (rt *Router) anchor(ctx context.Context, l *layout) error {
	_, err := rt.settle(ctx, l, func() map[string]routes.Wanted { return nil })
	return err
}

// settle looks and writes until what it reads needs no write. Its first writes may go by the last
// look of the pass before; its last look is its own, and after its last write. What is wanted is
// asked after each look, so that a pass follows what it is told meanwhile.
func (rt *Router) settle(ctx context.Context, l *layout, homes func() map[string]routes.Wanted) (*view, error) {
	c, err := rt.clients.ELB(ctx, l.target)
	if err != nil {
		return nil, err
	}
	var wrote time.Time
	v := rt.looks.last(l)
	for range rounds {
		looked := v == nil
		if looked {
			if v, err = rt.look(ctx, c, l); err != nil {
				return nil, err
			}
		}
		v.homes, v.wrote, v.set = homes(), !wrote.IsZero(), wrote
		if v.groups, err = rt.groupsOf(ctx, c, l, v.homes); err != nil {
			return nil, err
		}
		changes, fresh := l.diff(v.homes, v.own, v.groups)
		if len(changes) == 0 && looked {
			if !v.wrote {
				v.set = time.Now()
			}
			return v, nil
		}
		if len(changes) > 0 {
			if err := rt.apply(ctx, c, l, v, changes, fresh); err != nil && !raced(err) {
				return nil, explain(err)
			}
			wrote = time.Now()
		}
		v = nil
	}
	return nil, fmt.Errorf("listener %s: the rules were changed by somebody else %d times in a row; find out who writes to rules tagged "+
		"%s=%s",
		l.route.ALB.Listener, rounds, tagPlan, l.plan)
}

// looks are the last looks of this process at each route.
type looks struct {
	mu     sync.Mutex
	byLane map[string]look
}

// look is what a look at the rules saw, and when it began.
type look struct {
	view
	at time.Time
}

// last is a copy of the route's last look, if that began recently; else nil.
func (s *looks) last(l *layout) *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, ok := s.byLane[l.lane()]
	if !ok || time.Since(seen.at) > recently {
		return nil
	}
	return &seen.view
}

// look reads the rules, for the next pass too.
func (rt *Router) look(ctx context.Context, c ELB, l *layout) (*view, error) {
	at := time.Now()
	v, err := rt.standing(ctx, c, l)
	if err != nil {
		return nil, err
	}
	rt.looks.mu.Lock()
	defer rt.looks.mu.Unlock()
	rt.looks.byLane[l.lane()] = look{*v, at}
	return v, nil
}

// standing reads the rules.
func (rt *Router) standing(ctx context.Context, c ELB, l *layout) (*view, error) {
	rules, err := rt.rules(ctx, c, l.route.ALB.Listener)
	if err != nil {
		return nil, err
	}
	v := &view{}
	return v, rt.sort(ctx, c, l, rules, v)
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

// sort tells the plan's rules from all others. Only a rule that forwards to several groups can be
// Drover's, and one that was found to be stays it, so that in the steady state no tags are read.
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
			v.basis = append(v.basis, parse(raw))
		case own.plan == l.plan && own.route == l.route.Name:
			r := parse(raw)
			r.workload = own.workload
			r.split(l.route.ALB.Workloads[r.workload])
			v.own = append(v.own, r)
		default:
			v.foreign = append(v.foreign, parse(raw))
		}
	}
	slices.SortFunc(v.own, func(x, y *rule) int { return x.priority - y.priority })
	return nil
}

// groupsOf finds the groups on AWS. A workload may have none yet only as long as no customer needs
// it.
func (rt *Router) groupsOf(ctx context.Context, c ELB, l *layout, homes map[string]routes.Wanted) (map[string]string, error) {
	out := map[string]string{}
	for _, k := range l.classes {
		if out[k.workload] != "" {
			continue
		}
		arn, err := rt.group(ctx, c, l.target, l.plan, k.workload, groupFresh)
		if err != nil {
			return nil, err
		}
		if arn == "" && slices.ContainsFunc(k.users, func(i int) bool { return homes[l.customers[i].ID].Side == migration.AWS }) {
			return nil, fmt.Errorf("workload %q has no target group on AWS yet, but customers are homed there; provision the workload",
				k.workload)
		}
		out[k.workload] = arn
	}
	return out, nil
}

// apply writes changes, all at once: no two touch the same rule. Those that take hosts out of rules
// that carry a share come last, so that a host which goes from one share to another has a rule at
// any moment. Of several errors one that is no race is answered.
func (rt *Router) apply(ctx context.Context, c ELB, l *layout, v *view, changes []change, fresh map[*class]int) error {
	foreign := map[int]bool{}
	for _, r := range v.foreign {
		foreign[r.priority] = true
	}
	if !l.place(changes, v.own, foreign) {
		return rt.respread(ctx, c, l, v, fresh, foreign)
	}
	first := slices.DeleteFunc(slices.Clone(changes), func(ch change) bool { return ch.after })
	if err := rt.writeAll(ctx, c, l, first); err != nil {
		return err
	}
	return rt.writeAll(ctx, c, l, slices.DeleteFunc(changes, func(ch change) bool { return !ch.after }))
}

func (rt *Router) writeAll(ctx context.Context, c ELB, l *layout, changes []change) error {
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
		in := &elb.ModifyRuleInput{RuleArn: &ch.arn, Conditions: conditions(ch.hosts, ch.class.paths),
			Actions: forward(ch.group, rest, ch.share)}
		if ch.reset {
			in.ResetTransforms = aws.Bool(true)
		}
		if _, err := c.ModifyRule(ctx, in); err != nil {
			return fmt.Errorf("set the hosts of rule %s: %w", ch.arn, err)
		}
	default:
		return rt.create(ctx, c, l, ch, rest)
	}
	return nil
}

// create makes a rule with its tags in one call. Two writers choose the same priority for the same
// hosts, and a priority exists once: the second fails, looks again and finds it done.
func (rt *Router) create(ctx context.Context, c ELB, l *layout, ch change, rest string) error {
	out, err := c.CreateRule(ctx, &elb.CreateRuleInput{
		ListenerArn: &l.route.ALB.Listener,
		Priority:    aws.Int32(int32(ch.priority)), //nolint:gosec // at most 50000
		Conditions:  conditions(ch.hosts, ch.class.paths),
		Actions:     forward(ch.group, rest, ch.share),
		Tags:        tagList(l.target.Tags, map[string]string{tagPlan: l.plan, tagRoute: l.route.Name, tagWorkload: ch.workload}),
	})
	if err != nil {
		return fmt.Errorf("create a rule for workload %q at priority %d of listener %s: %w", ch.workload, ch.priority, l.route.ALB.Listener,
			err)
	}
	rt.facts.mu.Lock()
	defer rt.facts.mu.Unlock()
	for _, r := range out.Rules {
		rt.facts.owned[aws.ToString(r.RuleArn)] = ownership{l.plan, l.route.Name, ch.workload}
	}
	return nil
}

// respread moves Drover's own rules, in one call that ELB applies as a whole, so that the next
// round finds room.
func (rt *Router) respread(ctx context.Context, c ELB, l *layout, v *view, fresh map[*class]int, foreign map[int]bool) error {
	priorities := l.respread(v.own, fresh, foreign)
	if len(priorities) == 0 {
		return fmt.Errorf("listener %s has too few free priorities below its first rule for the rules of route %q; give the listener's "+
			"rules higher numbers (aws elbv2 set-rule-priorities)", l.route.ALB.Listener, l.route.Name)
	}
	in := &elb.SetRulePrioritiesInput{}
	for _, r := range v.own {
		if p, ok := priorities[r.arn]; ok {
			in.RulePriorities = append(in.RulePriorities,
				types.RulePriorityPair{RuleArn: aws.String(r.arn), Priority: aws.Int32(int32(p))}) //nolint:gosec // at most 50000
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
