package alb

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// Verify reads the rules anew and answers where each wanted customer is sent, and what is wrong
// with that. A customer without a side is not looked at. One reading of a listener's rules serves
// all. It writes nothing.
func (rt *Router) Verify(ctx context.Context, spec *migration.Spec, wanted []routes.Wanted) (map[string]routes.State, error) {
	ls, err := carriers(spec, wanted)
	if err != nil {
		return nil, err
	}
	out := map[string]routes.State{}
	for _, l := range ls {
		c, err := rt.clients.ELB(ctx, l.target)
		if err != nil {
			return nil, err
		}
		v, err := rt.standing(ctx, c, l)
		if err != nil {
			return nil, fmt.Errorf("verify route %q: %w", l.route.Name, err)
		}
		v.homes = map[string]routes.Wanted{}
		for _, w := range wanted {
			v.homes[w.Customer] = w
		}
		if v.groups, err = rt.groupsOf(ctx, c, l, nil); err != nil {
			return nil, fmt.Errorf("verify route %q: %w", l.route.Name, err)
		}
		l.each(wanted, func(who migration.Customer) { out[who.ID] = routes.Merge(out[who.ID], v.state(l, who)) })
	}
	return out, nil
}

// agrees follows every host of the customer through the listener as ALB would.
func (v *view) agrees(l *layout, customer migration.Customer) error {
	home := v.homes[customer.ID]
	for _, k := range l.classes {
		if home.Side == migration.NoHome || !slices.Contains(customer.Workloads, k.workload) {
			continue
		}
		var want string
		if home.Side == migration.AWS {
			if want = v.groups[k.workload]; want == "" {
				return fmt.Errorf("customer %q is homed on %s: workload %q has no target group there", customer.ID, home.Side, k.workload)
			}
		}
		for _, h := range customer.Hosts {
			if err := v.sends(l, k, strings.ToLower(h), want, home.Share()); err != nil {
				return fmt.Errorf("customer %q is homed on %s: %w", customer.ID, home.Side, err)
			}
		}
	}
	return nil
}

// sends checks that a share of a host's requests of one class go to the group want, or, with want
// empty, that no rule of Drover's takes them.
func (v *view) sends(l *layout, k *class, host, want string, share int) error {
	at := slices.IndexFunc(v.own, func(r *rule) bool { return k.is(r.workload, r.paths) && r.has(host) })
	if want == "" {
		if at >= 0 {
			return fmt.Errorf("rule %s still sends %s of workload %q to AWS", v.own[at].arn, host, k.workload)
		}
		return nil
	}
	if at < 0 {
		return fmt.Errorf("no rule sends %s of workload %q to AWS", host, k.workload)
	}
	r := v.own[at]
	if r.odd || r.group != want || r.rest != l.route.ALB.Workloads[k.workload] {
		return fmt.Errorf("rule %s does not send %s to target group %s", r.arn, host, want)
	}
	if r.share != share {
		return fmt.Errorf("rule %s sends %d %% of the requests to %s to AWS, and not %d %%", r.arn, r.share, host, share)
	}
	for _, f := range v.foreign {
		if f.priority < r.priority && f.mayTake(host, k.paths) {
			return fmt.Errorf("rule %s, which is not Drover's, has priority %d and takes requests to %s before Drover's rule at %d; "+
				"give it a higher number", f.arn, f.priority, host, r.priority)
		}
	}
	return nil
}

// mayTake says whether a rule can match a request to host whose path is one of paths (none: any
// path).
func (r *rule) mayTake(host string, paths []string) bool {
	named := len(r.hosts) > 0 || len(r.hostRE) > 0
	if named && !slices.ContainsFunc(r.hosts, func(p string) bool { return matches(p, host) }) &&
		!slices.ContainsFunc(r.hostRE, func(p string) bool { return mayMatch(p, host) }) {
		return false
	}
	if len(r.paths) == 0 || len(paths) == 0 {
		return true
	}
	return slices.ContainsFunc(r.paths, func(p string) bool {
		return slices.ContainsFunc(paths, func(q string) bool { return overlap(p, q) })
	})
}

// matches is ALB's wildcard match: * is any characters, ? is one.
func matches(pattern, s string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := range len(s) + 1 {
				if matches(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
		default:
			if s == "" || s[0] != pattern[0] {
				return false
			}
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}

// mayMatch says whether a host matches a regular expression of ELB's. One that Go does not
// understand may match anything.
func mayMatch(expression, host string) bool {
	re, err := regexp.Compile("(?i)" + expression)
	return err != nil || re.MatchString(host)
}

// overlap says whether some text can match both patterns. It compares what comes before the first
// wildcards, and so may say yes where the ends differ: it is asked to warn, never to allow.
func overlap(p, q string) bool {
	pi, qi := strings.IndexAny(p, "*?"), strings.IndexAny(q, "*?")
	switch {
	case pi < 0:
		return matches(q, p)
	case qi < 0:
		return matches(p, q)
	}
	n := min(pi, qi)
	return p[:n] == q[:n]
}

// forwardsOnlyTo says whether actions send every request to one of groups and do nothing else with
// it.
func forwardsOnlyTo(actions []types.Action, groups ...string) bool {
	for _, act := range actions {
		if act.Type != types.ActionTypeEnumForward {
			return false
		}
	}
	to := groupsOf(actions)
	for _, g := range to {
		if !slices.Contains(groups, aws.ToString(&g)) {
			return false
		}
	}
	return len(to) > 0
}
