package after

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/require"

	computeactivities "github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/compute"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/tooltest"
	lab "github.com/drover-migration/drover/lab/aws"
	"github.com/drover-migration/drover/migration"
)

// account is one of the lab's AWS.
type account struct {
	cfg   aws.Config
	calls *calls
}

// calls are those that would change something, by service and name.
type calls struct {
	mu   sync.Mutex
	made []string
}

// seen are those that were made since it was asked last.
func (c *calls) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.made
	c.made = nil
	return out
}

// record keeps every call whose name does not say that it reads.
func (c *calls) record(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("record", func(ctx context.Context, in middleware.InitializeInput,
		next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		name := awsmiddleware.GetOperationName(ctx)
		reads := slices.ContainsFunc([]string{"Describe", "List", "Get", "Head"}, func(p string) bool { return strings.HasPrefix(name, p) })
		if !reads {
			c.mu.Lock()
			c.made = append(c.made, awsmiddleware.GetServiceID(ctx)+" "+name)
			c.mu.Unlock()
		}
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

func (a account) EC2(context.Context, migration.Target) (compute.EC2, error) {
	return ec2.NewFromConfig(a.cfg), nil
}

func (a account) ECS(context.Context, migration.Target) (compute.ECS, error) {
	return ecs.NewFromConfig(a.cfg), nil
}

func (a account) IAM(context.Context, migration.Target) (compute.IAM, error) {
	return iam.NewFromConfig(a.cfg), nil
}

func (a account) KMS(context.Context, migration.Target) (compute.KMS, error) {
	return kms.NewFromConfig(a.cfg), nil
}

func (a account) STS(context.Context, migration.Target) (compute.STS, error) {
	return sts.NewFromConfig(a.cfg), nil
}

func (a account) SecretsManager(context.Context, migration.Target) (compute.SecretsManager, error) {
	return secretsmanager.NewFromConfig(a.cfg), nil
}

func (a account) s3() *s3.Client {
	return s3.NewFromConfig(a.cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

// cloud is the lab's AWS for a test, with a state bucket.
func cloud(t *testing.T) account {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	moto, err := lab.Start(ctx, lab.Options{Tools: tooltest.Dir(t, "venv"), Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = moto.Close() })
	at := moto.Endpoint()
	a := account{calls: &calls{}}
	a.cfg = aws.Config{Region: "us-east-1", BaseEndpoint: &at, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		APIOptions: []func(*middleware.Stack) error{a.calls.record}}
	_, err = a.s3().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("state")})
	require.NoError(t, err)
	return a
}

// activities are those over the account.
func (a account) activities() []any {
	store := &objects.Store{S3: func(context.Context, migration.Target) (*s3.Client, error) { return a.s3(), nil }}
	return []any{state.New(store, state.NewSpecs(store), nil), computeactivities.New(compute.New(a))}
}

// copied is a snapshot as a copy of a VM's disk leaves it.
func (a account) copied(t *testing.T, plan, vm string) string {
	t.Helper()
	c := ec2.NewFromConfig(a.cfg)
	v, err := c.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(8)})
	require.NoError(t, err)
	s, err := c.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: v.VolumeId, TagSpecifications: []types.TagSpecification{{
		ResourceType: types.ResourceTypeSnapshot, Tags: tags("drover:plan", plan, "drover:vm", vm+"-uuid", "Name", vm)}}})
	require.NoError(t, err)
	_, err = c.DeleteVolume(t.Context(), &ec2.DeleteVolumeInput{VolumeId: v.VolumeId})
	require.NoError(t, err)
	return *s.SnapshotId
}

func tags(kv ...string) (out []types.Tag) {
	for i := 0; i < len(kv); i += 2 {
		out = append(out, types.Tag{Key: &kv[i], Value: &kv[i+1]})
	}
	return out
}

// launched is an image of a snapshot, and an instance of it.
func (a account) launched(t *testing.T, plan, vm, snapshot string) (image, instance string) {
	t.Helper()
	c := ec2.NewFromConfig(a.cfg)
	i, err := c.RegisterImage(t.Context(), &ec2.RegisterImageInput{Name: aws.String(vm + snapshot), RootDeviceName: aws.String("/dev/sda1"),
		Description: aws.String("Drover plan " + plan + ", workload web, VM " + vm),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"),
			Ebs: &types.EbsBlockDevice{SnapshotId: &snapshot}}},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeImage,
			Tags: tags("drover:plan", plan, "drover:vm", vm+"-uuid")}}})
	require.NoError(t, err)
	run, err := c.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: i.ImageId, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		InstanceType: "m7i.large",
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance,
			Tags: tags("drover:plan", plan, "drover:vm", vm+"-uuid", "Name", vm)}}})
	require.NoError(t, err)
	return *i.ImageId, *run.Instances[0].InstanceId
}

func TestDoctorTellsCopiesThatServeFromThoseThatNobodyNeeds(t *testing.T) {
	a := cloud(t)
	act := computeactivities.New(compute.New(a))
	former, current := a.copied(t, "p", "web-01"), a.copied(t, "p", "web-01")
	only := a.copied(t, "p", "api-01") // its machine is not launched yet
	others := a.copied(t, "q", "web-01")
	image, instance := a.launched(t, "p", "web-01", current)

	req := computeactivities.SurveyRequest{Plan: "p", Target: migration.Target{Name: "prod"}}
	left := func(r computeactivities.SurveyResult) (out []string) {
		for _, x := range r.Things {
			if x.Left != "" {
				out = append(out, x.ID)
			}
		}
		return out
	}
	ids := func(r computeactivities.SurveyResult) (out []string) {
		for _, x := range r.Things {
			out = append(out, x.ID)
		}
		return out
	}
	seen, err := act.SurveyTarget(t.Context(), req)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{instance, image, former, current, only}, ids(seen))
	require.Equal(t, []string{former}, left(seen))
	req.Copying = true
	seen, err = act.SurveyTarget(t.Context(), req)
	require.NoError(t, err)
	require.Empty(t, left(seen), "it may be the copy that is under way")

	req.Copying, req.Remove = false, true
	for _, removed := range []int{1, 0} {
		after, err := act.SurveyTarget(t.Context(), req)
		require.NoError(t, err)
		require.Len(t, after.Removed, removed)
		require.ElementsMatch(t, []string{instance, image, current, only}, ids(after))
	}
	require.NoError(t, act.RetireWorkload(t.Context(), computeactivities.RetireWorkloadRequest{Plan: "p",
		Target: migration.Target{Name: "prod"}, Workload: migration.Workload{Name: "none", EC2: &migration.EC2{}}}))
	for range 2 {
		require.NoError(t, act.RetireCopies(t.Context(),
			computeactivities.RetireCopiesRequest{Plan: "q", Target: migration.Target{Name: "prod"}}))
		none, err := act.SurveyTarget(t.Context(), computeactivities.SurveyRequest{Plan: "q", Target: migration.Target{Name: "prod"}})
		require.NoError(t, err)
		require.NotContains(t, ids(none), others)
	}
}
