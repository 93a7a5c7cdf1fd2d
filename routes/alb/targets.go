package alb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/drover-migration/drover/internal/await"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// Health checks of the group, in seconds and answers in a row: as fast as ALB allows, since a
// cutover waits for them.
const (
	checkInterval, checkTimeout = 5, 2
	checksToChange              = 2
)

// EnsureGroup finds or creates the workload's group of IP targets and answers its ARN. Its name
// follows from plan and workload and exists once in an account and region, so any number of calls
// make one.
func (rt *Router) EnsureGroup(ctx context.Context, target migration.Target, plan string, w migration.Workload) (string, error) {
	in := w.Ingress
	if in == nil {
		return "", permanent.New("NoIngress", nil, "workload %q has no ingress, so no target group; give it one or take it off the route",
			w.Name)
	}
	c, err := rt.clients.ELB(ctx, target)
	if err != nil {
		return "", err
	}
	arn, err := rt.findGroup(ctx, c, target, plan, w.Name)
	if err != nil || arn != "" {
		return arn, err
	}
	if err := rt.writes.Wait(ctx); err != nil {
		return "", err
	}
	protocol := types.ProtocolEnum(strings.ToUpper(in.Protocol))
	_, err = c.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name:                       aws.String(groupName(plan, w.Name)),
		TargetType:                 types.TargetTypeEnumIp,
		VpcId:                      &target.VPC,
		Protocol:                   protocol,
		Port:                       aws.Int32(int32(in.Port)), //nolint:gosec // a port
		HealthCheckProtocol:        protocol,
		HealthCheckPath:            aws.String(in.HealthCheckPath()),
		HealthCheckIntervalSeconds: aws.Int32(checkInterval),
		HealthCheckTimeoutSeconds:  aws.Int32(checkTimeout),
		HealthyThresholdCount:      aws.Int32(checksToChange),
		UnhealthyThresholdCount:    aws.Int32(checksToChange),
		Matcher:                    &types.Matcher{HttpCode: aws.String("200-299")},
		Tags:                       tagList(target.Tags, map[string]string{tagPlan: plan, tagWorkload: w.Name}),
	})
	var exists *types.DuplicateTargetGroupNameException
	if err != nil && !errors.As(err, &exists) {
		return "", fmt.Errorf("create a target group for workload %q in %s: %w", w.Name, target.VPC, explain(err))
	}
	arn, err = rt.findGroup(ctx, c, target, plan, w.Name)
	if err == nil && arn == "" {
		err = fmt.Errorf("target group of workload %q: created, and not found yet", w.Name)
	}
	return arn, err
}

// Register adds addresses to a group. It removes none: a late repeat must not take away what a
// newer call added. Adding what is there changes nothing.
func (rt *Router) Register(ctx context.Context, target migration.Target, group string, addresses []string, port int) error {
	if len(addresses) == 0 {
		return nil
	}
	c, err := rt.clients.ELB(ctx, target)
	if err != nil {
		return err
	}
	in := &elb.RegisterTargetsInput{TargetGroupArn: &group}
	for _, ip := range addresses {
		in.Targets = append(in.Targets, types.TargetDescription{Id: aws.String(ip), Port: aws.Int32(int32(port))}) //nolint:gosec // a port
	}
	if err := rt.writes.Wait(ctx); err != nil {
		return err
	}
	if _, err := c.RegisterTargets(ctx, in); err != nil {
		return fmt.Errorf("register %s port %d with target group %s: %w", strings.Join(addresses, ", "), port, group, explain(err))
	}
	return nil
}

// AwaitTargets waits until want targets are healthy, or none registered is unhealthy and want is 0,
// and tells say what it sees. When ctx ends first, its error says which targets are not healthy and
// why. It only reads.
func (rt *Router) AwaitTargets(ctx context.Context, target migration.Target, group string, want int, say func(string)) error {
	what := fmt.Sprintf("target group %s needs %d healthy targets", group, want)
	return await.Until(ctx, what, say, func() (bool, string, error) {
		all, err := rt.targetHealth(ctx, target, group)
		if err != nil {
			return false, "", err
		}
		bad := slices.DeleteFunc(slices.Clone(all), func(t TargetHealth) bool { return t.State == "healthy" })
		healthy := len(all) - len(bad)
		return healthy >= want && (want > 0 || len(bad) == 0), unhealthy(healthy, bad), nil
	})
}

func unhealthy(healthy int, bad []TargetHealth) string {
	why := make([]string, len(bad))
	for i, t := range bad {
		why[i] = t.String()
	}
	if len(why) == 0 {
		why = []string{"no others are registered"}
	}
	return fmt.Sprintf(
		"%d are healthy, %s; look at the workload's own log, and at its security groups, which must let the load balancer in",
		healthy, strings.Join(why, "; "))
}

// TargetHealth is one target of a group, as the load balancer sees it.
type TargetHealth struct {
	ID     string `json:"id"` // an IP address
	Port   int    `json:"port"`
	State  string `json:"state"`            // healthy | unhealthy | initial | draining | unused | unavailable
	Reason string `json:"reason,omitempty"` // ELB's code and words
}

func (t TargetHealth) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s:%d is %s %s", t.ID, t.Port, t.State, t.Reason))
}

// freshFor is how long the health of a group is answered from memory: the probes of all customers
// of a workload ask for the same, and the load balancer itself checks a target every 5 s at most.
const freshFor = time.Second

// sighting is what a group's targets looked like. Whoever asks AWS holds its turn; the others wait
// for what that one sees.
type sighting struct {
	turn    chan struct{}
	at      time.Time
	targets []TargetHealth
}

// TargetHealth reads the health of every target of a group, as it was at most a second ago.
func (rt *Router) TargetHealth(ctx context.Context, t migration.Target, group string) ([]TargetHealth, error) {
	rt.seenMu.Lock()
	s := rt.seen[group]
	if s == nil {
		s = &sighting{turn: make(chan struct{}, 1)}
		rt.seen[group] = s
	}
	rt.seenMu.Unlock()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the health of target group %s: %w", group, ctx.Err())
	}
	defer func() { <-s.turn }()
	if time.Since(s.at) >= freshFor {
		out, err := rt.targetHealth(ctx, t, group)
		if err != nil {
			return nil, err
		}
		s.at, s.targets = time.Now(), out
	}
	return slices.Clone(s.targets), nil
}

func (rt *Router) targetHealth(ctx context.Context, t migration.Target, group string) ([]TargetHealth, error) {
	c, err := rt.clients.ELB(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := rt.watch.Wait(ctx); err != nil {
		<-ctx.Done() // the turn would come after the deadline, which is near: the answer is what was seen last
		return nil, ctx.Err()
	}
	got, err := c.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &group})
	if err != nil {
		return nil, fmt.Errorf("read the health of target group %s: %w", group, err)
	}
	out := make([]TargetHealth, 0, len(got.TargetHealthDescriptions))
	for _, d := range got.TargetHealthDescriptions {
		h := TargetHealth{ID: aws.ToString(d.Target.Id), Port: int(aws.ToInt32(d.Target.Port))}
		if d.TargetHealth != nil {
			h.State = string(d.TargetHealth.State)
			h.Reason = strings.TrimSpace(string(d.TargetHealth.Reason) + " " + aws.ToString(d.TargetHealth.Description))
		}
		out = append(out, h)
	}
	return out, nil
}
