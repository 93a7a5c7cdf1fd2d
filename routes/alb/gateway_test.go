package alb_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/alb"
)

// byName is a plan whose customers come to AWS by the names of their hosts.
func byName(hosts ...string) *migration.Spec {
	s := &migration.Spec{Plan: "p", Targets: []migration.Target{{Name: "prod", Region: "us-east-1", VPC: "vpc-1"}},
		Workloads: []migration.Workload{
			{Name: "api", Target: "prod", Ingress: &migration.Ingress{Port: 8080, Protocol: "http", Paths: []string{"/api/*"}}},
			{Name: "web", Target: "prod", Ingress: &migration.Ingress{Port: 8080, Protocol: "http", Paths: []string{"/*"}}},
		},
		Routes: []migration.Route{{Name: "names", DNS: &migration.DNS{Target: "prod", Listener: "listener",
			Workloads: map[string]migration.Named{"web": {}, "api": {}}}}}}
	for i, h := range hosts {
		s.Customers = append(s.Customers, migration.Customer{ID: "c" + strconv.Itoa(i), Hosts: []string{h}, Workloads: []string{"web",
			"api"}})
	}
	return s
}

func routerOver(f *fakeELB) *alb.Router {
	return alb.New(alb.ClientsFunc(func(context.Context, migration.Target) (alb.ELB, error) { return f, nil }), nil, alb.WithPace(1000,
		1000))
}

// gateway are the rules but the default one: "priority workload paths hosts", in the order in which
// they are asked.
func (f *fakeELB) gateway() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if aws.ToBool(r.IsDefault) {
			continue
		}
		line := aws.ToString(r.Priority)
		for _, t := range f.tags[aws.ToString(r.RuleArn)] {
			if aws.ToString(t.Key) == "drover:workload" {
				line += " " + aws.ToString(t.Value)
			}
		}
		for _, c := range r.Conditions {
			if c.PathPatternConfig != nil {
				line += fmt.Sprint(" ", c.PathPatternConfig.Values)
			}
			if c.HostHeaderConfig != nil {
				line += fmt.Sprint(" ", c.HostHeaderConfig.Values)
			}
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func TestBehindAGatewayWorkloadsTakeWhateverComesForTheCustomersDomains(t *testing.T) {
	f := newFakeELB()
	spec := byName("acme.app.example.com", "birch.app.example.com", "shop.example.org")
	want := []string{"49801 api [*.app.example.com *.example.org] [/api/*]", "49901 web [*.app.example.com *.example.org]"}
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs { // as many workers at once
		all.Go(func() { errs[i] = routerOver(f).Record(t.Context(), spec) })
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, want, f.gateway())
	f.writes()
	require.NoError(t, routerOver(f).Record(t.Context(), spec))
	require.Zero(t, f.writes(), "twice is once")

	things, err := routerOver(f).Survey(t.Context(), spec)
	require.NoError(t, err)
	require.Len(t, things, 4, "two rules and two groups")
	found, err := routerOver(f).CheckTargets(t.Context(), spec)
	require.NoError(t, err)
	require.Len(t, found, 2, "no machine is registered yet")

	more := byName("acme.app.example.com", "cedar.example.net")
	require.NoError(t, routerOver(f).Record(t.Context(), more))
	require.Equal(t, []string{"49801 api [*.app.example.com *.example.net] [/api/*]", "49901 web [*.app.example.com *.example.net]"},
		renumbered(f.gateway()), "rules of domains that nobody has any more are gone")

	for range 2 {
		_, err = routerOver(f).Restore(t.Context(), more, nil)
		require.NoError(t, err)
		require.Empty(t, f.gateway())
	}
	require.Len(t, f.groups, 3, "those that stood before")
}

// renumbered has the least priority of each band in place of the one that a rule has.
func renumbered(lines []string) (out []string) {
	for _, l := range lines {
		n, _ := strconv.Atoi(l[:5])
		out = append(out, strconv.Itoa((n-1)/100*100+1)+l[5:])
	}
	return out
}

func TestAGatewaysRuleThatSomebodyBentIsMended(t *testing.T) {
	f := newFakeELB()
	spec := byName("acme.app.example.com")
	require.NoError(t, routerOver(f).Record(t.Context(), spec))
	rule := f.rules[len(f.rules)-1].RuleArn
	_, err := f.ModifyRule(t.Context(), &elb.ModifyRuleInput{RuleArn: rule, Conditions: f.rules[len(f.rules)-1].Conditions,
		Actions: to("tg/other")})
	require.NoError(t, err)
	require.NoError(t, routerOver(f).Record(t.Context(), spec))
	require.NotContains(t, f.rules[len(f.rules)-1].Actions, to("tg/other")[0])
	require.Len(t, f.gateway(), 2)
}

func TestAGatewayIsCheckedBeforeAnythingStandsBehindIt(t *testing.T) {
	spec := byName("acme.app.example.com")
	check := func(f *fakeELB, s *migration.Spec) (out []string) {
		found, err := routerOver(f).Check(t.Context(), s)
		require.NoError(t, err)
		for _, x := range found {
			require.Equal(t, "route names", x.Subject)
			out = append(out, x.Check)
		}
		require.Zero(t, f.writes())
		return out
	}
	require.Empty(t, check(newFakeELB(), spec))

	taken := newFakeELB()
	taken.rules = append(taken.rules, types.Rule{RuleArn: aws.String("rule/theirs"), Priority: aws.String("10"), Actions: to("tg/other"),
		Conditions: []types.RuleCondition{{Field: aws.String("host-header"),
			HostHeaderConfig: &types.HostHeaderConditionConfig{Values: []string{"*.app.example.com"}}}}})
	require.Equal(t, []string{"route-host-claimed"}, check(taken, spec))

	elsewhere := byName("acme.app.example.com")
	elsewhere.Routes[0].DNS.Listener = "gone"
	require.Equal(t, []string{"route-listener"}, check(newFakeELB(), elsewhere))

	var many []string
	for i := range 400 {
		many = append(many, fmt.Sprintf("www.c%d.example", i))
	}
	require.Equal(t, []string{"route-quota"}, check(newFakeELB(), byName(many...)))
}

var _ routes.Router = (*alb.Router)(nil)
