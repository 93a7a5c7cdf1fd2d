package alb_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// fakeELB is one listener in memory, with ELB's own uniqueness: of priorities in it and of target
// group names. A rule forwards to groups that exist.
type fakeELB struct {
	mu     sync.Mutex
	n      int
	rules  []types.Rule
	groups []types.TargetGroup
	tags   map[string][]types.Tag
	sticky map[string]bool
	health []types.TargetHealthDescription
	takes  time.Duration // until their health is told
	calls  map[string]int
}

func newFakeELB() *fakeELB {
	f := &fakeELB{tags: map[string][]types.Tag{}, sticky: map[string]bool{}, calls: map[string]int{}}
	f.rules = []types.Rule{{RuleArn: aws.String("rule/default"), IsDefault: aws.Bool(true), Priority: aws.String("default"),
		Actions: to("tg/web")}}
	for _, name := range []string{"web", "api", "other"} {
		f.groups = append(f.groups, types.TargetGroup{TargetGroupArn: aws.String("tg/" + name), TargetGroupName: &name})
	}
	return f
}

func to(group string) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &group}}
}

// enter counts a call and holds the lock until the answer is made.
func (f *fakeELB) enter(call string) func() {
	f.mu.Lock()
	f.calls[call]++
	return f.mu.Unlock
}

// count is how often calls were made since the last count.
func (f *fakeELB) count(calls ...string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range calls {
		n += f.calls[c]
		f.calls[c] = 0
	}
	return n
}

func (f *fakeELB) writes() int {
	return f.count("CreateRule", "ModifyRule", "DeleteRule", "SetRulePriorities", "CreateTargetGroup", "DeleteTargetGroup",
		"RegisterTargets")
}

func (f *fakeELB) arn(kind string) string { f.n++; return kind + "/" + strconv.Itoa(f.n) }

func (f *fakeELB) rule(arn *string) int {
	return slices.IndexFunc(f.rules, func(r types.Rule) bool { return aws.ToString(r.RuleArn) == aws.ToString(arn) })
}

// leadsNowhere says whether actions forward to a group that does not exist.
func (f *fakeELB) leadsNowhere(actions []types.Action) bool {
	exists := func(arn *string) bool {
		return slices.ContainsFunc(f.groups, func(g types.TargetGroup) bool { return aws.ToString(g.TargetGroupArn) == aws.ToString(arn) })
	}
	return slices.ContainsFunc(actions, func(act types.Action) bool {
		if act.ForwardConfig == nil {
			return act.Type == types.ActionTypeEnumForward && !exists(act.TargetGroupArn)
		}
		return slices.ContainsFunc(act.ForwardConfig.TargetGroups, func(t types.TargetGroupTuple) bool { return !exists(t.TargetGroupArn) })
	})
}

func (f *fakeELB) DescribeListeners(_ context.Context, in *elb.DescribeListenersInput,
	_ ...func(*elb.Options)) (*elb.DescribeListenersOutput, error) {
	defer f.enter("DescribeListeners")()
	if len(in.ListenerArns) > 0 && in.ListenerArns[0] != "listener" {
		return nil, &types.ListenerNotFoundException{}
	}
	return &elb.DescribeListenersOutput{Listeners: []types.Listener{{ListenerArn: aws.String("listener"), LoadBalancerArn: aws.String("lb"),
		Port: aws.Int32(443), Protocol: types.ProtocolEnumHttps}}}, nil
}

func (f *fakeELB) DescribeLoadBalancers(context.Context, *elb.DescribeLoadBalancersInput,
	...func(*elb.Options)) (*elb.DescribeLoadBalancersOutput, error) {
	defer f.enter("DescribeLoadBalancers")()
	return &elb.DescribeLoadBalancersOutput{LoadBalancers: []types.LoadBalancer{{LoadBalancerArn: aws.String("lb"),
		DNSName: aws.String("lb.example.com")}}}, nil
}

func (f *fakeELB) DescribeRules(context.Context, *elb.DescribeRulesInput, ...func(*elb.Options)) (*elb.DescribeRulesOutput, error) {
	defer f.enter("DescribeRules")()
	return &elb.DescribeRulesOutput{Rules: slices.Clone(f.rules)}, nil
}

func (f *fakeELB) DescribeTags(_ context.Context, in *elb.DescribeTagsInput, _ ...func(*elb.Options)) (*elb.DescribeTagsOutput, error) {
	defer f.enter("DescribeTags")()
	out := &elb.DescribeTagsOutput{}
	if len(in.ResourceArns) > 20 {
		return nil, fmt.Errorf("ValidationError: %d resources, at most 20 are allowed", len(in.ResourceArns))
	}
	for _, a := range in.ResourceArns {
		out.TagDescriptions = append(out.TagDescriptions, types.TagDescription{ResourceArn: aws.String(a), Tags: f.tags[a]})
	}
	return out, nil
}

func (f *fakeELB) DescribeTargetGroups(_ context.Context, in *elb.DescribeTargetGroupsInput,
	_ ...func(*elb.Options)) (*elb.DescribeTargetGroupsOutput, error) {
	defer f.enter("DescribeTargetGroups")()
	out := &elb.DescribeTargetGroupsOutput{}
	for _, g := range f.groups {
		if slices.Contains(in.Names, *g.TargetGroupName) || slices.Contains(in.TargetGroupArns, *g.TargetGroupArn) {
			out.TargetGroups = append(out.TargetGroups, g)
		}
	}
	if len(out.TargetGroups) == 0 {
		return nil, &types.TargetGroupNotFoundException{}
	}
	return out, nil
}

func (f *fakeELB) DescribeTargetGroupAttributes(_ context.Context, in *elb.DescribeTargetGroupAttributesInput,
	_ ...func(*elb.Options)) (*elb.DescribeTargetGroupAttributesOutput, error) {
	defer f.enter("DescribeTargetGroupAttributes")()
	return &elb.DescribeTargetGroupAttributesOutput{Attributes: []types.TargetGroupAttribute{{Key: aws.String("stickiness.enabled"),
		Value: aws.String(strconv.FormatBool(f.sticky[*in.TargetGroupArn]))}}}, nil
}

func (f *fakeELB) DescribeTargetHealth(context.Context, *elb.DescribeTargetHealthInput,
	...func(*elb.Options)) (*elb.DescribeTargetHealthOutput, error) {
	time.Sleep(f.takes)
	defer f.enter("DescribeTargetHealth")()
	return &elb.DescribeTargetHealthOutput{TargetHealthDescriptions: slices.Clone(f.health)}, nil
}

func (f *fakeELB) DescribeAccountLimits(context.Context, *elb.DescribeAccountLimitsInput,
	...func(*elb.Options)) (*elb.DescribeAccountLimitsOutput, error) {
	defer f.enter("DescribeAccountLimits")()
	return &elb.DescribeAccountLimitsOutput{Limits: []types.Limit{{Name: aws.String("rules-per-application-load-balancer"),
		Max: aws.String("100")}}}, nil
}

func (f *fakeELB) CreateRule(_ context.Context, in *elb.CreateRuleInput, _ ...func(*elb.Options)) (*elb.CreateRuleOutput, error) {
	defer f.enter("CreateRule")()
	p := strconv.Itoa(int(*in.Priority))
	if slices.ContainsFunc(f.rules, func(r types.Rule) bool { return *r.Priority == p }) {
		return nil, &types.PriorityInUseException{}
	}
	if f.leadsNowhere(in.Actions) {
		return nil, &types.TargetGroupNotFoundException{}
	}
	r := types.Rule{RuleArn: aws.String(f.arn("rule")), Priority: &p, IsDefault: aws.Bool(false), Conditions: in.Conditions,
		Actions: in.Actions}
	f.rules = append(f.rules, r)
	f.tags[*r.RuleArn] = in.Tags
	return &elb.CreateRuleOutput{Rules: []types.Rule{r}}, nil
}

func (f *fakeELB) ModifyRule(_ context.Context, in *elb.ModifyRuleInput, _ ...func(*elb.Options)) (*elb.ModifyRuleOutput, error) {
	defer f.enter("ModifyRule")()
	i := f.rule(in.RuleArn)
	if i < 0 {
		return nil, &types.RuleNotFoundException{}
	}
	if f.leadsNowhere(in.Actions) {
		return nil, &types.TargetGroupNotFoundException{}
	}
	f.rules[i].Conditions, f.rules[i].Actions = in.Conditions, in.Actions
	if aws.ToBool(in.ResetTransforms) {
		f.rules[i].Transforms = nil
	}
	return &elb.ModifyRuleOutput{}, nil
}

func (f *fakeELB) DeleteRule(_ context.Context, in *elb.DeleteRuleInput, _ ...func(*elb.Options)) (*elb.DeleteRuleOutput, error) {
	defer f.enter("DeleteRule")()
	i := f.rule(in.RuleArn)
	if i < 0 {
		return nil, &types.RuleNotFoundException{}
	}
	f.rules = slices.Delete(slices.Clone(f.rules), i, i+1)
	return &elb.DeleteRuleOutput{}, nil
}

func (f *fakeELB) SetRulePriorities(_ context.Context, in *elb.SetRulePrioritiesInput,
	_ ...func(*elb.Options)) (*elb.SetRulePrioritiesOutput, error) {
	defer f.enter("SetRulePriorities")()
	next := slices.Clone(f.rules)
	for _, p := range in.RulePriorities {
		i := f.rule(p.RuleArn)
		if i < 0 {
			return nil, &types.RuleNotFoundException{}
		}
		next[i].Priority = aws.String(strconv.Itoa(int(*p.Priority)))
	}
	seen := map[string]bool{}
	for _, r := range next {
		if seen[*r.Priority] {
			return nil, &types.PriorityInUseException{}
		}
		seen[*r.Priority] = true
	}
	f.rules = next
	return &elb.SetRulePrioritiesOutput{}, nil
}

func (f *fakeELB) CreateTargetGroup(_ context.Context, in *elb.CreateTargetGroupInput,
	_ ...func(*elb.Options)) (*elb.CreateTargetGroupOutput, error) {
	defer f.enter("CreateTargetGroup")()
	if slices.ContainsFunc(f.groups, func(g types.TargetGroup) bool { return *g.TargetGroupName == *in.Name }) {
		return nil, &types.DuplicateTargetGroupNameException{}
	}
	g := types.TargetGroup{TargetGroupArn: aws.String(f.arn("tg")), TargetGroupName: in.Name, Port: in.Port, Protocol: in.Protocol,
		HealthCheckPath: in.HealthCheckPath, TargetType: in.TargetType, VpcId: in.VpcId}
	f.groups = append(f.groups, g)
	f.tags[*g.TargetGroupArn] = in.Tags
	return &elb.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{g}}, nil
}

func (f *fakeELB) DeleteTargetGroup(_ context.Context, in *elb.DeleteTargetGroupInput,
	_ ...func(*elb.Options)) (*elb.DeleteTargetGroupOutput, error) {
	defer f.enter("DeleteTargetGroup")()
	f.groups = slices.DeleteFunc(slices.Clone(f.groups), func(g types.TargetGroup) bool { return *g.TargetGroupArn == *in.TargetGroupArn })
	return &elb.DeleteTargetGroupOutput{}, nil
}

func (f *fakeELB) RegisterTargets(_ context.Context, in *elb.RegisterTargetsInput,
	_ ...func(*elb.Options)) (*elb.RegisterTargetsOutput, error) {
	defer f.enter("RegisterTargets")()
	for _, t := range in.Targets {
		f.health = append(f.health, types.TargetHealthDescription{Target: &t,
			TargetHealth: &types.TargetHealth{State: types.TargetHealthStateEnumUnhealthy,
				Reason: types.TargetHealthReasonEnumFailedHealthChecks, Description: aws.String("connection refused")}})
	}
	return &elb.RegisterTargetsOutput{}, nil
}
