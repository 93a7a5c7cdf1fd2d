package awstest

import (
	"context"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/activities/traffic/routetest"
	"github.com/drover-migration/drover/migration"
)

// newListener is a load balancer whose listener sends everybody to web on premises.
func newListener(t *testing.T) routetest.ALBPlace {
	t.Helper()
	target, cfg := newTarget(t)
	c := elb.NewFromConfig(cfg)
	lb, err := c.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: sdk.String("edge"), Subnets: target.Subnets, Type: types.LoadBalancerTypeEnumApplication})
	require.NoError(t, err)
	group := func(name string) string {
		g, err := c.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: &name, VpcId: &target.VPC, Protocol: types.ProtocolEnumHttp, Port: sdk.Int32(8080), TargetType: types.TargetTypeEnumIp})
		require.NoError(t, err)
		return *g.TargetGroups[0].TargetGroupArn
	}
	web, api := group("onprem-web"), group("onprem-api")
	l, err := c.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Protocol: types.ProtocolEnumHttp, Port: sdk.Int32(80),
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &web}}})
	require.NoError(t, err)
	return routetest.ALBPlace{Client: c, Target: target, Listener: *l.Listeners[0].ListenerArn, Web: web, API: api}
}

func TestALBRoutesAsTheSuiteSays(t *testing.T) {
	routetest.Run(t, func(t *testing.T) routetest.World { return routetest.NewALB(t, newListener(t)) })
}

func TestCheckRouteFindsNothingWrong(t *testing.T) {
	w := routetest.NewALB(t, newListener(t))
	got, err := w.NewRouter().(*traffic.Activities).CheckRoute(t.Context(), traffic.CheckRouteRequest{Spec: w.Ref()})
	require.NoError(t, err)
	require.Empty(t, got.Findings)
}

// The route follows while a customer's clients wait: between the commit at the destination and the rule there are these calls.
func TestAMovesRouteIsFast(t *testing.T) {
	w := routetest.NewALB(t, newListener(t))
	r := w.NewRouter()
	require.NoError(t, r.RecordRoute(t.Context(), traffic.RecordRouteRequest{Spec: w.Ref()}))
	var took []time.Duration
	for i, c := range slices.Concat(w.Spec().Customers, w.Spec().Customers) {
		w.SetHome(c.ID, []migration.Side{migration.AWS, migration.OnPrem}[i/len(w.Spec().Customers)])
		start := time.Now()
		_, err := r.ReconcileRoute(t.Context(), traffic.ReconcileRouteRequest{Spec: w.Ref(), Customer: c.ID})
		require.NoError(t, err)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("reconcile over moto: median %v, max %v", took[len(took)/2], took[len(took)-1])
	require.Less(t, took[len(took)/2], 500*time.Millisecond, "aim: 150 ms on an idle machine")
}

func TestTargetsAreRegisteredAwaitedAndExplained(t *testing.T) {
	at := newListener(t)
	a := traffic.New(traffic.ClientsFunc(func(context.Context, migration.Target) (traffic.ELB, error) { return at.Client, nil }), nil, nil, nil)
	w := migration.Workload{Name: "web", Ingress: &migration.Ingress{Port: 18080, Protocol: "http", Paths: []string{"/*"}}}
	groups := make(chan string, 16)
	for range cap(groups) {
		go func() {
			g, err := a.EnsureTargetGroup(t.Context(), traffic.EnsureTargetGroupRequest{Plan: "p", Target: at.Target, Workload: w})
			if err != nil {
				t.Error(err)
			}
			groups <- g.ARN
		}()
	}
	group := <-groups
	for range cap(groups) - 1 {
		require.Equal(t, group, <-groups)
	}
	again, err := traffic.New(traffic.ClientsFunc(func(context.Context, migration.Target) (traffic.ELB, error) { return at.Client, nil }), nil, nil, nil).
		EnsureTargetGroup(t.Context(), traffic.EnsureTargetGroupRequest{Plan: "p", Target: at.Target, Workload: w})
	require.NoError(t, err)
	require.Equal(t, group, again.ARN)

	world := routetest.NewALB(t, at)
	require.NoError(t, world.NewRouter().RecordRoute(t.Context(), traffic.RecordRouteRequest{Spec: world.Ref()}))
	web, _ := world.Spec().Workload("web")
	attached, err := a.EnsureTargetGroup(t.Context(), traffic.EnsureTargetGroupRequest{Plan: world.Spec().Plan, Target: at.Target, Workload: web})
	require.NoError(t, err)
	group = attached.ARN
	const address = "127.251.1.77"
	for range 2 {
		require.NoError(t, a.RegisterTargets(t.Context(), traffic.RegisterTargetsRequest{Target: at.Target, TargetGroup: group, Addresses: []string{address}, Port: 18080}))
	}
	short, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	err = a.AwaitTargets(short, traffic.AwaitTargetsRequest{Target: at.Target, TargetGroup: group, Want: 1})
	require.ErrorContains(t, err, address+":18080 is unhealthy", "nobody answers there yet")

	serve(t, address+":18080")
	require.NoError(t, a.AwaitTargets(t.Context(), traffic.AwaitTargetsRequest{Target: at.Target, TargetGroup: group, Want: 1}))
	targets, err := a.TargetHealth(t.Context(), at.Target, group)
	require.NoError(t, err)
	require.Len(t, targets, 1)

	host, port, https, err := a.Listener(t.Context(), at.Target, at.Listener)
	require.NoError(t, err)
	require.NotEmpty(t, host)
	require.Equal(t, 80, port)
	require.False(t, https)
}

// serve answers every request at an address until the test ends.
func serve(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Second}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
}
