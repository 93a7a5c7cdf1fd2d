package alb

import (
	"context"
	"sync"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"golang.org/x/time/rate"

	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// ELB is what this package uses of *elasticloadbalancingv2.Client.
type ELB interface {
	DescribeListeners(context.Context, *elb.DescribeListenersInput, ...func(*elb.Options)) (*elb.DescribeListenersOutput, error)
	DescribeLoadBalancers(context.Context, *elb.DescribeLoadBalancersInput, ...func(*elb.Options)) (*elb.DescribeLoadBalancersOutput, error)
	DescribeRules(context.Context, *elb.DescribeRulesInput, ...func(*elb.Options)) (*elb.DescribeRulesOutput, error)
	DescribeTags(context.Context, *elb.DescribeTagsInput, ...func(*elb.Options)) (*elb.DescribeTagsOutput, error)
	DescribeTargetGroups(context.Context, *elb.DescribeTargetGroupsInput, ...func(*elb.Options)) (*elb.DescribeTargetGroupsOutput, error)
	DescribeTargetGroupAttributes(context.Context, *elb.DescribeTargetGroupAttributesInput,
		...func(*elb.Options)) (*elb.DescribeTargetGroupAttributesOutput, error)
	DescribeTargetHealth(context.Context, *elb.DescribeTargetHealthInput, ...func(*elb.Options)) (*elb.DescribeTargetHealthOutput, error)
	DescribeAccountLimits(context.Context, *elb.DescribeAccountLimitsInput, ...func(*elb.Options)) (*elb.DescribeAccountLimitsOutput, error)

	CreateRule(context.Context, *elb.CreateRuleInput, ...func(*elb.Options)) (*elb.CreateRuleOutput, error)
	ModifyRule(context.Context, *elb.ModifyRuleInput, ...func(*elb.Options)) (*elb.ModifyRuleOutput, error)
	DeleteRule(context.Context, *elb.DeleteRuleInput, ...func(*elb.Options)) (*elb.DeleteRuleOutput, error)
	SetRulePriorities(context.Context, *elb.SetRulePrioritiesInput, ...func(*elb.Options)) (*elb.SetRulePrioritiesOutput, error)
	CreateTargetGroup(context.Context, *elb.CreateTargetGroupInput, ...func(*elb.Options)) (*elb.CreateTargetGroupOutput, error)
	DeleteTargetGroup(context.Context, *elb.DeleteTargetGroupInput, ...func(*elb.Options)) (*elb.DeleteTargetGroupOutput, error)
	RegisterTargets(context.Context, *elb.RegisterTargetsInput, ...func(*elb.Options)) (*elb.RegisterTargetsOutput, error)
}

var _ ELB = (*elb.Client)(nil)

// Clients gives the client of a target; the worker keeps one for each.
type Clients interface {
	ELB(ctx context.Context, t migration.Target) (ELB, error)
}

// ClientsFunc is a Clients of one function.
type ClientsFunc func(ctx context.Context, t migration.Target) (ELB, error)

// ELB calls f.
func (f ClientsFunc) ELB(ctx context.Context, t migration.Target) (ELB, error) { return f(ctx, t) }

// Router routes the customers of plans. It is safe for concurrent use.
type Router struct {
	clients Clients
	bucket  objects.Bucket

	reads, writes, watch *rate.Limiter

	passes routes.Passes[*view]
	looks  looks
	told   routes.Told
	facts  facts

	seenMu sync.Mutex
	seen   map[string]*sighting // target group ARN -> its targets' health a moment ago
}

// ELB throttles an account per region by token buckets; the one of Describe calls holds 40 and the
// others' sizes are not published
// (https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html). This
// pace leaves the account's other users of the API room; where it is still too much, the client's
// adaptive retries slow down further.
const (
	readsPerSecond, readBurst   = 20, 30
	writesPerSecond, writeBurst = 10, 20
	watchPerSecond, watchBurst  = 5, 10 // of targets' health: apart, so that watching never delays a route
)

// Option changes how a router is built.
type Option func(*Router)

// WithPace sets how many calls a second may read and write rules, for accounts whose limits were
// raised.
func WithPace(reads, writes float64) Option {
	return func(rt *Router) {
		rt.reads.SetLimit(rate.Limit(reads))
		rt.writes.SetLimit(rate.Limit(writes))
	}
}

// New builds a router; bucket keeps what stood on a listener before Drover came.
func New(clients Clients, bucket objects.Bucket, opts ...Option) *Router {
	rt := &Router{
		clients: clients, bucket: bucket,
		reads:  rate.NewLimiter(readsPerSecond, readBurst),
		writes: rate.NewLimiter(writesPerSecond, writeBurst),
		watch:  rate.NewLimiter(watchPerSecond, watchBurst),
		looks:  looks{byLane: map[string]look{}},
		facts:  facts{owned: map[string]ownership{}, groups: map[groupKey]found{}, fronts: map[string]front{}},
		seen:   map[string]*sighting{},
	}
	for _, o := range opts {
		o(rt)
	}
	return rt
}
