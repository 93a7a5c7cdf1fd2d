package compute

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/drover-migration/drover/migration"
)

func api(code string) error { return &smithy.GenericAPIError{Code: code, Message: "said AWS"} }

// account is one on AWS, as far as a check or an image asks it. A call that it does not have
// panics.
type account struct {
	id       string
	vpcs     []string
	subnets  map[string]int32  // free addresses
	groups   map[string]string // id by name
	keys     map[string]kmstypes.KeyMetadata
	profiles map[string][]iamtypes.Role
	roles    []string
	clusters map[string]string // status
	secrets  map[string]string // ARN
	errs     map[string]error  // by call

	mu         sync.Mutex
	images     []ec2types.Image
	snapshots  []ec2types.Snapshot
	registered []*ec2.RegisterImageInput
	state      ec2types.ImageState // of the images that are registered
	hidden     int                 // so many looks do not see the images yet
	before     func()              // a registration

	instances []ec2types.Instance
	tokens    map[string]tokenUse
	ran       []*ec2.RunInstancesInput // that launched
	unseen    int                      // so many looks do not see the instances yet
	starting  int                      // so many looks see a new instance pending
	deaf      error                    // what the next launch answers, after its effect
	launching func()                   // before a launch takes effect
}

// tokenUse is what a client token has launched.
type tokenUse struct{ image, subnet, instance string }

func (a *account) EC2(context.Context, migration.Target) (EC2, error) { return ec2Of{a: a}, nil }
func (a *account) ECS(context.Context, migration.Target) (ECS, error) { return ecsOf{a: a}, nil }
func (a *account) IAM(context.Context, migration.Target) (IAM, error) { return iamOf{a}, nil }
func (a *account) KMS(context.Context, migration.Target) (KMS, error) { return kmsOf{a}, nil }
func (a *account) STS(context.Context, migration.Target) (STS, error) { return stsOf{a}, nil }
func (a *account) SecretsManager(context.Context, migration.Target) (SecretsManager, error) {
	return secretsOf{a}, nil
}

type (
	ec2Of struct {
		EC2
		a *account
	}
	ecsOf struct {
		ECS
		a *account
	}
	iamOf     struct{ a *account }
	kmsOf     struct{ a *account }
	stsOf     struct{ a *account }
	secretsOf struct{ a *account }
)

func (s stsOf) GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput,
	...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{Account: &s.a.id, Arn: aws.String("arn:aws:iam::" + s.a.id + ":user/drover")},
		s.a.errs["GetCallerIdentity"]
}

func (k kmsOf) DescribeKey(_ context.Context, in *kms.DescribeKeyInput, _ ...func(*kms.Options)) (*kms.DescribeKeyOutput, error) {
	key, ok := k.a.keys[*in.KeyId]
	if !ok {
		return nil, api("NotFoundException")
	}
	return &kms.DescribeKeyOutput{KeyMetadata: &key}, k.a.errs["DescribeKey"]
}

func (i iamOf) GetInstanceProfile(_ context.Context, in *iam.GetInstanceProfileInput,
	_ ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error) {
	roles, ok := i.a.profiles[*in.InstanceProfileName]
	if !ok {
		return nil, api("NoSuchEntity")
	}
	return &iam.GetInstanceProfileOutput{InstanceProfile: &iamtypes.InstanceProfile{Roles: roles}}, nil
}

func (i iamOf) GetRole(_ context.Context, in *iam.GetRoleInput, _ ...func(*iam.Options)) (*iam.GetRoleOutput, error) {
	if !slices.Contains(i.a.roles, *in.RoleName) {
		return nil, api("NoSuchEntity")
	}
	return &iam.GetRoleOutput{}, i.a.errs["GetRole"]
}

func (s secretsOf) DescribeSecret(_ context.Context, in *secretsmanager.DescribeSecretInput,
	_ ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error) {
	arn, ok := s.a.secrets[*in.SecretId]
	if !ok {
		return nil, api("ResourceNotFoundException")
	}
	return &secretsmanager.DescribeSecretOutput{ARN: &arn}, nil
}

func (e ecsOf) DescribeClusters(_ context.Context, in *ecs.DescribeClustersInput,
	_ ...func(*ecs.Options)) (*ecs.DescribeClustersOutput, error) {
	out := &ecs.DescribeClustersOutput{}
	for _, name := range in.Clusters {
		if status, ok := e.a.clusters[name]; ok {
			out.Clusters = append(out.Clusters, ecstypes.Cluster{ClusterName: aws.String(name), Status: aws.String(status)})
		}
	}
	return out, nil
}

func (e ec2Of) DescribeVpcs(_ context.Context, in *ec2.DescribeVpcsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	out := &ec2.DescribeVpcsOutput{}
	if id := in.Filters[0].Values[0]; slices.Contains(e.a.vpcs, id) {
		out.Vpcs = append(out.Vpcs, ec2types.Vpc{VpcId: &id})
	}
	return out, e.a.errs["DescribeVpcs"]
}

func (e ec2Of) DescribeSubnets(context.Context, *ec2.DescribeSubnetsInput, ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	out := &ec2.DescribeSubnetsOutput{}
	for id, free := range e.a.subnets {
		out.Subnets = append(out.Subnets, ec2types.Subnet{SubnetId: aws.String(id), AvailableIpAddressCount: aws.Int32(free)})
	}
	return out, nil
}

func (e ec2Of) DescribeSecurityGroups(context.Context, *ec2.DescribeSecurityGroupsInput,
	...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	out := &ec2.DescribeSecurityGroupsOutput{}
	for name, id := range e.a.groups {
		out.SecurityGroups = append(out.SecurityGroups, ec2types.SecurityGroup{GroupName: aws.String(name), GroupId: aws.String(id)})
	}
	return out, nil
}

func (e ec2Of) DescribeImages(_ context.Context, in *ec2.DescribeImagesInput, _ ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	e.a.mu.Lock()
	defer e.a.mu.Unlock()
	if err := e.a.errs["DescribeImages"]; err != nil {
		return nil, err
	}
	if e.a.hidden > 0 {
		e.a.hidden--
		return &ec2.DescribeImagesOutput{}, nil
	}
	out := &ec2.DescribeImagesOutput{}
	for _, i := range e.a.images {
		found := func(f ec2types.Filter) bool {
			return *f.Name == "name" && slices.Contains(f.Values, *i.Name) || tagged(i.Tags, f)
		}
		if i.State == ec2types.ImageStateDisabled && !aws.ToBool(in.IncludeDisabled) && len(in.ImageIds) == 0 {
			continue
		}
		if slices.Contains(in.ImageIds, *i.ImageId) || len(in.Filters) == 1 && found(in.Filters[0]) {
			out.Images = append(out.Images, i)
		}
	}
	return out, nil
}

// RegisterImage takes a name once, as AWS does.
func (e ec2Of) RegisterImage(_ context.Context, in *ec2.RegisterImageInput, _ ...func(*ec2.Options)) (*ec2.RegisterImageOutput, error) {
	if e.a.before != nil {
		e.a.before()
	}
	e.a.mu.Lock()
	defer e.a.mu.Unlock()
	if err := e.a.errs["RegisterImage"]; err != nil {
		return nil, err
	}
	if slices.ContainsFunc(e.a.images, func(i ec2types.Image) bool { return *i.Name == *in.Name }) {
		return nil, api("InvalidAMIName.Duplicate")
	}
	state := e.a.state
	if state == "" {
		state = ec2types.ImageStateAvailable
	}
	id := fmt.Sprintf("ami-%d", len(e.a.images))
	e.a.registered = append(e.a.registered, in)
	e.a.images = append(e.a.images, ec2types.Image{ImageId: &id, Name: in.Name, State: state, Tags: in.TagSpecifications[0].Tags,
		StateReason: &ec2types.StateReason{Message: aws.String("no boot sector")}})
	return &ec2.RegisterImageOutput{ImageId: &id}, nil
}

func (e ec2Of) DescribeSnapshots(_ context.Context, in *ec2.DescribeSnapshotsInput,
	_ ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error) {
	out := &ec2.DescribeSnapshotsOutput{}
	for _, s := range e.a.snapshots {
		if tagged(s.Tags, in.Filters[0]) {
			out.Snapshots = append(out.Snapshots, s)
		}
	}
	return out, nil
}

// DescribeInstances finds by id, or by tags.
func (e ec2Of) DescribeInstances(_ context.Context, in *ec2.DescribeInstancesInput,
	_ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	e.a.mu.Lock()
	defer e.a.mu.Unlock()
	if err := e.a.errs["DescribeInstances"]; err != nil {
		return nil, err
	}
	out := &ec2.DescribeInstancesOutput{}
	if e.a.unseen > 0 {
		e.a.unseen--
		return out, nil
	}
	for n := range e.a.instances {
		i := &e.a.instances[n]
		if len(in.InstanceIds) > 0 && i.State.Name == ec2types.InstanceStateNamePending {
			if e.a.starting--; e.a.starting < 0 {
				i.State = stateOf(ec2types.InstanceStateNameRunning)
			}
		}
		if slices.Contains(in.InstanceIds, *i.InstanceId) || len(in.InstanceIds) == 0 &&
			!slices.ContainsFunc(in.Filters, func(f ec2types.Filter) bool { return !tagged(i.Tags, f) }) {
			out.Reservations = append(out.Reservations, ec2types.Reservation{Instances: []ec2types.Instance{*i}})
		}
	}
	return out, nil
}

func tagged(tags []ec2types.Tag, f ec2types.Filter) bool {
	return slices.ContainsFunc(tags, func(t ec2types.Tag) bool { return "tag:"+*t.Key == *f.Name && slices.Contains(f.Values, *t.Value) })
}

func stateOf(name ec2types.InstanceStateName) *ec2types.InstanceState {
	return &ec2types.InstanceState{Name: name}
}

func (e ec2Of) DescribeInstanceStatus(context.Context, *ec2.DescribeInstanceStatusInput,
	...func(*ec2.Options)) (*ec2.DescribeInstanceStatusOutput, error) {
	ok := &ec2types.InstanceStatusSummary{Status: ec2types.SummaryStatusOk}
	return &ec2.DescribeInstanceStatusOutput{InstanceStatuses: []ec2types.InstanceStatus{{InstanceStatus: ok, SystemStatus: ok}}}, nil
}

// RunInstances answers a token that it has seen with the same instance, as AWS does.
func (e ec2Of) RunInstances(_ context.Context, in *ec2.RunInstancesInput, _ ...func(*ec2.Options)) (*ec2.RunInstancesOutput, error) {
	if e.a.launching != nil {
		e.a.launching()
	}
	e.a.mu.Lock()
	defer e.a.mu.Unlock()
	use := tokenUse{image: *in.ImageId, subnet: *in.SubnetId}
	if was, seen := e.a.tokens[*in.ClientToken]; seen {
		use.instance = was.instance
		if was != use {
			return nil, api("IdempotentParameterMismatch")
		}
		i := slices.IndexFunc(e.a.instances, func(i ec2types.Instance) bool { return *i.InstanceId == was.instance })
		return &ec2.RunInstancesOutput{Instances: e.a.instances[i : i+1]}, nil
	}
	use.instance = fmt.Sprintf("i-%d", len(e.a.instances))
	i := ec2types.Instance{
		InstanceId: &use.instance, ImageId: in.ImageId, InstanceType: in.InstanceType, Tags: in.TagSpecifications[0].Tags,
		State:            stateOf(ec2types.InstanceStateNamePending),
		PrivateIpAddress: aws.String(fmt.Sprintf("10.0.0.%d", len(e.a.instances))),
		LaunchTime:       aws.Time(time.Unix(int64(len(e.a.instances)), 0)),
	}
	if e.a.tokens == nil {
		e.a.tokens = map[string]tokenUse{}
	}
	e.a.tokens[*in.ClientToken] = use
	e.a.ran, e.a.instances = append(e.a.ran, in), append(e.a.instances, i)
	if err := e.a.deaf; err != nil {
		e.a.deaf = nil
		return nil, err
	}
	return &ec2.RunInstancesOutput{Instances: []ec2types.Instance{i}}, nil
}
