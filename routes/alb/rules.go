package alb

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

const (
	// valuesPerRule is ALB's quota of condition values in one rule, over all its conditions; it
	// cannot be raised.
	valuesPerRule = 5
	// maxPriority is the highest number a rule's priority can have; the lowest number is asked
	// first.
	maxPriority = 50000
)

// Tags by which Drover finds what it made.
const (
	tagPlan     = "drover:plan"
	tagRoute    = "drover:route"
	tagWorkload = "drover:workload"
)

// class is a set of rules that differ in their hosts only: one workload, and so many of its path
// patterns as go into one rule.
type class struct {
	workload string
	paths    []string // sorted; empty: every path
	room     int      // hosts that a rule can hold
	shares   int      // shares below all that its customers may have: as many more of its rules need not be full
	anchor   string   // a host that always has a rule of this class; "": the workload's other class has one
	users    []int    // indexes into layout.customers
}

func (c *class) is(workload string, paths []string) bool {
	return c.workload == workload && slices.Equal(c.paths, paths)
}

// layout is all that a route needs to know of a spec; it does not change for a spec.
type layout struct {
	plan      string
	revision  int
	route     migration.Route
	target    migration.Target
	classes   []*class             // in the order in which their rules must be asked
	customers []migration.Customer // that the route carries, in the order of the spec
	owner     map[string]int       // host -> index into customers
	index     map[string]int       // id -> index into customers
}

// newLayout works out the classes of a route. Specific paths come before general ones, so that
// "/api/*" of one workload is asked before the catch-all of another.
func newLayout(spec *migration.Spec, route migration.Route) *layout {
	l := &layout{plan: spec.Plan, revision: spec.Revision, route: route, owner: map[string]int{}, index: map[string]int{}}
	l.target, _ = spec.Target(route.ALB.Target)
	for _, name := range slices.Sorted(maps.Keys(route.ALB.Workloads)) {
		w, ok := spec.Workload(name)
		if !ok || w.Ingress == nil {
			continue
		}
		for i, paths := range chunkPaths(w.Ingress.Paths) {
			k := &class{workload: name, paths: paths, room: valuesPerRule - len(paths)}
			if i == 0 {
				k.anchor = anchorHost(spec.Plan, name)
			}
			l.classes = append(l.classes, k)
		}
	}
	slices.SortStableFunc(l.classes, func(a, b *class) int { return specificity(b.paths) - specificity(a.paths) })
	for _, c := range spec.Customers {
		if !spec.Carries(route.Name, c) ||
			!slices.ContainsFunc(l.classes, func(k *class) bool { return slices.Contains(c.Workloads, k.workload) }) {
			continue
		}
		i := len(l.customers)
		l.customers = append(l.customers, c)
		l.index[c.ID] = i
		for _, h := range c.Hosts {
			l.owner[strings.ToLower(h)] = i
		}
		for _, k := range l.classes {
			if !slices.Contains(c.Workloads, k.workload) {
				continue
			}
			k.users = append(k.users, i)
			if spec.Stateless(c) {
				k.shares = max(0, len(spec.Policy.Weights)-1)
			}
		}
	}
	return l
}

// each calls do for every wanted customer that the route carries.
func (l *layout) each(wanted []routes.Wanted, do func(migration.Customer)) {
	for _, w := range wanted {
		if i, ok := l.index[w.Customer]; ok {
			do(l.customers[i])
		}
	}
}

// anchorHost is a host name that nobody can have (RFC 6761). A load balancer checks the health of a
// target group, and ECS accepts it, only while a rule uses it; the anchor's rule does so from
// before the first customer comes until the route is restored.
func anchorHost(plan, workload string) string {
	return strings.ToLower(groupName(plan, workload)) + ".invalid"
}

// Anchors are the hosts by which a route sends requests of no customer to its workloads on AWS.
func Anchors(plan string, route migration.Route) (out []string) {
	if route.ALB == nil {
		return nil
	}
	for _, w := range slices.Sorted(maps.Keys(route.ALB.Workloads)) {
		out = append(out, anchorHost(plan, w))
	}
	return out
}

// chunkPaths splits path patterns over rules. Of five values, 2 paths and 3 hosts (or 3 and 2) make
// the most of a rule.
func chunkPaths(paths []string) [][]string {
	if len(paths) == 0 || slices.Contains(paths, "/*") || slices.Contains(paths, "*") {
		return [][]string{nil}
	}
	sorted := slices.Clone(paths)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	size := 2
	if len(sorted)%3 == 0 || len(sorted) == 1 {
		size = 3
	}
	return slices.Collect(slices.Chunk(sorted, size))
}

// specificity orders path patterns: the longer the literal beginning of the shortest pattern, the
// more specific the rule.
func specificity(paths []string) int {
	if len(paths) == 0 {
		return 0
	}
	least := len(paths[0]) * 2
	for _, p := range paths {
		n := strings.IndexAny(p, "*?") * 2
		if n < 0 {
			n = len(p)*2 + 1 // no wildcard at all
		}
		least = min(least, n)
	}
	return least + 1
}

// rule is a rule as it stands on the listener.
type rule struct {
	arn      string
	priority int
	hosts    []string
	hostRE   []string // regular expressions of hosts
	paths    []string // sorted
	narrow   bool     // has conditions on more than hosts and path patterns
	workload string   // by its tag
	group    string   // where it sends its share
	rest     string   // the group that gets what is left, of a rule that has two
	share    int      // percentage of the requests that group gets
	odd      bool     // has other conditions or actions than those Drover gives a rule
	raw      types.Rule
}

func (r *rule) has(host string) bool { return slices.Contains(r.hosts, host) }

// parse reads a rule; the default rule has priority 0 and no conditions.
func parse(in types.Rule) *rule {
	r := &rule{arn: aws.ToString(in.RuleArn), raw: in}
	r.priority, _ = strconv.Atoi(aws.ToString(in.Priority))
	for _, c := range in.Conditions {
		switch {
		case aws.ToString(c.Field) == "host-header":
			for _, v := range hostValues(c) {
				r.hosts = append(r.hosts, strings.ToLower(v))
			}
			r.hostRE = append(r.hostRE, c.RegexValues...)
			if c.HostHeaderConfig != nil {
				r.hostRE = append(r.hostRE, c.HostHeaderConfig.RegexValues...)
			}
		case aws.ToString(c.Field) == "path-pattern" && len(c.RegexValues) == 0 &&
			(c.PathPatternConfig == nil || len(c.PathPatternConfig.RegexValues) == 0):
			r.paths = append(r.paths, pathValues(c)...)
		default: // a regular expression of paths, a header, a query, a method, an address, or what ELB will learn yet
			r.narrow = true
		}
	}
	r.odd = r.narrow || len(r.hostRE) > 0 || len(in.Transforms) > 0
	slices.Sort(r.paths)
	if len(in.Actions) != 1 || in.Actions[0].Type != types.ActionTypeEnumForward {
		r.odd = true
		return r
	}
	r.group, r.share = aws.ToString(in.Actions[0].TargetGroupArn), routes.All
	if f := in.Actions[0].ForwardConfig; f != nil {
		if f.TargetGroupStickinessConfig != nil && aws.ToBool(f.TargetGroupStickinessConfig.Enabled) {
			r.odd = true
		}
		for _, g := range f.TargetGroups {
			if aws.ToInt32(g.Weight) == 0 && len(f.TargetGroups) > 1 {
				r.rest = aws.ToString(g.TargetGroupArn)
			} else {
				r.group = aws.ToString(g.TargetGroupArn)
			}
		}
	}
	return r
}

// split tells, in a rule of Drover's that forwards to two groups, the one on premises from the one
// on AWS, whatever their order and their weights.
func (r *rule) split(onprem string) {
	if len(r.raw.Actions) != 1 || r.raw.Actions[0].ForwardConfig == nil {
		return
	}
	groups := r.raw.Actions[0].ForwardConfig.TargetGroups
	at := slices.IndexFunc(groups, func(g types.TargetGroupTuple) bool { return aws.ToString(g.TargetGroupArn) == onprem })
	if len(groups) != 2 || at < 0 {
		return
	}
	rest, group := groups[at], groups[1-at]
	r.rest, r.group = onprem, aws.ToString(group.TargetGroupArn)
	total := aws.ToInt32(rest.Weight) + aws.ToInt32(group.Weight)
	if r.share = 0; total > 0 {
		r.share = int(aws.ToInt32(group.Weight) * routes.All / total)
	}
}

func hostValues(c types.RuleCondition) []string {
	if c.HostHeaderConfig != nil && len(c.HostHeaderConfig.Values) > 0 {
		return c.HostHeaderConfig.Values
	}
	return c.Values
}

func pathValues(c types.RuleCondition) []string {
	if c.PathPatternConfig != nil && len(c.PathPatternConfig.Values) > 0 {
		return c.PathPatternConfig.Values
	}
	return c.Values
}

// groupsOf are all target groups that actions forward to.
func groupsOf(actions []types.Action) (out []string) {
	for _, a := range actions {
		if a.TargetGroupArn != nil {
			out = append(out, *a.TargetGroupArn)
		}
		if a.ForwardConfig != nil {
			for _, g := range a.ForwardConfig.TargetGroups {
				out = append(out, aws.ToString(g.TargetGroupArn))
			}
		}
	}
	return out
}

func conditions(hosts, paths []string) []types.RuleCondition {
	out := []types.RuleCondition{{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: hosts}}}
	if len(paths) > 0 {
		out = append(out, types.RuleCondition{Field: aws.String("path-pattern"),
			PathPatternConfig: &types.PathPatternConditionConfig{Values: paths}})
	}
	return out
}

// forward sends a share of the requests to a group, and the others to the rest.
func forward(group, rest string, share int) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{
		TargetGroups: []types.TargetGroupTuple{
			{TargetGroupArn: &group, Weight: aws.Int32(int32(share))},             //nolint:gosec // a percentage
			{TargetGroupArn: &rest, Weight: aws.Int32(int32(routes.All - share))}, //nolint:gosec // a percentage
		},
		TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: aws.Bool(false)},
	}}}
}
