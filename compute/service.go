package compute

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/drover-migration/drover/internal/await"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
)

// ServiceRequest names a Fargate workload and, where it has an ingress, the target group its tasks
// join.
type ServiceRequest struct {
	Plan        string
	Target      migration.Target
	Workload    migration.Workload
	TargetGroup string
}

// Service is a Fargate service.
type Service struct {
	ARN            string
	TaskDefinition string
}

// graceSeconds is how long ECS ignores the load balancer's opinion of a new task.
const graceSeconds = 60

// EnsureService makes the workload's service run what the plan says. The task definition is
// registered once for its content; the service's name follows from plan and workload, and a cluster
// has a name once. Twice, it finds both as they should be and writes nothing; cut off between the
// two, the next call finds the first.
func (mk *Maker) EnsureService(ctx context.Context, req ServiceRequest) (Service, error) {
	if req.Workload.Fargate == nil {
		return Service{}, permanent.New("NotFargate", nil, "workload %q has no fargate target", req.Workload.Name)
	}
	c, err := mk.clients.ECS(ctx, req.Target)
	if err != nil {
		return Service{}, err
	}
	return shared(ctx, mk, "service "+short(32, req.Target.Account, req.Target.Region, req.Workload.Fargate.Cluster,
		name(req.Plan, req.Workload.Name)), func() (Service, error) {
		definition, err := mk.ensureTaskDefinition(ctx, c, req)
		if err != nil {
			return Service{}, err
		}
		serviceARN, err := mk.ensureService(ctx, c, req, definition)
		return Service{ARN: serviceARN, TaskDefinition: definition}, err
	})
}

var notInServiceName = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// name is that of the service and of the family of its task definitions: at most 255 characters of
// these.
func name(plan, workload string) string {
	return "drover-" + notInServiceName.ReplaceAllString(plan+"-"+workload, "-") + "-" + short(6, plan, workload)
}

// ensureTaskDefinition answers the family's latest definition when its content is what is wanted,
// and else registers it.
func (mk *Maker) ensureTaskDefinition(ctx context.Context, c ECS, req ServiceRequest) (string, error) {
	in, err := mk.wanted(ctx, req)
	if err != nil {
		return "", err
	}
	content, err := json.Marshal(in)
	if err != nil {
		return "", fmt.Errorf("encode the task definition of workload %q: %w", req.Workload.Name, err)
	}
	hash := short(32, string(content))
	in.Tags = ecsTags(tags(req.Target, req.Plan, req.Workload.Name, map[string]string{tagContent: hash}))
	latest, err := described(ctx, c, *in.Family)
	if err != nil {
		return "", classify(err, "look for the task definition of workload %q", req.Workload.Name)
	}
	if latest.is(hash) {
		return lowest(ctx, c, latest, hash)
	}
	made, err := c.RegisterTaskDefinition(ctx, in)
	if err != nil {
		return "", classify(err, "register the task definition of workload %q", req.Workload.Name)
	}
	return lowest(ctx, c, definition{made.TaskDefinition, made.Tags}, hash)
}

// definition is a revision of a task definition; empty when there is none.
type definition struct {
	*types.TaskDefinition
	tags []types.Tag
}

func (d definition) is(hash string) bool {
	return d.TaskDefinition != nil && d.Status == types.TaskDefinitionStatusActive && hasTag(d.tags, tagContent, hash)
}

func described(ctx context.Context, c ECS, id string) (definition, error) {
	out, err := c.DescribeTaskDefinition(ctx,
		&ecs.DescribeTaskDefinitionInput{TaskDefinition: &id, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
	if has(err, "ClientException", "InvalidParameterException") { // how ECS says that there is none
		return definition{}, nil
	}
	if err != nil {
		return definition{}, err
	}
	return definition{out.TaskDefinition, out.Tags}, nil
}

// lowest is the first of the revisions with the same content that lie right below d: ECS numbers
// whatever it is given, and workers that register the same at once must all come to use the same.
func lowest(ctx context.Context, c ECS, d definition, hash string) (string, error) {
	for d.Revision > 1 {
		before, err := described(ctx, c, fmt.Sprintf("%s:%d", aws.ToString(d.Family), d.Revision-1))
		if err != nil {
			return "", classify(err, "look for earlier revisions of %s", aws.ToString(d.Family))
		}
		if !before.is(hash) {
			break
		}
		d = before
	}
	return aws.ToString(d.TaskDefinitionArn), nil
}

func (mk *Maker) wanted(ctx context.Context, req ServiceRequest) (*ecs.RegisterTaskDefinitionInput, error) {
	f, cfg := req.Workload.Fargate, req.Workload.Config
	container := types.ContainerDefinition{Name: &req.Workload.Name, Image: &f.Image, Essential: aws.Bool(true), Cpu: int32(f.CPU),
		Memory: aws.Int32(int32(f.Memory))} //nolint:gosec // Fargate's sizes are small
	if in := req.Workload.Ingress; in != nil {
		container.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(int32(in.Port)),
			Protocol: types.TransportProtocolTcp}} //nolint:gosec // a port
	}
	for _, k := range slices.Sorted(maps.Keys(cfg.Env)) {
		container.Environment = append(container.Environment, types.KeyValuePair{Name: aws.String(k), Value: aws.String(cfg.Env[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(cfg.Secrets)) {
		from, err := mk.secretARN(ctx, req.Target, migration.SecretRef(cfg.Secrets[k]))
		if err != nil {
			return nil, classify(err, "secret %s of workload %q", k, req.Workload.Name)
		}
		container.Secrets = append(container.Secrets, types.Secret{Name: aws.String(k), ValueFrom: &from})
	}
	in := &ecs.RegisterTaskDefinitionInput{
		Family:                  aws.String(name(req.Plan, req.Workload.Name)),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate}, NetworkMode: types.NetworkModeAwsvpc,
		Cpu: aws.String(strconv.Itoa(f.CPU)), Memory: aws.String(strconv.Itoa(f.Memory)),
		ContainerDefinitions: []types.ContainerDefinition{container},
	}
	if f.TaskRole != "" {
		in.TaskRoleArn = aws.String(roleARN(req.Target, f.TaskRole))
	}
	if f.ExecutionRole != "" {
		in.ExecutionRoleArn = aws.String(roleARN(req.Target, f.ExecutionRole))
	}
	return in, nil
}

// roleARN is the ARN of a role of the target's account; a role with a path is named by its ARN.
func roleARN(t migration.Target, role string) string {
	if strings.HasPrefix(role, "arn:") {
		return role
	}
	return "arn:" + partition(t.Region) + ":iam::" + t.Account + ":role/" + role
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// secretARN translates a reference to what ECS reads a secret by. A secret's ARN ends in six
// characters that only Secrets Manager knows; a member of its JSON is named after it.
func (mk *Maker) secretARN(ctx context.Context, t migration.Target, ref migration.SecretRef) (string, error) {
	kind, id, _ := strings.Cut(string(ref), "://")
	switch kind {
	case "ssm":
		id = secrets.ParameterName(id)
		if arn.IsARN(id) {
			return id, nil
		}
		return fmt.Sprintf("arn:%s:ssm:%s:%s:parameter/%s", partition(t.Region), t.Region, t.Account, strings.TrimPrefix(id, "/")), nil
	case "awssm":
		id, key, _ := strings.Cut(id, "#")
		c, err := mk.clients.SecretsManager(ctx, t)
		if err != nil {
			return "", err
		}
		out, err := c.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
		if has(err, "ResourceNotFoundException") {
			return "", permanent.New("NoSecret", nil, "there is no secret %q in account %s, region %s; create it or correct the reference",
				id, t.Account, t.Region)
		}
		if err != nil {
			return "", classify(err, "find the ARN of secret %q", id)
		}
		if key == "" {
			return aws.ToString(out.ARN), nil
		}
		return aws.ToString(out.ARN) + ":" + key + "::", nil
	}
	return "", permanent.New("BadSecret", nil, "a task's secret must be an awssm:// or ssm:// reference: AWS resolves it, not Drover")
}

// ensureService finds, creates or updates the service. A rollout that ECS gave up stays so until it
// is told to begin another one, though what was wrong may be no part of the service: an image that
// was not there, a role, a secret.
func (mk *Maker) ensureService(ctx context.Context, c ECS, req ServiceRequest, definition string) (string, error) {
	f := req.Workload.Fargate
	s, err := findService(ctx, c, f.Cluster, name(req.Plan, req.Workload.Name))
	if err != nil {
		return "", err
	}
	if s == nil {
		made, err := mk.createService(ctx, c, req, definition)
		if made != "" || err != nil {
			return made, err
		}
		if s, err = findService(ctx, c, f.Cluster, name(req.Plan, req.Workload.Name)); err != nil {
			return "", err
		}
		if s == nil {
			return "", fmt.Errorf("service of workload %q: ECS says that it exists and does not show it yet", req.Workload.Name)
		}
	}
	_, failed := rollout(*s)
	if aws.ToString(s.TaskDefinition) == definition && s.DesiredCount == int32(f.Count) && !failed { //nolint:gosec // small
		return aws.ToString(s.ServiceArn), nil
	}
	_, err = c.UpdateService(ctx, &ecs.UpdateServiceInput{
		Cluster: &f.Cluster, Service: s.ServiceArn, TaskDefinition: &definition, DesiredCount: aws.Int32(int32(f.Count)),
		//nolint:gosec // small
		ForceNewDeployment: failed,
	})
	return aws.ToString(s.ServiceArn), classify(err, "update the service of workload %q in cluster %q", req.Workload.Name, f.Cluster)
}

// findService answers nil for a service that is not there, or is on its way out.
func findService(ctx context.Context, c ECS, cluster, service string) (*types.Service, error) {
	out, err := c.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{service}})
	if has(err, "ClusterNotFoundException") {
		return nil, permanent.New("NoCluster", nil, "there is no ECS cluster %q; create it or correct the workload's cluster", cluster)
	}
	if err != nil {
		return nil, classify(err, "look for service %q in cluster %q", service, cluster)
	}
	for _, s := range out.Services {
		if aws.ToString(s.Status) == "ACTIVE" {
			return &s, nil
		}
	}
	return nil, nil
}

// createService answers "" when somebody else was first.
func (mk *Maker) createService(ctx context.Context, c ECS, req ServiceRequest, definition string) (string, error) {
	f := req.Workload.Fargate
	network, err := mk.network(ctx, req)
	if err != nil {
		return "", err
	}
	in := &ecs.CreateServiceInput{
		Cluster: &f.Cluster, ServiceName: aws.String(name(req.Plan, req.Workload.Name)), TaskDefinition: &definition,
		LaunchType: types.LaunchTypeFargate, DesiredCount: aws.Int32(int32(f.Count)), //nolint:gosec // small
		NetworkConfiguration: network, PropagateTags: types.PropagateTagsService,
		ClientToken: aws.String(short(32, req.Plan, req.Workload.Name, definition, strconv.Itoa(f.Count), req.TargetGroup)),
		Tags:        ecsTags(tags(req.Target, req.Plan, req.Workload.Name, nil)),
		// A rollout that never becomes healthy ends, and says so, instead of starting tasks for
		// ever.
		DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true}},
	}
	if req.TargetGroup != "" && req.Workload.Ingress != nil {
		in.LoadBalancers = []types.LoadBalancer{{TargetGroupArn: &req.TargetGroup, ContainerName: &req.Workload.Name,
			ContainerPort: aws.Int32(int32(req.Workload.Ingress.Port))}} //nolint:gosec // a port
		in.HealthCheckGracePeriodSeconds = aws.Int32(graceSeconds)
	}
	out, err := c.CreateService(ctx, in)
	var invalid *types.InvalidParameterException
	if errors.As(err, &invalid) && strings.Contains(invalid.ErrorMessage(), "idempotent") {
		return "", nil
	}
	if err != nil {
		return "", classify(err, "create the service of workload %q in cluster %q", req.Workload.Name, f.Cluster)
	}
	return aws.ToString(out.Service.ServiceArn), nil
}

func (mk *Maker) network(ctx context.Context, req ServiceRequest) (*types.NetworkConfiguration, error) {
	if len(req.Target.Subnets) == 0 {
		return nil, permanent.New("NoSubnets", nil, "service of workload %q: target %q names no subnets", req.Workload.Name,
			req.Target.Name)
	}
	c, err := mk.clients.EC2(ctx, req.Target)
	if err != nil {
		return nil, err
	}
	groups, missing, err := securityGroups(ctx, c, req.Target, req.Workload.Fargate.SecurityGroups)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return nil, permanent.New("NoSecurityGroup", nil, "service of workload %q: VPC %s has no security group %s", req.Workload.Name,
			req.Target.VPC, strings.Join(missing, ", "))
	}
	if groups == nil {
		groups = []string{} // said, not left out: the VPC's default group
	}
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: req.Target.Subnets, SecurityGroups: groups,
		AssignPublicIp: types.AssignPublicIpDisabled}}, nil
}

// ServiceRef names a service by its ARN.
type ServiceRef struct {
	Plan     string
	Target   migration.Target
	Workload migration.Workload
	Service  string
}

// AwaitService waits until the service is steady: one deployment, completed, with as many tasks as
// wanted. It only reads. A failed rollout, or the time-out coming near, is an error with ECS's own
// reasons: the service's last events and why its tasks stopped.
func (mk *Maker) AwaitService(ctx context.Context, req ServiceRef, say func(string)) (addrs []string, err error) {
	c, err := mk.clients.ECS(ctx, req.Target)
	if err != nil {
		return nil, err
	}
	cluster := ""
	if req.Workload.Fargate != nil {
		cluster = req.Workload.Fargate.Cluster
	}
	err = await.Until(ctx, fmt.Sprintf("service of workload %q", req.Workload.Name), say, func() (bool, string, error) {
		s, err := findService(ctx, c, cluster, req.Service)
		if err != nil {
			return false, "", err
		}
		if s == nil {
			return false, "", permanent.New("NoService", nil, "service %s of workload %q is not active in cluster %q; somebody deleted it",
				req.Service, req.Workload.Name, cluster)
		}
		waiting, failed := rollout(*s)
		if waiting == "" {
			addrs, err = addresses(ctx, c, cluster, req.Service)
			if err == nil && len(addrs) < int(s.DesiredCount) {
				return false, fmt.Sprintf("%d of %d tasks show an address", len(addrs), s.DesiredCount), nil
			}
			return err == nil, "", err
		}
		if why := whyNot(ctx, c, cluster, *s); why != "" {
			waiting += "; " + why
		}
		if failed {
			return false, "", permanent.New("RolloutFailed", nil, "service of workload %q: %s; correct the image, its configuration or "+
				"its roles, and retry", req.Workload.Name, waiting)
		}
		return false, waiting, nil
	})
	return addrs, err
}

// rollout says what the service is waiting for, "" when it is steady, and whether it gave up.
func rollout(s types.Service) (waiting string, failed bool) {
	for _, d := range s.Deployments {
		if aws.ToString(d.Status) == "PRIMARY" && d.RolloutState == types.DeploymentRolloutStateFailed {
			return "its rollout failed: " + aws.ToString(d.RolloutStateReason), true
		}
	}
	if s.RunningCount != s.DesiredCount || s.PendingCount != 0 {
		return fmt.Sprintf("%d of %d tasks run, %d are starting", s.RunningCount, s.DesiredCount, s.PendingCount), false
	}
	if len(s.Deployments) != 1 {
		return fmt.Sprintf("%d deployments are under way", len(s.Deployments)), false
	}
	if st := s.Deployments[0].RolloutState; st != types.DeploymentRolloutStateCompleted && st != "" {
		return fmt.Sprintf("its rollout is %s", st), false
	}
	return "", false
}

// whyNot is what ECS says of a service that is not steady: its last events, and why tasks stopped.
func whyNot(ctx context.Context, c ECS, cluster string, s types.Service) string {
	var why []string
	for _, e := range s.Events[:min(3, len(s.Events))] {
		why = append(why, aws.ToString(e.Message))
	}
	tasks, err := serviceTasks(ctx, c, cluster, aws.ToString(s.ServiceArn), types.DesiredStatusStopped)
	if err == nil { // reasons are a courtesy: without them the wait goes on
		for _, t := range tasks {
			for _, k := range t.Containers {
				if r := aws.ToString(k.Reason); r != "" {
					why = append(why, fmt.Sprintf("container %s: %s", aws.ToString(k.Name), r))
				} else if k.ExitCode != nil {
					why = append(why, fmt.Sprintf("container %s exited with %d", aws.ToString(k.Name), *k.ExitCode))
				}
			}
			why = append(why, cmp.Or(aws.ToString(t.StoppedReason), "a task stopped without a reason"))
		}
	}
	slices.Sort(why)
	why = slices.Compact(why)
	return strings.Join(why[:min(6, len(why))], "; ")
}

func serviceTasks(ctx context.Context, c ECS, cluster, service string, status types.DesiredStatus) ([]types.Task, error) {
	var out []types.Task
	pages := ecs.NewListTasksPaginator(c, &ecs.ListTasksInput{Cluster: &cluster, ServiceName: &service, DesiredStatus: status})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify(err, "list the tasks of service %s", service)
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		got, err := c.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: page.TaskArns})
		if err != nil {
			return nil, classify(err, "describe the tasks of service %s", service)
		}
		out = append(out, got.Tasks...)
	}
	return out, nil
}

// addresses are the private addresses of the service's running tasks, in order.
func addresses(ctx context.Context, c ECS, cluster, service string) (out []string, err error) {
	tasks, err := serviceTasks(ctx, c, cluster, service, types.DesiredStatusRunning)
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		for _, at := range t.Attachments {
			for _, d := range at.Details {
				if aws.ToString(d.Name) == "privateIPv4Address" {
					out = append(out, aws.ToString(d.Value))
				}
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

func ecsTags(m map[string]string) (out []types.Tag) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(m[k])})
	}
	return out
}

func hasTag(in []types.Tag, key, value string) bool {
	return slices.ContainsFunc(in, func(t types.Tag) bool { return aws.ToString(t.Key) == key && aws.ToString(t.Value) == value })
}

// retireService deletes the service, its tasks with it, and deregisters its task definitions.
func retireService(ctx context.Context, c ECS, req Placed) error {
	f, service := req.Workload.Fargate, name(req.Plan, req.Workload.Name)
	s, err := findService(ctx, c, f.Cluster, service)
	if err != nil {
		return err
	}
	if s != nil {
		if _, err := c.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: &f.Cluster, Service: s.ServiceArn,
			Force: aws.Bool(true)}); err != nil && !has(err, "ServiceNotFoundException", "ServiceNotActiveException") {
			return classify(err, "delete the service of workload %q", req.Workload.Name)
		}
	}
	var definitions []string // all of them first: a page is counted from those that are left
	pages := ecs.NewListTaskDefinitionsPaginator(c,
		&ecs.ListTaskDefinitionsInput{FamilyPrefix: &service, Status: types.TaskDefinitionStatusActive})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return classify(err, "list the task definitions of workload %q", req.Workload.Name)
		}
		definitions = append(definitions, page.TaskDefinitionArns...)
	}
	for _, d := range definitions {
		if _, err := c.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &d}); err != nil {
			return classify(err, "deregister task definition %s", d)
		}
	}
	return nil
}
