package aws_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	labaws "github.com/drover-migration/drover/lab/aws"
	labebs "github.com/drover-migration/drover/lab/ebs"
)

func tools(t *testing.T) string {
	t.Helper()
	return tooltest.Dir(t, "venv/bin/python", "bin/versitygw")
}

func config(url string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider("LAB", "lab-secret", "")}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func get(t *testing.T, url string, into any) {
	res, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, json.NewDecoder(res.Body).Decode(into))
}

func TestMotoRunsWhatItIsAskedFor(t *testing.T) {
	ctx := context.Background()
	m, err := labaws.Start(ctx, labaws.Options{Tools: tools(t), Dir: t.TempDir(), RDSEndpoint: "127.0.0.9:5432"})
	require.NoError(t, err)
	defer func() { _ = m.Close() }()
	b, err := labebs.Start(ctx, labebs.Options{Dir: t.TempDir(), MotoEndpoint: m.Endpoint()})
	require.NoError(t, err)
	defer func() { _ = b.Close() }()
	e := ec2.NewFromConfig(config(m.Endpoint()))
	vpc, err := e.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("127.77.0.0/17")})
	require.NoError(t, err)
	sub, err := e.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("127.77.0.0/20"),
		AvailabilityZone: aws.String("us-east-1a")})
	require.NoError(t, err)
	sub2, err := e.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("127.77.16.0/20"),
		AvailabilityZone: aws.String("us-east-1b")})
	require.NoError(t, err)
	subnet := *sub.Subnet.SubnetId

	// A snapshot through EBS direct, an image of it, one instance for sixteen calls with one token.
	d := ebs.NewFromConfig(config(b.Endpoint()))
	snap, err := d.StartSnapshot(ctx, &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Encrypted: aws.Bool(true),
		KmsKeyArn: aws.String("arn:aws:kms:us-east-1:123456789012:key/1")})
	require.NoError(t, err)
	look := func() ec2types.Snapshot {
		out, err := e.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*snap.SnapshotId}})
		require.NoError(t, err)
		return out.Snapshots[0]
	}
	require.Equal(t, ec2types.SnapshotStatePending, look().State)
	_, err = d.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{SnapshotId: snap.SnapshotId, ChangedBlocksCount: aws.Int32(0)})
	require.NoError(t, err)
	require.Equal(t, ec2types.SnapshotStateCompleted, look().State)
	require.True(t, *look().Encrypted)
	image, err := e.RegisterImage(ctx, &ec2.RegisterImageInput{Name: aws.String("web"), RootDeviceName: aws.String("/dev/sda1"),
		Architecture: ec2types.ArchitectureValuesX8664,
		EnaSupport:   aws.Bool(true), BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"),
			Ebs: &ec2types.EbsBlockDevice{SnapshotId: snap.SnapshotId}}}})
	require.NoError(t, err)
	in := &ec2.RunInstancesInput{ImageId: image.ImageId, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: &subnet,
		ClientToken: aws.String("once"), UserData: aws.String("QT0x")}
	var all sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		all.Go(func() {
			if out, err := e.RunInstances(ctx, in); err == nil {
				ids[i] = *out.Instances[0].InstanceId
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		require.NotEmpty(t, id)
		require.Equal(t, ids[0], id)
	}
	other := *in
	other.UserData = aws.String("QT0y")
	_, err = e.RunInstances(ctx, &other)
	require.Equal(t, "IdempotentParameterMismatch", code(err))

	var machines struct {
		Version  int
		Machines []struct {
			Kind, ID, State, Address, UserData string
			Snapshots                          []string
		}
	}
	get(t, m.Endpoint()+"/lab/machines", &machines)
	require.Len(t, machines.Machines, 1)
	require.Equal(t, []string{*snap.SnapshotId}, machines.Machines[0].Snapshots)
	require.Equal(t, "A=1", machines.Machines[0].UserData)
	require.True(t, strings.HasPrefix(machines.Machines[0].Address, "127.77."))

	// A load balancer with a target group, whose health is what the target answers.
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer app.Close()
	host, port, _ := net.SplitHostPort(app.Listener.Addr().String())
	n, _ := strconv.Atoi(port)
	l := elb.NewFromConfig(config(m.Endpoint()))
	lb, err := l.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("public"),
		Subnets: []string{subnet, *sub2.Subnet.SubnetId}})
	require.NoError(t, err)
	g, err := l.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: aws.String("g"), Protocol: elbtypes.ProtocolEnumHttp,
		Port: aws.Int32(8080), VpcId: vpc.Vpc.VpcId,
		TargetType: elbtypes.TargetTypeEnumIp, HealthCheckPath: aws.String("/healthz")})
	require.NoError(t, err)
	group := g.TargetGroups[0].TargetGroupArn
	forward := []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward,
		ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{{TargetGroupArn: group,
			Weight: aws.Int32(100)}}}}}
	listener, err := l.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn,
		Port: aws.Int32(8080), Protocol: elbtypes.ProtocolEnumHttp, DefaultActions: forward})
	require.NoError(t, err)
	_, err = l.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: group,
		Targets: []elbtypes.TargetDescription{{Id: &host, Port: aws.Int32(int32(n))}, {Id: &host, Port: aws.Int32(1)}}})
	require.NoError(t, err)
	health, err := l.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: group})
	require.NoError(t, err)
	states := map[int32]elbtypes.TargetHealthStateEnum{}
	for _, h := range health.TargetHealthDescriptions {
		states[*h.Target.Port] = h.TargetHealth.State
	}
	require.Equal(t, map[int32]elbtypes.TargetHealthStateEnum{int32(n): elbtypes.TargetHealthStateEnumHealthy,
		1: elbtypes.TargetHealthStateEnumUnhealthy}, states)

	// A poll that waits is answered when a rule is made.
	var before, after struct {
		Version   int
		Listeners []struct{ Rules []struct{ Priority string } }
	}
	get(t, m.Endpoint()+"/lab/elb", &before)
	changed := make(chan time.Time, 1)
	go func() {
		get(t, m.Endpoint()+"/lab/elb?wait=20&since="+strconv.Itoa(before.Version), &after)
		changed <- time.Now()
	}()
	rule := func(priority int32, hosts ...string) error {
		_, err := l.CreateRule(ctx, &elb.CreateRuleInput{ListenerArn: listener.Listeners[0].ListenerArn, Priority: &priority,
			Actions: forward,
			Conditions: []elbtypes.RuleCondition{{Field: aws.String("host-header"),
				HostHeaderConfig: &elbtypes.HostHeaderConditionConfig{Values: hosts}}}})
		return err
	}
	require.NoError(t, rule(1, "a", "b", "c", "d", "e"))
	made := time.Now()
	require.Less(t, (<-changed).Sub(made), 10*time.Second, "the poll would wait twice as long")
	require.Len(t, after.Listeners[0].Rules, 2)
	require.Equal(t, "PriorityInUse", code(rule(1, "x")))
	require.Error(t, rule(2, "a", "b", "c", "d", "e", "f"))
	for i := int32(2); i <= 100; i++ {
		// which the SDK hears when an answer was lost and it asks again
		if err := rule(i, "h"+strconv.Itoa(int(i))); code(err) != "PriorityInUse" {
			require.NoError(t, err)
		}
	}
	require.Equal(t, "TooManyRules", code(rule(101, "z")))
	get(t, m.Endpoint()+"/lab/elb", &after)
	require.Len(t, after.Listeners[0].Rules, 101, "the default rule, and 100")

	// A service runs tasks with addresses of its subnet.
	c := ecs.NewFromConfig(config(m.Endpoint()))
	_, err = c.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("platform")})
	require.NoError(t, err)
	_, err = c.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{Family: aws.String("api"),
		NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("512"), Memory: aws.String("1024"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("api"), Image: aws.String("i"), Memory: aws.Int32(1024),
			Environment: []ecstypes.KeyValuePair{{Name: aws.String("A"), Value: aws.String("1")}}}}})
	require.NoError(t, err)
	_, err = c.CreateService(ctx, &ecs.CreateServiceInput{Cluster: aws.String("platform"), ServiceName: aws.String("api"),
		TaskDefinition: aws.String("api"), DesiredCount: aws.Int32(2),
		LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{
			AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{subnet}}}})
	require.NoError(t, err)
	services, err := c.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String("platform"), Services: []string{"api"}})
	require.NoError(t, err)
	require.EqualValues(t, 2, services.Services[0].RunningCount)
	require.Equal(t, ecstypes.DeploymentRolloutStateCompleted, services.Services[0].Deployments[0].RolloutState)
	tasks, err := c.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String("platform"), ServiceName: aws.String("api")})
	require.NoError(t, err)
	require.Len(t, tasks.TaskArns, 2)

	_, err = e.ImportImage(ctx, &ec2.ImportImageInput{}, func(o *ec2.Options) { o.RetryMaxAttempts = 1 })
	require.Equal(t, "NotImplemented", code(err))
}

func TestTheObjectStoreHoldsConditionsAndChecksums(t *testing.T) {
	ctx := context.Background()
	s, err := labaws.StartS3(ctx, labaws.S3Options{Tools: tools(t), Dir: t.TempDir(), AccessKey: "LAB", SecretKey: "lab-secret"})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	c := s3.NewFromConfig(config(s.Endpoint()), func(o *s3.Options) { o.UsePathStyle = true })
	_, err = c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("state")})
	require.NoError(t, err)
	put := func(body string, change func(*s3.PutObjectInput)) (string, error) {
		in := &s3.PutObjectInput{Bucket: aws.String("state"), Key: aws.String("a/b"), Body: strings.NewReader(body),
			ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256}
		change(in)
		out, err := c.PutObject(ctx, in)
		if err != nil {
			return "", err
		}
		return *out.ETag, nil
	}
	first, err := put("1", func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	require.NoError(t, err)
	_, err = put("2", func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	require.Equal(t, "PreconditionFailed", code(err))
	second, err := put("2", func(in *s3.PutObjectInput) { in.IfMatch = &first })
	require.NoError(t, err)
	_, err = put("3", func(in *s3.PutObjectInput) { in.IfMatch = &first })
	require.Equal(t, "PreconditionFailed", code(err))
	_, err = put("3", func(in *s3.PutObjectInput) {
		in.IfMatch, in.ChecksumAlgorithm, in.ChecksumSHA256 = &second, "", aws.String("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	})
	require.Error(t, err, "a wrong checksum is refused")
}
