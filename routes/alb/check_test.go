package alb_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/routes/routetest"
)

func TestCheckRoute(t *testing.T) {
	host := func(values ...string) types.RuleCondition {
		return types.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: values}}
	}
	add := func(f *fakeELB, priority int, tags []types.Tag, actions []types.Action, c ...types.RuleCondition) {
		_, _ = f.CreateRule(context.Background(),
			&elb.CreateRuleInput{Priority: aws.Int32(int32(priority)), Conditions: c, Actions: actions, Tags: tags}) //nolint:gosec // small
	}
	for _, c := range []struct {
		name  string
		world func(*fakeELB, *routetest.ALB)
		want  []string
	}{
		{"a listener that serves everybody on premises is fine", func(*fakeELB, *routetest.ALB) {}, nil},
		{"a listener that does not exist", func(_ *fakeELB, w *routetest.ALB) { w.Spec().Routes[0].ALB.Listener = "none" },
			[]string{"route-listener"}},
		{"a group on premises that does not exist", func(f *fakeELB, _ *routetest.ALB) { f.groups = f.groups[:1] },
			[]string{"route-onprem-group"}},
		{"a sticky group", func(f *fakeELB, _ *routetest.ALB) { f.sticky["tg/web"] = true }, []string{"route-stickiness"}},
		{"more rules than the quota", func(f *fakeELB, _ *routetest.ALB) {
			for p := range 95 {
				add(f, 1000+p, nil, to("tg/other"), host("other"+strconv.Itoa(p)+".example.com"))
			}
		}, []string{"route-quota"}},
		{"no priority below the first rule", func(f *fakeELB,
			_ *routetest.ALB) {
			add(f, 2, nil, to("tg/other"), host("other.example.com"))
		}, []string{"route-priorities"}},
		{"a customer's host that goes elsewhere today",
			func(f *fakeELB, _ *routetest.ALB) { add(f, 50, nil, to("tg/other"), host("c03.app.example.com")) },
			[]string{"route-host-claimed", "route-host-claimed"}},
		{"a rule that signs in first", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, append([]types.Action{{Type: types.ActionTypeEnumAuthenticateOidc}}, to("tg/web")...),
				host("*.app.example.com"))
		}, []string{"route-host-claimed", "route-host-claimed"}},
		{"a rule that redirects", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, []types.Action{{Type: types.ActionTypeEnumRedirect}}, host("*.app.example.com"))
		}, []string{"route-host-claimed", "route-host-claimed"}},
		{"a rule that answers itself", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, []types.Action{{Type: types.ActionTypeEnumFixedResponse}}, host("c00.app.example.com"))
		}, []string{"route-host-claimed", "route-host-claimed"}},
		{"a rule that checks tokens first, which ELB learnt later", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, append([]types.Action{{Type: "jwt-validation"}}, to("tg/web")...), host("c00.app.example.com"))
		}, []string{"route-host-claimed", "route-host-claimed"}},
		{"rules that send some requests elsewhere, by what else ELB looks at", func(f *fakeELB, _ *routetest.ALB) {
			for i, c := range []types.RuleCondition{
				{Field: aws.String("http-header"), HttpHeaderConfig: &types.HttpHeaderConditionConfig{HttpHeaderName: aws.String("X-Beta"),
					Values: []string{"1"}}},
				{Field: aws.String("query-string"),
					QueryStringConfig: &types.QueryStringConditionConfig{
						Values: []types.QueryStringKeyValuePair{{Value: aws.String("beta")}}}},
				{Field: aws.String("source-ip"), SourceIpConfig: &types.SourceIpConditionConfig{Values: []string{"192.0.2.0/24"}}},
				{Field: aws.String("http-request-method"),
					HttpRequestMethodConfig: &types.HttpRequestMethodConditionConfig{Values: []string{"POST"}}},
				{Field: aws.String("path-pattern"),
					PathPatternConfig: &types.PathPatternConditionConfig{RegexValues: []string{"^/beta/[0-9]+"}}},
				{Field: aws.String("something-new")},
			} {
				add(f, 50+i, nil, to("tg/other"), host("c0"+strconv.Itoa(i)+".app.example.com"), c)
			}
		}, slices.Repeat([]string{"route-host-claimed"}, 12)},
		{"the same, to where the requests belong", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, to("tg/web"), host("c00.app.example.com"),
				types.RuleCondition{Field: aws.String("path-pattern"),
					PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/static/*"}}})
			add(f, 60, nil, to("tg/api"), host("c00.app.example.com"),
				types.RuleCondition{Field: aws.String("path-pattern"),
					PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/api/v1/*"}}})
		}, nil},
		{"paths of one workload that go to another today, and would not on AWS", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, to("tg/api"), host("c00.app.example.com"),
				types.RuleCondition{Field: aws.String("path-pattern"),
					PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/v2/*"}}})
		}, []string{"route-host-claimed"}},
		{"hosts by a regular expression", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, to("tg/other"), types.RuleCondition{Field: aws.String("host-header"),
				HostHeaderConfig: &types.HostHeaderConditionConfig{RegexValues: []string{`^c0[34]\..*`}}})
		}, []string{"route-host-claimed", "route-host-claimed"}},
		{"hosts of others by a regular expression", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, to("tg/other"), types.RuleCondition{Field: aws.String("host-header"),
				HostHeaderConfig: &types.HostHeaderConditionConfig{RegexValues: []string{`^shop\..*`}}})
		}, nil},
		{"a rule that spreads requests over two groups", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, []types.Action{{Type: types.ActionTypeEnumForward,
				ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{
					{TargetGroupArn: aws.String("tg/web"), Weight: aws.Int32(90)},
					{TargetGroupArn: aws.String("tg/other"), Weight: aws.Int32(10)}}}}}, host("c00.app.example.com"))
		}, []string{"route-host-claimed", "route-host-claimed"}},
		{"a rule that keeps clients on a group", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, []types.Action{{Type: types.ActionTypeEnumForward,
				ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{
					{TargetGroupArn: aws.String("tg/other"), Weight: aws.Int32(1)}},
					TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: aws.Bool(true)}}}}, host("shop.example.com"))
		}, []string{"route-stickiness"}},
		{"a rule that rewrites the path", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, to("tg/web"), host("*.app.example.com"))
			f.rules[len(f.rules)-1].Transforms = []types.RuleTransform{{Type: types.TransformTypeEnumUrlRewrite}}
		}, []string{"route-host-claimed", "route-host-claimed"}},
		{"a rule that rewrites the host of a workload's paths", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, nil, to("tg/api"), host("*.app.example.com"),
				types.RuleCondition{Field: aws.String("path-pattern"),
					PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/api/*"}}})
			f.rules[len(f.rules)-1].Transforms = []types.RuleTransform{{Type: types.TransformTypeEnumHostHeaderRewrite}}
		}, []string{"route-host-claimed", "route-host-claimed"}},
		{"another plan's rule", func(f *fakeELB, _ *routetest.ALB) {
			add(f, 50, []types.Tag{{Key: aws.String("drover:plan"), Value: aws.String("other")}}, to("tg/other"),
				host("c01.app.example.com"))
		}, []string{"route-host-claimed", "route-host-claimed"}},
		{"a default action that serves nobody on premises", func(f *fakeELB, _ *routetest.ALB) { f.rules[0].Actions = to("tg/other") },
			[]string{"route-host-unserved"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeELB()
			w := routetest.NewALB(t, place(f))
			c.world(f, w)
			f.writes()
			got, err := w.NewRouter().(*alb.Router).Check(t.Context(), w.Spec())
			require.NoError(t, err)
			var checks []string
			for _, x := range got {
				require.NotEmpty(t, x.Remedy)
				checks = append(checks, x.Check)
			}
			require.Equal(t, c.want, checks, "%v", got)
			require.Zero(t, f.writes(), "a check writes nothing")
		})
	}
}

func TestWhatARuleDoesIsSaid(t *testing.T) {
	f := newFakeELB()
	w := routetest.NewALB(t, place(f))
	_, err := f.CreateRule(t.Context(), &elb.CreateRuleInput{Priority: aws.Int32(50),
		Actions: append([]types.Action{{Type: types.ActionTypeEnumAuthenticateOidc}}, to("tg/web")...)})
	require.NoError(t, err)
	f.rules[len(f.rules)-1].Transforms = []types.RuleTransform{{Type: types.TransformTypeEnumUrlRewrite}}
	got, err := w.NewRouter().(*alb.Router).Check(t.Context(), w.Spec())
	require.NoError(t, err)
	require.Contains(t, got[0].Reason, "rewrites their path, has clients sign in first, forwards them to tg/web, where")
}

func TestARewriteThatSomebodyGaveDroversRuleIsTakenAway(t *testing.T) {
	f := newFakeELB()
	w := routetest.NewALB(t, place(f))
	r := w.NewRouter()
	require.NoError(t, r.Record(t.Context(), w.Spec()))
	want := homed("c00", migration.AWS, 1)
	_, err := r.Reconcile(t.Context(), w.Spec(), want)
	require.NoError(t, err)
	for i := range f.rules {
		if len(f.tags[*f.rules[i].RuleArn]) > 0 {
			f.rules[i].Transforms = []types.RuleTransform{{Type: types.TransformTypeEnumUrlRewrite}}
		}
	}
	states, err := r.Verify(t.Context(), w.Spec(), want)
	require.NoError(t, err)
	require.NotEmpty(t, states["c00"].Wrong)
	_, err = r.Reconcile(t.Context(), w.Spec(), want)
	require.NoError(t, err)
	states, err = r.Verify(t.Context(), w.Spec(), want)
	require.NoError(t, err)
	require.Empty(t, states["c00"].Wrong)
}

// homed is one customer's home record.
func homed(customer string, side migration.Side, token int64) []routes.Wanted {
	return []routes.Wanted{{Customer: customer, Side: side, Token: token}}
}

// everyone is the home records of customers who are all on one side.
func everyone(w *routetest.ALB, side migration.Side) (out []routes.Wanted) {
	for _, c := range w.Spec().Customers {
		out = append(out, homed(c.ID, side, 1)...)
	}
	return out
}

func TestCallsAtOnceSharePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeELB()
		w := routetest.NewALB(t, place(f))
		r := w.NewRouter()
		require.NoError(t, r.Record(t.Context(), w.Spec()))
		var calls sync.WaitGroup
		ask := func(customer string) {
			calls.Go(func() {
				got, err := r.Reconcile(t.Context(), w.Spec(), homed(customer, migration.AWS, 1))
				assert.NoError(t, err)
				assert.Equal(t, migration.AWS, got[customer].Home)
			})
		}
		reached, release := w.HoldLook(r)
		ask("c00")
		<-reached // a pass runs; whoever comes now waits for the next one, together
		for i := range 50 {
			ask(fmt.Sprintf("c%02d", i%12+1))
		}
		synctest.Wait()
		f.count("DescribeRules")
		release()
		calls.Wait()
		require.LessOrEqual(t, f.count("DescribeRules"), 3, "of the first pass its last look, and of one more its two")
	})
}

// hung is an API that swallows some calls: they are never answered.
type hung struct {
	alb.ELB
	mu      sync.Mutex
	swallow int
}

func (h *hung) DescribeRules(ctx context.Context, in *elb.DescribeRulesInput, o ...func(*elb.Options)) (*elb.DescribeRulesOutput, error) {
	h.mu.Lock()
	swallowed := h.swallow > 0
	h.swallow--
	h.mu.Unlock()
	if swallowed {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.ELB.DescribeRules(ctx, in, o...)
}

// denying is an account that lets nobody read rules.
type denying struct{ alb.ELB }

func (denying) DescribeRules(context.Context, *elb.DescribeRulesInput, ...func(*elb.Options)) (*elb.DescribeRulesOutput, error) {
	return nil, &smithy.GenericAPIError{Code: "AccessDenied", Message: "not authorized to perform elasticloadbalancing:DescribeRules"}
}

// A check has its answer then. What a migration under way asks may be allowed meanwhile.
func TestWhatIsDeniedEndsACheckAndNothingElse(t *testing.T) {
	f := newFakeELB()
	w := routetest.NewALB(t, place(f))
	r := alb.New(alb.ClientsFunc(func(context.Context, migration.Target) (alb.ELB, error) { return denying{f}, nil }), nil)
	_, err := r.Check(t.Context(), w.Spec())
	require.Equal(t, "AccessDenied", permanent.Kind(err))
	require.ErrorContains(t, err, "elasticloadbalancing:DescribeRules")
	_, err = r.Reconcile(t.Context(), w.Spec(), homed("c01", migration.AWS, 1))
	require.ErrorContains(t, err, "elasticloadbalancing:DescribeRules")
	require.Empty(t, permanent.Kind(err))
}

func TestAPassThatNobodyWaitsForIsGivenUpAndTheNextStartsAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeELB()
		w := routetest.NewALB(t, place(f))
		require.NoError(t, w.NewRouter().Record(t.Context(), w.Spec()))
		h := &hung{ELB: f, swallow: 2}
		r := alb.New(alb.ClientsFunc(func(context.Context, migration.Target) (alb.ELB, error) { return h, nil }), nil)
		start := time.Now()
		var callers sync.WaitGroup
		for i := range 10 {
			callers.Go(func() { // as Temporal calls: attempts of 5 s, one after the other
				for range 5 {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					_, err := r.Reconcile(ctx, w.Spec(), homed(fmt.Sprintf("c%02d", i), migration.AWS, 1))
					cancel()
					if err == nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
				t.Errorf("customer %d was not routed", i)
			})
		}
		callers.Wait()
		require.Less(t, time.Since(start), 12*time.Second, "two calls hang for as long as somebody waits for them")
	})
}

func TestAPassGoesOnWhileOneOfItsCallersWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := routetest.NewALB(t, place(newFakeELB()))
		r := w.NewRouter()
		require.NoError(t, r.Record(t.Context(), w.Spec()))
		first, release1 := w.HoldLook(r)
		var calls sync.WaitGroup
		reconcile := func(ctx context.Context, customer string, want error) {
			calls.Go(func() {
				_, err := r.Reconcile(ctx, w.Spec(), homed(customer, migration.AWS, 1))
				assert.ErrorIs(t, err, want)
			})
		}
		reconcile(t.Context(), "c00", nil)
		<-first
		impatient, leave := context.WithCancel(t.Context())
		reconcile(impatient, "c01", context.Canceled)
		reconcile(t.Context(), "c02", nil) // of the same pass
		synctest.Wait()
		leave()
		synctest.Wait()
		release1()
		calls.Wait()
		side, _ := w.Serves(t, "c01.app.example.com", "/")
		require.Equal(t, migration.AWS, side, "what was wanted of the pass is done, though one caller has gone")
	})
}

// The second look after a write has begun when the routes are restored.
func TestWhatLooksAgainAfterARestoreMakesNoRuleAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := routetest.NewALB(t, place(newFakeELB()))
		r := w.NewRouter()
		require.NoError(t, r.Record(t.Context(), w.Spec()))
		before := w.Standing(t)
		for i, side := range []migration.Side{migration.AWS, migration.OnPrem} {
			want := everyone(w, side)
			for n := range want {
				want[n].Token = int64(i + 1)
			}
			_, err := r.Reconcile(t.Context(), w.Spec(), want)
			require.NoError(t, err)
			time.Sleep(400 * time.Millisecond) // so that each looks again by itself
		}
		looks, looked := w.HoldLook(r)
		<-looks
		next, then := w.HoldLook(r)
		restored := make(chan error, 1)
		go func() {
			_, err := r.Restore(t.Context(), w.Spec(), everyone(w, migration.OnPrem))
			restored <- err
		}()
		synctest.Wait()
		looked()
		<-next
		synctest.Wait()
		then()
		require.NoError(t, <-restored)
		time.Sleep(time.Minute) // of the bubble's clock: every echo is over
		require.Zero(t, w.Drovers(t))
		require.Equal(t, before, w.Standing(t))
	})
}

func TestRulesMoveTogetherWhenForeignRulesLeaveNoRoom(t *testing.T) {
	f := newFakeELB()
	w := routetest.NewALB(t, place(f))
	a := w.NewRouter()
	require.NoError(t, a.Record(t.Context(), w.Spec()))
	// Somebody puts a rule ahead of Drover's: new rules for /api/* must come before those for
	// everything, and both before it.
	ahead := []types.RuleCondition{{Field: aws.String("host-header"),
		HostHeaderConfig: &types.HostHeaderConditionConfig{Values: []string{"new.example.com"}}}}
	_, err := f.CreateRule(t.Context(), &elb.CreateRuleInput{Priority: aws.Int32(9), Actions: to("tg/web"), Conditions: ahead})
	require.NoError(t, err)
	for _, c := range w.Spec().Customers {
		want := homed(c.ID, migration.AWS, 1)
		_, err := a.Reconcile(t.Context(), w.Spec(), want)
		require.NoError(t, err)
		side, what := w.Serves(t, c.Hosts[0], "/api/x")
		require.Equal(t, "aws api", string(side)+" "+what)
		states, err := a.Verify(t.Context(), w.Spec(), want)
		require.NoError(t, err)
		require.Empty(t, states[c.ID].Wrong)
	}
	require.Positive(t, f.count("SetRulePriorities"))
	require.True(t, slices.ContainsFunc(f.rules, func(r types.Rule) bool { return *r.Priority == "9" }), "the other's rule stays")
}

// Many Moves in a row: each one's writes go by what the one before saw last.
func TestARouteIsWrittenByTheLookOfAMomentAgoAndThenLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeELB()
		w := routetest.NewALB(t, place(f))
		r := w.NewRouter()
		require.NoError(t, r.Record(t.Context(), w.Spec()))
		move := func(customer string, token int64) (looks int) {
			f.count("DescribeRules")
			began := time.Now()
			got, err := r.Reconcile(t.Context(), w.Spec(), homed(customer, migration.AWS, token))
			require.NoError(t, err)
			require.Empty(t, got[customer].Wrong)
			require.False(t, got[customer].Set.Before(began), "%s before %s", got[customer].Set, began)
			return f.count("DescribeRules")
		}
		time.Sleep(2 * time.Second)
		require.Equal(t, 2, move("c01", 2))
		require.Equal(t, 1, move("c02", 2))
		require.Equal(t, 1, move("c02", 3), "what needs no write is looked at all the same")
		f.mu.Lock()
		f.rules = slices.DeleteFunc(f.rules, func(r types.Rule) bool { return r.Actions[0].ForwardConfig != nil })
		f.mu.Unlock()
		require.Equal(t, 2, move("c03", 2), "the look of a moment ago was wrong by then: its own look says so")
		for _, c := range []string{"c01", "c02", "c03"} {
			_, err := r.Reconcile(t.Context(), w.Spec(), homed(c, migration.AWS, 3))
			require.NoError(t, err)
			side, _ := w.Serves(t, c+".app.example.com", "/")
			require.Equal(t, migration.AWS, side)
		}
	})
}

// A route is set only if nothing that comes first takes the customer's requests.
func TestAReconcileSaysThatARuleOfSomebodyElseComesFirst(t *testing.T) {
	f := newFakeELB()
	w := routetest.NewALB(t, place(f))
	r := w.NewRouter()
	require.NoError(t, r.Record(t.Context(), w.Spec()))
	first := []types.RuleCondition{{Field: aws.String("host-header"),
		HostHeaderConfig: &types.HostHeaderConditionConfig{Values: []string{"c01.app.example.com"}}}}
	_, err := f.CreateRule(t.Context(), &elb.CreateRuleInput{Priority: aws.Int32(1), Actions: to("tg/web"), Conditions: first})
	require.NoError(t, err)
	got, err := r.Reconcile(t.Context(), w.Spec(), append(homed("c01", migration.AWS, 2), homed("c02", migration.AWS, 2)...))
	require.NoError(t, err)
	require.Contains(t, got["c01"].Wrong, "which is not Drover's, has priority 1 and takes requests to c01.app.example.com")
	require.Empty(t, got["c02"].Wrong)
}

// A plan is aborted and submitted again: what one worker deleted and made anew, another one still
// knows by its old ARN.
func TestAWorkerDoesNotKeepToATargetGroupThatIsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := routetest.NewALB(t, place(newFakeELB()))
		one, other := w.NewRouter(), w.NewRouter()
		customer := w.Spec().Customers[0]
		move := func(r routetest.Router, to migration.Side, token int64) {
			_, err := r.Reconcile(t.Context(), w.Spec(), homed(customer.ID, to, token))
			require.NoError(t, err)
			side, _ := w.Serves(t, customer.Hosts[0], "/api/x")
			require.Equal(t, to, side)
		}
		require.NoError(t, one.Record(t.Context(), w.Spec()))
		move(other, migration.AWS, 2)
		move(other, migration.OnPrem, 3)
		_, err := one.Restore(t.Context(), w.Spec(), everyone(w, migration.OnPrem))
		require.NoError(t, err)
		require.NoError(t, one.Record(t.Context(), w.Spec()))

		ensure := func(r routetest.Router) string {
			g, err := r.(*alb.Router).EnsureGroup(t.Context(), w.Spec().Targets[0], w.Spec().Plan, w.Spec().Workloads[0])
			require.NoError(t, err)
			return g
		}
		require.Equal(t, ensure(one), ensure(other), "a workflow takes it on")
		time.Sleep(time.Minute)
		move(other, migration.AWS, 1) // of the second submit, whose tokens begin anew
		states, err := other.Verify(t.Context(), w.Spec(), homed(customer.ID, migration.AWS, 1))
		require.NoError(t, err)
		require.Empty(t, states[customer.ID].Wrong)
	})
}
