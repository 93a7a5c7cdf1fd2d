package traffic

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
	"go.temporal.io/sdk/activity"

	"github.com/drover-migration/drover/migration"
)

// EnsureTargetGroupRequest names a workload with an ingress.
type EnsureTargetGroupRequest struct {
	Plan     string             `json:"plan"`
	Target   migration.Target   `json:"target"`
	Workload migration.Workload `json:"workload"`
}

// TargetGroup is a workload's group on AWS.
type TargetGroup struct {
	ARN string `json:"arn"`
}

// Health checks of the group, in seconds and answers in a row: as fast as ALB allows, since a cutover waits for them.
const (
	checkInterval, checkTimeout = 5, 2
	checksToChange              = 2
)

// EnsureTargetGroup finds or creates the workload's group of IP targets. Its name follows from plan and workload and exists once in
// an account and region, so any number of calls make one.
func (a *Activities) EnsureTargetGroup(ctx context.Context, req EnsureTargetGroupRequest) (TargetGroup, error) {
	in := req.Workload.Ingress
	if in == nil {
		return TargetGroup{}, permanent("NoIngress", nil, "workload %q has no ingress, so no target group; give it one or take it off the route", req.Workload.Name)
	}
	c, err := a.clients.ELB(ctx, req.Target)
	if err != nil {
		return TargetGroup{}, err
	}
	arn, err := a.findGroup(ctx, c, req.Target, req.Plan, req.Workload.Name)
	if err != nil || arn != "" {
		return TargetGroup{ARN: arn}, err
	}
	if err := a.writes.Wait(ctx); err != nil {
		return TargetGroup{}, err
	}
	protocol := types.ProtocolEnum(strings.ToUpper(in.Protocol))
	_, err = c.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name:                       aws.String(groupName(req.Plan, req.Workload.Name)),
		TargetType:                 types.TargetTypeEnumIp,
		VpcId:                      &req.Target.VPC,
		Protocol:                   protocol,
		Port:                       aws.Int32(int32(in.Port)), //nolint:gosec // a port
		HealthCheckProtocol:        protocol,
		HealthCheckPath:            aws.String(in.HealthCheckPath()),
		HealthCheckIntervalSeconds: aws.Int32(checkInterval),
		HealthCheckTimeoutSeconds:  aws.Int32(checkTimeout),
		HealthyThresholdCount:      aws.Int32(checksToChange),
		UnhealthyThresholdCount:    aws.Int32(checksToChange),
		Matcher:                    &types.Matcher{HttpCode: aws.String("200-299")},
		Tags:                       tagList(req.Target.Tags, map[string]string{tagPlan: req.Plan, tagWorkload: req.Workload.Name}),
	})
	var exists *types.DuplicateTargetGroupNameException
	if err != nil && !errors.As(err, &exists) {
		return TargetGroup{}, fmt.Errorf("create a target group for workload %q in %s: %w", req.Workload.Name, req.Target.VPC, explain(err))
	}
	arn, err = a.findGroup(ctx, c, req.Target, req.Plan, req.Workload.Name)
	if err == nil && arn == "" {
		err = fmt.Errorf("target group of workload %q: created, and not found yet", req.Workload.Name)
	}
	return TargetGroup{ARN: arn}, err
}

// RegisterTargetsRequest names addresses to add to a group.
type RegisterTargetsRequest struct {
	Target      migration.Target `json:"target"`
	TargetGroup string           `json:"targetGroup"`
	Addresses   []string         `json:"addresses"`
	Port        int              `json:"port"`
}

// RegisterTargets adds addresses to a group. It removes none: a late repeat must not take away what a newer call added. Adding what is
// there changes nothing.
func (a *Activities) RegisterTargets(ctx context.Context, req RegisterTargetsRequest) error {
	if len(req.Addresses) == 0 {
		return nil
	}
	c, err := a.clients.ELB(ctx, req.Target)
	if err != nil {
		return err
	}
	in := &elb.RegisterTargetsInput{TargetGroupArn: &req.TargetGroup}
	for _, ip := range req.Addresses {
		in.Targets = append(in.Targets, types.TargetDescription{Id: aws.String(ip), Port: aws.Int32(int32(req.Port))}) //nolint:gosec // a port
	}
	if err := a.writes.Wait(ctx); err != nil {
		return err
	}
	if _, err := c.RegisterTargets(ctx, in); err != nil {
		return fmt.Errorf("register %s port %d with target group %s: %w", strings.Join(req.Addresses, ", "), req.Port, req.TargetGroup, explain(err))
	}
	return nil
}

// AwaitTargetsRequest says how many targets must be healthy.
type AwaitTargetsRequest struct {
	Target      migration.Target `json:"target"`
	TargetGroup string           `json:"targetGroup"`
	Want        int              `json:"want"`
}

const (
	askEvery = time.Second
	// lastWord is how long before its time-out an activity gives up by itself, so that its error says what it was waiting for.
	lastWord = 2 * time.Second
)

// AwaitTargets waits until Want targets are healthy, or none registered is unhealthy and Want is 0. Shortly before its time-out it
// answers an error that says which targets are not healthy and why. It only reads.
func (a *Activities) AwaitTargets(ctx context.Context, req AwaitTargetsRequest) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		all, err := a.targetHealth(ctx, req.Target, req.TargetGroup)
		if err != nil {
			return err
		}
		bad := slices.DeleteFunc(slices.Clone(all), func(t TargetHealth) bool { return t.State == "healthy" })
		if healthy := len(all) - len(bad); healthy >= req.Want && (req.Want > 0 || len(bad) == 0) {
			return nil
		}
		if activity.IsActivity(ctx) {
			activity.RecordHeartbeat(ctx, fmt.Sprintf("%d of %d targets are healthy", len(all)-len(bad), req.Want))
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < lastWord {
			return unhealthy(req, all, bad)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return unhealthy(req, all, bad)
		}
	}
}

func unhealthy(req AwaitTargetsRequest, all, bad []TargetHealth) error {
	why := make([]string, len(bad))
	for i, t := range bad {
		why[i] = t.String()
	}
	if len(why) == 0 {
		why = []string{"no others are registered"}
	}
	return fmt.Errorf("target group %s has %d healthy targets and needs %d: %s; look at the workload's own log, and at its security groups, which must let the load balancer in", req.TargetGroup, len(all)-len(bad), req.Want, strings.Join(why, "; "))
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

// freshFor is how long the health of a group is answered from memory: the probes of all customers of a workload ask for the same, and the
// load balancer itself checks a target every 5 s at most.
const freshFor = time.Second

// sighting is what a group's targets looked like. Whoever asks AWS holds its turn; the others wait for what that one sees.
type sighting struct {
	turn    chan struct{}
	at      time.Time
	targets []TargetHealth
}

// TargetHealth reads the health of every target of a group, as it was at most a second ago.
func (a *Activities) TargetHealth(ctx context.Context, t migration.Target, group string) ([]TargetHealth, error) {
	a.seenMu.Lock()
	s := a.seen[group]
	if s == nil {
		s = &sighting{turn: make(chan struct{}, 1)}
		a.seen[group] = s
	}
	a.seenMu.Unlock()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the health of target group %s: %w", group, ctx.Err())
	}
	defer func() { <-s.turn }()
	if time.Since(s.at) >= freshFor {
		out, err := a.targetHealth(ctx, t, group)
		if err != nil {
			return nil, err
		}
		s.at, s.targets = time.Now(), out
	}
	return slices.Clone(s.targets), nil
}

func (a *Activities) targetHealth(ctx context.Context, t migration.Target, group string) ([]TargetHealth, error) {
	c, err := a.clients.ELB(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := a.watch.Wait(ctx); err != nil {
		return nil, err
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
