package alb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// facts are answers that cannot change while what they are about exists, kept because the time to
// ask again is spent while a customer's clients wait. ARNs are never used twice, so an entry can be
// useless but not wrong. Only groups are found by something else than their ARN: another worker may
// have deleted one and made it anew.
type facts struct {
	mu     sync.Mutex
	owned  map[string]ownership // rule ARN -> its tags, of rules that Drover made
	groups map[groupKey]found   // target group of a workload on AWS
	fronts map[string]front     // listener ARN -> how clients reach it
}

// found is a target group's ARN as it was at a time.
type found struct {
	arn string
	at  time.Time
}

// groupFresh is how long a target group is not asked for again: many Moves in a row ask once, and a
// worker that does not know of an abort and a new submit is wrong for no longer than this. Its
// writes with an ARN that is no more are refused, and tried again.
const groupFresh = time.Minute

type ownership struct{ plan, route, workload string }

type groupKey struct{ region, account, plan, workload string }

type front struct {
	host  string
	port  int
	https bool
	lb    string // load balancer ARN
	zone  string // hosted zone of its name
}

// groupName is the name of a workload's group on AWS: readable, at most ALB's 32 characters, and
// the same for everyone who asks. ELB allows a name once per account and region, which is what
// makes finding or creating it safe for any number of callers.
func groupName(plan, workload string) string {
	sum := sha256.Sum256([]byte(plan + "\x00" + workload))
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, workload)
	if len(word) > 14 {
		word = word[:14]
	}
	return "drover-" + strings.Trim(word, "-") + "-" + hex.EncodeToString(sum[:5])
}

// group is the target group of a workload on AWS, as AWS said within fresh; "" when it has not been
// made yet.
func (rt *Router) group(ctx context.Context, c ELB, t migration.Target, plan, workload string, fresh time.Duration) (string, error) {
	rt.facts.mu.Lock()
	known := rt.facts.groups[groupKey{t.Region, t.Account, plan, workload}]
	rt.facts.mu.Unlock()
	if time.Since(known.at) < fresh {
		return known.arn, nil
	}
	return rt.findGroup(ctx, c, t, plan, workload)
}

// findGroup asks AWS for the target group of a workload; "" when it has not been made yet.
func (rt *Router) findGroup(ctx context.Context, c ELB, t migration.Target, plan, workload string) (string, error) {
	asked := time.Now()
	name := groupName(plan, workload)
	if err := rt.reads.Wait(ctx); err != nil {
		return "", err
	}
	out, err := c.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{Names: []string{name}})
	var missing *types.TargetGroupNotFoundException
	if errors.As(err, &missing) || err == nil && len(out.TargetGroups) == 0 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find target group %s of workload %q: %w", name, workload, err)
	}
	arn := aws.ToString(out.TargetGroups[0].TargetGroupArn)
	tags, err := rt.tags(ctx, c, []string{arn})
	if err != nil {
		return "", err
	}
	if tags[arn][tagPlan] != plan || tags[arn][tagWorkload] != workload {
		return "", permanent.New("ForeignTargetGroup", nil, "target group %s is not tagged %s=%s, %s=%s: it is not Drover's; rename or "+
			"delete it", name, tagPlan, plan, tagWorkload, workload)
	}
	rt.facts.mu.Lock()
	rt.facts.groups[groupKey{t.Region, t.Account, plan, workload}] = found{arn, asked}
	rt.facts.mu.Unlock()
	return arn, nil
}

// forget drops what is known of a group that was deleted.
func (rt *Router) forget(t migration.Target, plan, workload string) {
	rt.facts.mu.Lock()
	defer rt.facts.mu.Unlock()
	delete(rt.facts.groups, groupKey{t.Region, t.Account, plan, workload})
}

// tags reads the tags of resources, 20 a call: what ELB allows.
func (rt *Router) tags(ctx context.Context, c ELB, arns []string) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	for some := range slices.Chunk(arns, 20) {
		if err := rt.reads.Wait(ctx); err != nil {
			return nil, err
		}
		got, err := c.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: some})
		if err != nil {
			return nil, fmt.Errorf("read the tags of %d load balancer rules or target groups: %w", len(some), err)
		}
		for _, d := range got.TagDescriptions {
			m := map[string]string{}
			for _, t := range d.Tags {
				m[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			out[aws.ToString(d.ResourceArn)] = m
		}
	}
	return out, nil
}

// front finds how clients reach a listener.
func (rt *Router) front(ctx context.Context, t migration.Target, arn string) (front, error) {
	rt.facts.mu.Lock()
	f, ok := rt.facts.fronts[arn]
	rt.facts.mu.Unlock()
	if ok {
		return f, nil
	}
	c, err := rt.clients.ELB(ctx, t)
	if err != nil {
		return front{}, err
	}
	if err := rt.reads.Wait(ctx); err != nil {
		return front{}, err
	}
	ls, err := c.DescribeListeners(ctx, &elb.DescribeListenersInput{ListenerArns: []string{arn}})
	if err != nil {
		return front{}, fmt.Errorf("describe listener %s: %w", arn, err)
	}
	if len(ls.Listeners) == 0 {
		return front{}, permanent.New("NoListener", nil,
			"listener %s does not exist in account %s, region %s; correct the route's listener", arn, t.Account, t.Region)
	}
	l := ls.Listeners[0]
	lbs, err := c.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{aws.ToString(l.LoadBalancerArn)}})
	if err != nil {
		return front{}, fmt.Errorf("describe the load balancer of listener %s: %w", arn, err)
	}
	if len(lbs.LoadBalancers) == 0 {
		return front{}, fmt.Errorf("describe the load balancer of listener %s: AWS does not name it", arn)
	}
	f = front{host: aws.ToString(lbs.LoadBalancers[0].DNSName), port: int(aws.ToInt32(l.Port)),
		https: l.Protocol == types.ProtocolEnumHttps, lb: aws.ToString(l.LoadBalancerArn),
		zone: aws.ToString(lbs.LoadBalancers[0].CanonicalHostedZoneId)}
	rt.facts.mu.Lock()
	rt.facts.fronts[arn] = f
	rt.facts.mu.Unlock()
	return f, nil
}

// Listener says how clients reach a listener: the load balancer's DNS name, the port, and whether
// it speaks HTTPS. It is asked of AWS once.
func (rt *Router) Listener(ctx context.Context, t migration.Target, arn string) (host string, port int, https bool, err error) {
	f, err := rt.front(ctx, t, arn)
	return f.host, f.port, f.https, err
}
