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

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/routes/routetest"
)

// newListener is a load balancer whose listener sends everybody to web on premises.
func newListener(t *testing.T) routetest.ALBPlace {
	t.Helper()
	target, cfg := newTarget(t)
	c := elb.NewFromConfig(cfg)
	lb, err := c.CreateLoadBalancer(t.Context(),
		&elb.CreateLoadBalancerInput{Name: sdk.String("edge"), Subnets: target.Subnets, Type: types.LoadBalancerTypeEnumApplication})
	require.NoError(t, err)
	group := func(name string) string {
		g, err := c.CreateTargetGroup(t.Context(),
			&elb.CreateTargetGroupInput{Name: &name, VpcId: &target.VPC, Protocol: types.ProtocolEnumHttp, Port: sdk.Int32(8080),
				TargetType: types.TargetTypeEnumIp})
		require.NoError(t, err)
		return *g.TargetGroups[0].TargetGroupArn
	}
	web, api := group("onprem-web"), group("onprem-api")
	l, err := c.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn,
		Protocol: types.ProtocolEnumHttp, Port: sdk.Int32(80),
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &web}}})
	require.NoError(t, err)
	return routetest.ALBPlace{Client: c, Target: target, Listener: *l.Listeners[0].ListenerArn, Web: web, API: api}
}

func TestALBRoutesAsTheSuiteSays(t *testing.T) {
	routetest.Run(t, func(t *testing.T) routetest.World { return routetest.NewALB(t, newListener(t)) })
}

func TestCheckRouteFindsNothingWrong(t *testing.T) {
	w := routetest.NewALB(t, newListener(t))
	got, err := w.NewRouter().(*alb.Router).Check(t.Context(), w.Spec())
	require.NoError(t, err)
	require.Empty(t, got)
}

// The route follows while a customer's clients wait: between the commit at the destination and the
// rule there are these calls.
func TestAMovesRouteIsFast(t *testing.T) {
	w := routetest.NewALB(t, newListener(t))
	r := w.NewRouter()
	require.NoError(t, r.Record(t.Context(), w.Spec()))
	var took []time.Duration
	for i, c := range slices.Concat(w.Spec().Customers, w.Spec().Customers) {
		side := []migration.Side{migration.AWS, migration.OnPrem}[i/len(w.Spec().Customers)]
		start := time.Now()
		_, err := r.Reconcile(t.Context(), w.Spec(), []routes.Wanted{{Customer: c.ID, Side: side, Token: int64(i + 1)}})
		require.NoError(t, err)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("reconcile over moto: median %v, max %v", took[len(took)/2], took[len(took)-1])
	require.Less(t, took[len(took)/2], 500*time.Millisecond, "aim: 150 ms on an idle machine")
}

func TestTargetsAreRegisteredAwaitedAndExplained(t *testing.T) {
	at := newListener(t)
	a := alb.New(alb.ClientsFunc(func(context.Context, migration.Target) (alb.ELB, error) { return at.Client, nil }), nil)
	w := migration.Workload{Name: "web", Ingress: &migration.Ingress{Port: 18080, Protocol: "http", Paths: []string{"/*"}}}
	groups := make(chan string, 16)
	for range cap(groups) {
		go func() {
			g, err := a.EnsureGroup(t.Context(), at.Target, "p", w)
			if err != nil {
				t.Error(err)
			}
			groups <- g
		}()
	}
	group := <-groups
	for range cap(groups) - 1 {
		require.Equal(t, group, <-groups)
	}
	again, err := alb.New(alb.ClientsFunc(func(context.Context, migration.Target) (alb.ELB, error) { return at.Client, nil }), nil).
		EnsureGroup(t.Context(), at.Target, "p", w)
	require.NoError(t, err)
	require.Equal(t, group, again)

	world := routetest.NewALB(t, at)
	require.NoError(t, world.NewRouter().Record(t.Context(), world.Spec()))
	web, _ := world.Spec().Workload("web")
	attached, err := a.EnsureGroup(t.Context(), at.Target, world.Spec().Plan, web)
	require.NoError(t, err)
	group = attached
	const address = "127.251.1.77"
	for range 2 {
		require.NoError(t, a.Register(t.Context(), at.Target, group, []string{address}, 18080))
	}
	short, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	err = a.AwaitTargets(short, at.Target, group, 1, func(string) {})
	require.ErrorContains(t, err, address+":18080 is unhealthy", "nobody answers there yet")

	serve(t, address+":18080")
	require.NoError(t, a.AwaitTargets(t.Context(), at.Target, group, 1, func(string) {}))
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
