package routetest

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes/alb"
)

// ALB is a World on a listener of an Application Load Balancer.
type ALB struct {
	client   alb.ELB
	spec     *migration.Spec
	web, api string // groups on premises

	bucket *bucket
	looks  looks
}

// ALBPlace is where an ALB world is built: a listener without rules whose default action forwards
// to Web, and two groups of IP targets.
type ALBPlace struct {
	Client   alb.ELB
	Target   migration.Target
	Listener string
	Web, API string // ARNs of the groups on premises
}

// NewALB builds the world: 13 customers, and the rules of others that stand before Drover comes.
func NewALB(t *testing.T, at ALBPlace) *ALB {
	w := &ALB{client: at.Client, web: at.Web, api: at.API, bucket: newBucket()}
	w.spec = &migration.Spec{
		Plan: "suite", Targets: []migration.Target{at.Target},
		Workloads: []migration.Workload{
			{Name: "api", Target: at.Target.Name, Ingress: &migration.Ingress{Port: 8080, Protocol: "http", Paths: []string{"/api/*"}}},
			{Name: "web", Target: at.Target.Name, Ingress: &migration.Ingress{Port: 8080, Protocol: "http", Paths: []string{"/*"}}},
		},
		Routes: []migration.Route{{Name: "public",
			ALB: &migration.ALB{Target: at.Target.Name, Listener: at.Listener,
				Workloads: map[string]string{"web": at.Web, "api": at.API}}}},
	}
	for i := range 13 {
		id := fmt.Sprintf("c%02d", i)
		w.spec.Customers = append(w.spec.Customers,
			migration.Customer{ID: id, Tenant: int64(i + 1), Hosts: []string{id + ".app.example.com"}, Workloads: []string{"web", "api"}})
	}
	w.foreign(t, at.Listener, 100, []string{"/api/*"}, []string{"*.app.example.com"}, at.API)
	w.foreign(t, at.Listener, 200, nil, []string{"legacy.example.com"}, at.Web)
	return w
}

func (w *ALB) foreign(t *testing.T, listener string, priority int32, paths, hosts []string, group string) {
	in := &elb.CreateRuleInput{ListenerArn: &listener, Priority: aws.Int32(priority),
		Actions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &group}}}
	in.Conditions = append(in.Conditions, types.RuleCondition{Field: aws.String("host-header"),
		HostHeaderConfig: &types.HostHeaderConditionConfig{Values: hosts}})
	if len(paths) > 0 {
		in.Conditions = append(in.Conditions, types.RuleCondition{Field: aws.String("path-pattern"),
			PathPatternConfig: &types.PathPatternConditionConfig{Values: paths}})
	}
	_, err := w.client.CreateRule(t.Context(), in)
	require.NoError(t, err)
}

// Spec is the spec.
func (w *ALB) Spec() *migration.Spec { return w.spec }

// NewRouter is another worker's router.
func (w *ALB) NewRouter() Router {
	e := &eyes{ELB: w.client, w: w}
	r := alb.New(alb.ClientsFunc(func(context.Context, migration.Target) (alb.ELB, error) { return e, nil }), w.bucket,
		alb.WithPace(1000, 1000))
	e.router = r
	return r
}

// HoldLook holds the next answer to r of what rules there are.
func (w *ALB) HoldLook(r Router) (<-chan struct{}, func()) { return w.looks.hold(r) }

// eyes are how one router sees the listener.
type eyes struct {
	alb.ELB
	w      *ALB
	router Router
}

func (e *eyes) DescribeRules(ctx context.Context, in *elb.DescribeRulesInput, o ...func(*elb.Options)) (*elb.DescribeRulesOutput, error) {
	release := e.w.looks.begin(e.router)
	out, err := e.ELB.DescribeRules(ctx, in, o...)
	release()
	return out, err
}

func (w *ALB) rules(t *testing.T) []types.Rule {
	t.Helper()
	out, err := w.client.DescribeRules(t.Context(), &elb.DescribeRulesInput{ListenerArn: &w.spec.Routes[0].ALB.Listener})
	require.NoError(t, err)
	slices.SortFunc(out.Rules, func(a, b types.Rule) int { return priority(a) - priority(b) })
	return out.Rules
}

func priority(r types.Rule) int {
	if aws.ToBool(r.IsDefault) {
		return 1 << 30
	}
	p, _ := strconv.Atoi(aws.ToString(r.Priority))
	return p
}

// Serves asks the rules in the order in which ALB does.
func (w *ALB) Serves(t *testing.T, host, reqPath string) (side migration.Side, workload string) {
	t.Helper()
	for group, weight := range w.groups(t, host, reqPath) {
		if weight > 0 && side != migration.AWS {
			side, workload = w.name(t, group)
		}
	}
	return side, workload
}

// Share counts the weights of the first rule that takes the request.
func (w *ALB) Share(t *testing.T, host, reqPath string) int {
	t.Helper()
	all, onAWS := 0, 0
	for group, weight := range w.groups(t, host, reqPath) {
		all += weight
		if side, _ := w.name(t, group); side == migration.AWS {
			onAWS += weight
		}
	}
	return 100 * onAWS / all
}

// groups are the target groups to which the first rule that takes a request forwards it, with their
// weights.
func (w *ALB) groups(t *testing.T, host, reqPath string) map[string]int {
	t.Helper()
	for _, r := range w.rules(t) {
		if !takes(r, host, reqPath) {
			continue
		}
		f := r.Actions[0].ForwardConfig
		if f == nil {
			return map[string]int{aws.ToString(r.Actions[0].TargetGroupArn): 1}
		}
		out := map[string]int{}
		for _, g := range f.TargetGroups {
			out[aws.ToString(g.TargetGroupArn)] = int(aws.ToInt32(g.Weight))
		}
		if len(out) == 1 { // ELB gives the only group everything
			for g := range out {
				out[g] = 1
			}
		}
		return out
	}
	t.Fatalf("no rule takes %s%s", host, reqPath)
	return nil
}

func takes(r types.Rule, host, reqPath string) bool {
	for _, c := range r.Conditions {
		values, subject := c.Values, host
		if c.HostHeaderConfig != nil {
			values = c.HostHeaderConfig.Values
		}
		if aws.ToString(c.Field) == "path-pattern" {
			subject = reqPath
			if c.PathPatternConfig != nil {
				values = c.PathPatternConfig.Values
			}
		}
		// path.Match is enough here: the suite's patterns have one star, and what it stands for has
		// no slash.
		if !slices.ContainsFunc(values, func(p string) bool { ok, _ := path.Match(p, subject); return ok }) {
			return false
		}
	}
	return true
}

func (w *ALB) name(t *testing.T, group string) (migration.Side, string) {
	t.Helper()
	switch group {
	case w.web:
		return migration.OnPrem, "web"
	case w.api:
		return migration.OnPrem, "api"
	}
	return migration.AWS, w.tags(t, group)[group]["drover:workload"]
}

func (w *ALB) tags(t *testing.T, arns ...string) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for some := range slices.Chunk(arns, 20) {
		out, err := w.client.DescribeTags(t.Context(), &elb.DescribeTagsInput{ResourceArns: some})
		require.NoError(t, err)
		for _, d := range out.TagDescriptions {
			m := map[string]string{}
			for _, x := range d.Tags {
				m[aws.ToString(x.Key)] = aws.ToString(x.Value)
			}
			all[aws.ToString(d.ResourceArn)] = m
		}
	}
	return all
}

func (w *ALB) split(t *testing.T) (drovers, others []types.Rule) {
	t.Helper()
	rules := w.rules(t)
	arns := make([]string, len(rules))
	for i, r := range rules {
		arns[i] = aws.ToString(r.RuleArn)
	}
	tags := w.tags(t, arns...)
	for _, r := range rules {
		if tags[aws.ToString(r.RuleArn)]["drover:plan"] != "" {
			drovers = append(drovers, r)
		} else {
			others = append(others, r)
		}
	}
	return drovers, others
}

// Standing is the rules of others, with their priorities.
func (w *ALB) Standing(t *testing.T) string {
	t.Helper()
	_, others := w.split(t)
	b, err := json.MarshalIndent(others, "", " ")
	require.NoError(t, err)
	return string(b)
}

// Drovers counts Drover's rules, and holds each to ALB's quota of values.
func (w *ALB) Drovers(t *testing.T) int {
	t.Helper()
	drovers, _ := w.split(t)
	for _, r := range drovers {
		n := 0
		for _, c := range r.Conditions {
			switch {
			case c.HostHeaderConfig != nil:
				n += len(c.HostHeaderConfig.Values)
			case c.PathPatternConfig != nil:
				n += len(c.PathPatternConfig.Values)
			}
		}
		require.LessOrEqual(t, n, 5, "condition values of rule %s", aws.ToString(r.RuleArn))
	}
	return len(drovers)
}

// Packed counts five hosts a rule for web, four and a path for api, and one host of each for the
// workload's anchor.
func (w *ALB) Packed(n int) int { return (n+1+4)/5 + (n+1+3)/4 }
