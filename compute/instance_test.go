package compute

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// imaged is an account that has images ami-a and ami-b.
func imaged() *account {
	acc := emptyAccount()
	for _, id := range []string{"ami-a", "ami-b"} {
		acc.images = append(acc.images, ec2types.Image{ImageId: aws.String(id), Name: aws.String(id), State: ec2types.ImageStateAvailable,
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"),
				Ebs: &ec2types.EbsBlockDevice{SnapshotId: aws.String("snap-" + id), VolumeSize: aws.Int32(1)}}}})
	}
	return acc
}

func launchRequest(image string) LaunchRequest {
	f := findRequest()
	return LaunchRequest{Plan: f.Plan, Target: f.Target, Workload: f.Workload, VM: f.VM, Image: image}
}

func findRequest() Machine {
	return Machine{
		Plan: "shop", Target: migration.Target{Name: "main", Subnets: []string{"subnet-a"}},
		Workload: migration.Workload{Name: "web", EC2: &migration.EC2{InstanceType: "auto"}},
		VM:       migration.VM{Name: "web-01", UUID: "5029", CPUs: 1, MemoryMB: 512},
	}
}

func launched(t *testing.T, acc *account, image string) Instance {
	t.Helper()
	i, err := New(acc).LaunchInstance(t.Context(), launchRequest(image), quiet)
	require.NoError(t, err)
	return i
}

func TestAVMThatHasNoInstanceHasNoneFound(t *testing.T) {
	acc := imaged()
	for name, turn := range map[string]func(*LaunchRequest){
		"of another plan":     func(r *LaunchRequest) { r.Plan = "other" },
		"of another workload": func(r *LaunchRequest) { r.Workload.Name = "api" },
		"of another VM":       func(r *LaunchRequest) { r.VM.UUID = "502a" },
	} {
		req := launchRequest("ami-a")
		turn(&req)
		_, err := New(acc).LaunchInstance(t.Context(), req, quiet)
		require.NoError(t, err)
		got, err := New(acc).FindInstance(t.Context(), findRequest(), quiet)
		require.NoError(t, err)
		require.Zero(t, got, name)
	}
	require.Len(t, acc.ran, 3)
}

func TestTheInstanceOfAnEarlierRunIsFoundWhateverItsImage(t *testing.T) {
	acc := imaged()
	first := launched(t, acc, "ami-a")
	for range 2 {
		got, err := New(acc).FindInstance(t.Context(), findRequest(), quiet)
		require.NoError(t, err)
		require.Equal(t, Found{Instance: first, Image: "ami-a"}, got)
	}
	require.Equal(t, first, launched(t, acc, "ami-b"), "a run that has copied the disks anew launches no second one")
	require.Len(t, acc.ran, 1)
}

func TestAnInstanceThatIsStillStartingIsWaitedFor(t *testing.T) {
	acc := imaged()
	first := launched(t, acc, "ami-a")
	acc.instances[0].State, acc.starting = stateOf(ec2types.InstanceStateNamePending), 1
	got, err := New(acc).FindInstance(t.Context(), findRequest(), quiet)
	require.NoError(t, err)
	require.Equal(t, first, got.Instance)
	require.Negative(t, acc.starting, "it was seen pending, and then running")
}

func TestAnInstanceThatSomebodyStoppedIsNeitherReplacedNorServed(t *testing.T) {
	for _, state := range []ec2types.InstanceStateName{ec2types.InstanceStateNameStopping, ec2types.InstanceStateNameStopped} {
		acc := imaged()
		launched(t, acc, "ami-a")
		acc.instances[0].State = stateOf(state)
		_, err := New(acc).FindInstance(t.Context(), findRequest(), quiet)
		require.ErrorContains(t, err, `instance i-0 of VM "web-01" is `+string(state))
		require.ErrorContains(t, err, "start it, or terminate it to have it launched anew")
		require.Empty(t, permanent.Kind(err), "it is looked at again")
		_, err = New(acc).LaunchInstance(t.Context(), launchRequest("ami-b"), quiet)
		require.ErrorContains(t, err, "i-0")
		require.Len(t, acc.ran, 1)
	}
}

func TestAnInstanceThatIsGoneIsLaunchedAnew(t *testing.T) {
	for _, state := range []ec2types.InstanceStateName{ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated} {
		for _, image := range []string{"ami-a", "ami-b"} {
			acc := imaged()
			first := launched(t, acc, "ami-a")
			acc.instances[0].State = stateOf(state)
			got, err := New(acc).FindInstance(t.Context(), findRequest(), quiet)
			require.NoError(t, err)
			require.Zero(t, got)
			second := launched(t, acc, image)
			require.NotEqual(t, first.ID, second.ID)
			require.Len(t, acc.ran, 2)
		}
	}
}

func TestOfTwoInstancesTheOldestIsTakenAndTheOthersAreNamed(t *testing.T) {
	acc := imaged()
	first := launched(t, acc, "ami-a")
	acc.unseen = 2 // as when two runs launch at the same moment: neither sees the other's
	launched(t, acc, "ami-b")
	require.Len(t, acc.instances, 2)
	for name, turn := range map[string]func(){
		"in any order": func() { acc.instances[0], acc.instances[1] = acc.instances[1], acc.instances[0] },
		"after it was stopped and started": func() {
			for n := range acc.instances {
				if i := &acc.instances[n]; *i.InstanceId == first.ID {
					i.BlockDeviceMappings = []ec2types.InstanceBlockDeviceMapping{
						{Ebs: &ec2types.EbsInstanceBlockDevice{AttachTime: i.LaunchTime}}}
					i.LaunchTime = aws.Time(time.Unix(1000, 0))
				}
			}
		},
	} {
		turn()
		got, err := New(acc).FindInstance(t.Context(), findRequest(), quiet)
		require.NoError(t, err)
		require.Equal(t, Found{Instance: first, Image: "ami-a", Others: []string{"i-1"}}, got, name)
		require.Equal(t, first, launched(t, acc, "ami-b"), name)
	}
}

// Whoever runs something on a workload's machines asks for all that live.
func TestTheInstancesOfAWorkloadAreThoseThatLive(t *testing.T) {
	acc := imaged()
	first := launched(t, acc, "ami-a")
	acc.unseen = 2
	launched(t, acc, "ami-b")
	req := findRequest()
	ids, err := New(acc).Instances(t.Context(), req.Plan, req.Target, req.Workload.Name)
	require.NoError(t, err)
	require.Equal(t, []string{"i-0", "i-1"}, ids)
	for n := range acc.instances {
		if i := &acc.instances[n]; *i.InstanceId != first.ID {
			i.State.Name = ec2types.InstanceStateNameTerminated
		}
	}
	ids, err = New(acc).Instances(t.Context(), req.Plan, req.Target, req.Workload.Name)
	require.NoError(t, err)
	require.Equal(t, []string{first.ID}, ids)
}

func TestALaunchWhoseAnswerWasLostIsFound(t *testing.T) {
	acc := imaged()
	acc.deaf = errors.New("connection reset by peer")
	first := launched(t, acc, "ami-a")
	require.Len(t, acc.ran, 1)
	got, err := New(acc).FindInstance(t.Context(), findRequest(), quiet)
	require.NoError(t, err)
	require.Equal(t, first, got.Instance)
}

// A worker goes on for a while with what a terminated run had asked of it.
func TestALateLaunchOfARunThatWasEndedIsTaken(t *testing.T) {
	acc := imaged()
	var late Instance
	acc.launching = func() {
		acc.launching = nil
		late = launched(t, acc, "ami-a")
	}
	require.Equal(t, late, launched(t, acc, "ami-b"), "the older one")
	got, err := New(acc).FindInstance(t.Context(), findRequest(), quiet)
	require.NoError(t, err)
	require.Equal(t, late, got.Instance)
	require.Equal(t, []string{"i-1"}, got.Others)
}

func TestLaunchedTwiceItIsOneInstance(t *testing.T) {
	acc := imaged()
	workers := []*Maker{New(acc), New(acc)}
	acc.unseen = 16 // nobody sees the tags of the others' yet
	var wg sync.WaitGroup
	answers := make([]Instance, 16)
	for n := range answers {
		wg.Go(func() {
			var err error
			if answers[n], err = workers[n%2].LaunchInstance(t.Context(), launchRequest("ami-a"), quiet); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, i := range answers {
		require.Equal(t, answers[0], i)
	}
	require.Len(t, acc.ran, 1)
}

func TestAnInstanceAsksForATokenBeforeItTellsOfItself(t *testing.T) {
	acc := imaged()
	launched(t, acc, "ami-a")
	require.Equal(t, ec2types.HttpTokensStateRequired, acc.ran[0].MetadataOptions.HttpTokens, "IMDSv2")
	require.Equal(t, ec2types.InstanceMetadataEndpointStateEnabled, acc.ran[0].MetadataOptions.HttpEndpoint)
	require.True(t, *acc.ran[0].BlockDeviceMappings[0].Ebs.Encrypted)
}

func TestAVMWithoutAUUIDIsNotLookedFor(t *testing.T) {
	req := findRequest()
	req.VM.UUID = ""
	_, err := New(imaged()).FindInstance(t.Context(), req, quiet)
	require.Equal(t, "NoUUID", permanent.Kind(err), "%v", err)
}
