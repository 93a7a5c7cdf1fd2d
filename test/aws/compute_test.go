package awstest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/compute"
	engine "github.com/drover-migration/drover/compute"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/routes/routetest"
)

// clients of one account.
type clients struct{ sdk.Config }

func (c clients) EC2(context.Context, migration.Target) (engine.EC2, error) {
	return ec2.NewFromConfig(c.Config), nil
}
func (c clients) ECS(context.Context, migration.Target) (engine.ECS, error) {
	return ecs.NewFromConfig(c.Config), nil
}
func (c clients) IAM(context.Context, migration.Target) (engine.IAM, error) {
	return iam.NewFromConfig(c.Config), nil
}
func (c clients) KMS(context.Context, migration.Target) (engine.KMS, error) {
	return kms.NewFromConfig(c.Config), nil
}
func (c clients) STS(context.Context, migration.Target) (engine.STS, error) {
	return sts.NewFromConfig(c.Config), nil
}
func (c clients) SecretsManager(context.Context, migration.Target) (engine.SecretsManager, error) {
	return secretsmanager.NewFromConfig(c.Config), nil
}

// sixteen calls work at once, as so many workers, and wants one answer.
func sixteen[T comparable](t *testing.T, cfg sdk.Config, workers int, call func(*compute.Activities) (T, error)) T {
	t.Helper()
	as := make([]*compute.Activities, workers)
	for i := range as {
		as[i] = compute.New(engine.New(clients{cfg}))
	}
	answers := make([]T, 16)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			var err error
			if answers[i], err = call(as[i%workers]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, a := range answers {
		require.Equal(t, answers[0], a)
	}
	again, err := call(compute.New(engine.New(clients{cfg})))
	require.NoError(t, err)
	require.Equal(t, answers[0], again, "a worker that starts later finds it")
	return again
}

func snapshot(t *testing.T, c *ec2.Client, zone string) string {
	t.Helper()
	v, err := c.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: &zone, Size: sdk.Int32(1)})
	require.NoError(t, err)
	s, err := c.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: v.VolumeId})
	require.NoError(t, err)
	return *s.SnapshotId
}

func TestAVMBecomesOneInstance(t *testing.T) {
	target, cfg := newTarget(t)
	c := ec2.NewFromConfig(cfg)
	key, err := kms.NewFromConfig(cfg).CreateKey(t.Context(), &kms.CreateKeyInput{})
	require.NoError(t, err)
	_, err = kms.NewFromConfig(cfg).CreateAlias(t.Context(),
		&kms.CreateAliasInput{AliasName: sdk.String("alias/drover"), TargetKeyId: key.KeyMetadata.KeyId})
	require.NoError(t, err)
	target.KMSKey = "alias/drover"
	group, err := c.CreateSecurityGroup(t.Context(),
		&ec2.CreateSecurityGroupInput{GroupName: sdk.String("sg-web"), Description: sdk.String("web"), VpcId: &target.VPC})
	require.NoError(t, err)
	_, err = iam.NewFromConfig(cfg).CreateInstanceProfile(t.Context(),
		&iam.CreateInstanceProfileInput{InstanceProfileName: sdk.String("web")})
	require.NoError(t, err)
	newRole(t, cfg, "web")
	_, err = iam.NewFromConfig(cfg).AddRoleToInstanceProfile(t.Context(),
		&iam.AddRoleToInstanceProfileInput{InstanceProfileName: sdk.String("web"), RoleName: sdk.String("web")})
	require.NoError(t, err)

	w := migration.Workload{Name: "web", State: migration.StateDatasets,
		EC2:    &migration.EC2{InstanceType: "auto", SecurityGroups: []string{"sg-web"}, Profile: "web"},
		Config: migration.Config{UserData: "#!/bin/sh\n"}}
	found, err := compute.New(engine.New(clients{cfg})).CheckCompute(t.Context(),
		compute.CheckComputeRequest{Target: target, Workloads: []migration.Workload{w}})
	require.NoError(t, err)
	require.Empty(t, found.Findings)

	vm := migration.VM{Name: "web-01", UUID: "5029-uuid", CPUs: 2, MemoryMB: 6000, Firmware: "efi"}
	disks := []migration.DiskImage{{Key: 2000, Snapshot: snapshot(t, c, region+"a"), Bytes: 1 << 30},
		{Key: 2001, Snapshot: snapshot(t, c, region+"a"), Bytes: 1<<30 - 5}}
	// One worker: moto takes an image's name twice, which AWS refuses.
	image := sixteen(t, cfg, 1, func(a *compute.Activities) (compute.Image, error) {
		return a.RegisterImage(t.Context(), compute.RegisterImageRequest{Plan: "p", Target: target, Workload: w, VM: vm, Disks: disks})
	})
	images, err := c.DescribeImages(t.Context(),
		&ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{filter("tag:drover:plan", "p")}})
	require.NoError(t, err)
	require.Len(t, images.Images, 1)
	require.Equal(t, types.ArchitectureValuesX8664, images.Images[0].Architecture)
	require.Equal(t, types.BootModeValuesUefi, images.Images[0].BootMode)
	require.Equal(t, "/dev/sda1", *images.Images[0].RootDeviceName)
	require.Len(t, images.Images[0].BlockDeviceMappings, 2)
	require.True(t, *images.Images[0].EnaSupport)

	find := compute.FindInstanceRequest{Plan: "p", Target: target, Workload: w, VM: vm}
	none, err := compute.New(engine.New(clients{cfg})).FindInstance(t.Context(), find)
	require.NoError(t, err)
	require.Zero(t, none)
	launch := compute.LaunchInstanceRequest{Plan: "p", Target: target, Workload: w, VM: vm, Image: image.ID}
	instance := sixteen(t, cfg, 2, func(a *compute.Activities) (compute.Instance, error) { return a.LaunchInstance(t.Context(), launch) })
	require.Equal(t, "m7i.large", instance.Type)
	adopted, err := compute.New(engine.New(clients{cfg})).FindInstance(t.Context(), find)
	require.NoError(t, err)
	require.Equal(t, compute.FindInstanceResult{Instance: instance, Image: image.ID}, adopted)
	disks[0].Snapshot = snapshot(t, c, region+"a")
	other, err := compute.New(engine.New(clients{cfg})).RegisterImage(t.Context(),
		compute.RegisterImageRequest{Plan: "p", Target: target, Workload: w, VM: vm, Disks: disks})
	require.NoError(t, err)
	launch.Image = other.ID
	require.Equal(t, instance, sixteen(t, cfg, 2,
		func(a *compute.Activities) (compute.Instance, error) { return a.LaunchInstance(t.Context(), launch) }),
		"an image of a later copy makes no second instance")
	got := living(t, c)
	require.Len(t, got, 1)
	require.Equal(t, instance.PrivateIP, *got[0].PrivateIpAddress)
	require.Equal(t, *group.GroupId, *got[0].SecurityGroups[0].GroupId)
	tags := map[string]string{}
	for _, x := range got[0].Tags {
		tags[*x.Key] = *x.Value
	}
	require.Equal(t, map[string]string{"Name": "web-01", "cost-center": "platform", "drover:plan": "p", "drover:workload": "web",
		"drover:vm": "5029-uuid", "drover:image": image.ID}, tags)
	volumes, err := c.DescribeVolumes(t.Context(),
		&ec2.DescribeVolumesInput{Filters: []types.Filter{filter("attachment.instance-id", instance.ID)}})
	require.NoError(t, err)
	require.Len(t, volumes.Volumes, 2)
	for _, v := range volumes.Volumes {
		require.True(t, *v.Encrypted)
		require.Equal(t, *key.KeyMetadata.Arn, *v.KmsKeyId)
	}

	a := compute.New(engine.New(clients{cfg}))
	for range 2 {
		require.NoError(t, a.RetireWorkload(t.Context(), compute.RetireWorkloadRequest{Plan: "p", Target: target, Workload: w}))
		require.Empty(t, living(t, c))
		none, err = a.FindInstance(t.Context(), find)
		require.NoError(t, err)
		require.Zero(t, none, "a terminated instance is not found")
	}
	image, err = a.RegisterImage(t.Context(), compute.RegisterImageRequest{Plan: "p", Target: target, Workload: w, VM: vm, Disks: disks})
	require.NoError(t, err)
	launch.Image = image.ID
	again, err := a.LaunchInstance(t.Context(), launch)
	require.NoError(t, err)
	require.NotEqual(t, instance.ID, again.ID, "a terminated instance is not found again")
}

func living(t *testing.T, c *ec2.Client) (out []types.Instance) {
	t.Helper()
	got, err := c.DescribeInstances(t.Context(),
		&ec2.DescribeInstancesInput{Filters: []types.Filter{filter("instance-state-name", "running")}})
	require.NoError(t, err)
	for _, r := range got.Reservations {
		out = append(out, r.Instances...)
	}
	return out
}

func TestAWorkloadBecomesOneService(t *testing.T) {
	at := newListener(t)
	target := at.Target
	cfg := sdk.Config{Region: region, BaseEndpoint: &endpoint, Credentials: assume(t, target.Account)}
	c := ecs.NewFromConfig(cfg)
	_, err := c.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: sdk.String("platform")})
	require.NoError(t, err)
	secret, err := secretsmanager.NewFromConfig(cfg).CreateSecret(t.Context(),
		&secretsmanager.CreateSecretInput{Name: sdk.String("orders/app"), SecretString: sdk.String(`{"dsn":"x"}`)})
	require.NoError(t, err)
	newRole(t, cfg, "api")
	newRole(t, cfg, "exec")
	world := routetest.NewALB(t, at)
	require.NoError(t, world.NewRouter().Record(t.Context(), world.Spec()))
	route := alb.New(alb.ClientsFunc(func(context.Context, migration.Target) (alb.ELB, error) { return at.Client, nil }), nil)
	w, _ := world.Spec().Workload("api")
	w.Fargate = &migration.Fargate{Cluster: "platform", Image: "registry/api:1.4.2", CPU: 512, Memory: 1024, Count: 2, TaskRole: "api",
		ExecutionRole: "exec"}
	w.Config = migration.Config{Env: map[string]string{"MODE": "aws"},
		Secrets: map[string]string{"DSN": "awssm://orders/app#dsn", "KEY": "ssm://orders/key"}}
	group, err := route.EnsureGroup(t.Context(), target, "suite", w)
	require.NoError(t, err)

	found, err := compute.New(engine.New(clients{cfg})).CheckCompute(t.Context(),
		compute.CheckComputeRequest{Target: target, Workloads: []migration.Workload{w}})
	require.NoError(t, err)
	require.Empty(t, found.Findings)

	service := sixteen(t, cfg, 2, func(a *compute.Activities) (compute.Service, error) {
		return a.EnsureService(t.Context(), compute.EnsureServiceRequest{Plan: "suite", Target: target, Workload: w, TargetGroup: group})
	})
	services, err := c.ListServices(t.Context(), &ecs.ListServicesInput{Cluster: sdk.String("platform")})
	require.NoError(t, err)
	require.Equal(t, []string{service.ARN}, services.ServiceArns)
	def, err := c.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &service.TaskDefinition})
	require.NoError(t, err)
	require.Equal(t, "arn:aws:iam::"+target.Account+":role/api", *def.TaskDefinition.TaskRoleArn)
	secrets := def.TaskDefinition.ContainerDefinitions[0].Secrets
	require.Equal(t, *secret.ARN+":dsn::", *secrets[0].ValueFrom)
	require.Equal(t, "arn:aws:ssm:us-east-1:"+target.Account+":parameter/orders/key", *secrets[1].ValueFrom)

	a := compute.New(engine.New(clients{cfg}))
	await := compute.AwaitServiceRequest{Plan: "suite", Target: target, Workload: w, Service: service.ARN}
	short, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	_, err = a.AwaitService(short, await)
	require.ErrorContains(t, err, "still waiting", "nothing answers at the tasks' addresses, so the rollout does not complete")
	for _, ip := range taskAddresses(t, c) {
		serve(t, ip+":8080")
	}
	patient, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	state, err := a.AwaitService(patient, await)
	require.NoError(t, err)
	require.Equal(t, taskAddresses(t, c), state.Addresses)

	w.Fargate.Image = "registry/api:1.5.0"
	next, err := a.EnsureService(t.Context(), compute.EnsureServiceRequest{Plan: "suite", Target: target, Workload: w, TargetGroup: group})
	require.NoError(t, err)
	require.Equal(t, service.ARN, next.ARN)
	require.NotEqual(t, service.TaskDefinition, next.TaskDefinition)
	for range 2 {
		require.NoError(t, a.RetireWorkload(t.Context(), compute.RetireWorkloadRequest{Plan: "suite", Target: target, Workload: w}))
	}
}

func TestCheckComputeSaysWhatIsMissing(t *testing.T) {
	target, cfg := newTarget(t)
	a := compute.New(engine.New(clients{cfg}))
	target.Subnets = append(target.Subnets, "subnet-none")
	target.KMSKey = "alias/none"
	got, err := a.CheckCompute(t.Context(), compute.CheckComputeRequest{Target: target, Workloads: []migration.Workload{
		{Name: "web", EC2: &migration.EC2{SecurityGroups: []string{"sg-none"}, Profile: "none"}},
		{Name: "api", Fargate: &migration.Fargate{Cluster: "none", Image: "not an image", CPU: 300, Memory: 1024, TaskRole: "none"},
			Config: migration.Config{Secrets: map[string]string{"DSN": "awssm://none"}}},
	}})
	require.NoError(t, err)
	var checks []string
	for _, f := range got.Findings {
		require.NotEmpty(t, f.Reason)
		require.NotEmpty(t, f.Remedy)
		checks = append(checks, f.Check)
	}
	require.ElementsMatch(t, []string{"aws-subnets", "aws-kms-key", "aws-instance-profile", "aws-security-group", "aws-image",
		"aws-fargate-size", "aws-execution-role", "aws-cluster", "aws-task-role", "aws-secret"}, checks)

	target.Account = "999999999999"
	got, err = a.CheckCompute(t.Context(), compute.CheckComputeRequest{Target: target})
	require.NoError(t, err)
	require.Len(t, got.Findings, 1)
	require.Equal(t, "aws-account", got.Findings[0].Check)
}

func taskAddresses(t *testing.T, c *ecs.Client) (out []string) {
	t.Helper()
	tasks, err := c.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: sdk.String("platform")})
	require.NoError(t, err)
	require.Len(t, tasks.TaskArns, 2)
	got, err := c.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: sdk.String("platform"), Tasks: tasks.TaskArns})
	require.NoError(t, err)
	for _, x := range got.Tasks {
		for _, d := range x.Attachments[0].Details {
			if *d.Name == "privateIPv4Address" {
				out = append(out, *d.Value)
			}
		}
	}
	slices.Sort(out)
	return out
}
