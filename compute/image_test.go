package compute

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// quiet is nobody to tell what is waited for.
func quiet(string) {}

func imageRequest() ImageRequest {
	return ImageRequest{
		Plan: "shop", Target: migration.Target{Name: "main", Tags: map[string]string{"owner": "ops", tagPlan: "not yours"}},
		Workload: migration.Workload{Name: "web", State: migration.StateDatasets},
		VM:       migration.VM{Name: "web-01", UUID: "5029", Firmware: "bios"},
		Disks:    []migration.DiskImage{{Key: 2000, Snapshot: "snap-1", Bytes: 1 << 30}, {Key: 2001, Snapshot: "snap-2", Bytes: 1<<30 + 1}},
	}
}

func emptyAccount() *account { return &account{errs: map[string]error{}} }

func TestAnImageIsWhatItsVMWas(t *testing.T) {
	acc := emptyAccount()
	got, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.NoError(t, err)
	require.Equal(t, "ami-0", got)
	in := acc.registered[0]
	require.Equal(t, ec2types.ArchitectureValuesX8664, in.Architecture)
	require.Equal(t, "hvm", *in.VirtualizationType)
	require.True(t, *in.EnaSupport)
	require.Equal(t, ec2types.BootModeValuesLegacyBios, in.BootMode)
	require.Equal(t, "/dev/sda1", *in.RootDeviceName)
	require.Len(t, in.BlockDeviceMappings, 2)
	for i, want := range []struct {
		name, snapshot string
		gib            int32
	}{{"/dev/sda1", "snap-1", 1}, {"/dev/sdf", "snap-2", 2}} {
		m := in.BlockDeviceMappings[i]
		require.Equal(t, want.name, *m.DeviceName)
		require.Equal(t, want.snapshot, *m.Ebs.SnapshotId)
		require.Equal(t, want.gib, *m.Ebs.VolumeSize)
		require.Nil(t, m.Ebs.Encrypted, "AWS refuses to hear it beside a snapshot")
		require.True(t, *m.Ebs.DeleteOnTermination)
	}
	tags := map[string]string{}
	for _, tag := range in.TagSpecifications[0].Tags {
		tags[*tag.Key] = *tag.Value
	}
	require.Equal(t, map[string]string{"owner": "ops", tagPlan: "shop", tagWorkload: "web", tagVM: "5029",
		tagImage: imageKey(imageRequest())}, tags)
}

func TestAnImageFollowsItsVM(t *testing.T) {
	acc, req := emptyAccount(), imageRequest()
	req.VM.Firmware, req.Workload.State = "efi", migration.StateDisk
	_, err := New(acc).RegisterImage(t.Context(), req, quiet)
	require.NoError(t, err)
	require.Equal(t, ec2types.BootModeValuesUefi, acc.registered[0].BootMode)
	require.False(t, *acc.registered[0].BlockDeviceMappings[0].Ebs.DeleteOnTermination, "a disk with state outlives its instance")
}

func TestAnImageBootsFromTheDiskThatItsVMBootsFrom(t *testing.T) {
	for boot, want := range map[int32][]string{0: {"snap-1", "snap-2", "snap-3"}, 2000: {"snap-1", "snap-2", "snap-3"},
		2016: {"snap-3", "snap-1", "snap-2"}, 9: {"snap-1", "snap-2", "snap-3"}} {
		acc, req := emptyAccount(), imageRequest()
		req.VM.BootDisk, req.Disks = boot, append(req.Disks, migration.DiskImage{Key: 2016, Snapshot: "snap-3", Bytes: 1 << 30})
		_, err := New(acc).RegisterImage(t.Context(), req, quiet)
		require.NoError(t, err)
		var got []string
		for _, m := range acc.registered[0].BlockDeviceMappings {
			got = append(got, *m.Ebs.SnapshotId)
		}
		require.Equal(t, want, got, "it boots from %d", boot)
		require.Equal(t, *acc.registered[0].RootDeviceName, *acc.registered[0].BlockDeviceMappings[0].DeviceName)
	}
}

func TestRegisteredTwiceItIsOneImage(t *testing.T) {
	acc := emptyAccount()
	a := New(acc)
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			out, err := a.RegisterImage(t.Context(), imageRequest(), quiet)
			if err != nil {
				t.Error(err)
			}
			ids[i] = out
		})
	}
	wg.Wait()
	later, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.NoError(t, err)
	for _, id := range ids {
		require.Equal(t, later, id)
	}
	require.Len(t, acc.registered, 1)
}

func TestOfTwoWorkersAtOnceTheSecondFindsTheFirstsImage(t *testing.T) {
	acc := emptyAccount()
	var first string
	acc.before = func() {
		acc.before = nil
		var err error
		first, err = New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
		require.NoError(t, err)
	}
	second, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Len(t, acc.registered, 1)
}

func TestAnImageThatDoesNotShowYetIsAskedForAgain(t *testing.T) {
	acc := emptyAccount()
	_, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.NoError(t, err)
	acc.hidden = 3 // neither before the registration nor after it was refused, by its tag or by its name
	_, err = New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.ErrorContains(t, err, `register an image of VM "web-01": the name drover/shop/web-01/`)
	require.Empty(t, permanent.Kind(err))
	_, err = New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.NoError(t, err)
	require.Len(t, acc.registered, 1)
}

func TestOtherContentIsAnotherImage(t *testing.T) {
	for name, turn := range map[string]func(*ImageRequest){
		"another snapshot":    func(r *ImageRequest) { r.Disks[1].Snapshot = "snap-3" },
		"disks in turn":       func(r *ImageRequest) { r.Disks[0], r.Disks[1] = r.Disks[1], r.Disks[0] },
		"a disk less":         func(r *ImageRequest) { r.Disks = r.Disks[:1] },
		"other firmware":      func(r *ImageRequest) { r.VM.Firmware = "efi" },
		"another VM":          func(r *ImageRequest) { r.VM.UUID = "502a" },
		"another plan":        func(r *ImageRequest) { r.Plan = "other" },
		"words cut elsewhere": func(r *ImageRequest) { r.Plan, r.Workload.Name = "shopw", "eb" },
	} {
		req := imageRequest()
		turn(&req)
		require.NotEqual(t, imageKey(imageRequest()), imageKey(req), name)
	}
	req := imageRequest()
	req.VM.Name, req.Target.Tags = "web-1", nil
	require.Equal(t, imageKey(imageRequest()), imageKey(req), "a name is not content")
}

func TestAnImageOfAnotherSnapshotIsRegisteredBesideTheFirst(t *testing.T) {
	acc, req := emptyAccount(), imageRequest()
	first, err := New(acc).RegisterImage(t.Context(), req, quiet)
	require.NoError(t, err)
	req.Disks = []migration.DiskImage{{Key: 2000, Snapshot: "snap-9", Bytes: 1 << 30}}
	second, err := New(acc).RegisterImage(t.Context(), req, quiet)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
}

func TestAnImageThatFailedSaysWhyEachTimeUntilItIsTakenAway(t *testing.T) {
	for _, state := range []ec2types.ImageState{ec2types.ImageStateFailed, ec2types.ImageStateInvalid, ec2types.ImageStateError} {
		acc := emptyAccount()
		acc.state = state
		for range 2 { // the second finds the first's image, whose name AWS does not give again
			_, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
			require.Equal(t, "ImageFailed", permanent.Kind(err), "%v", err)
			require.ErrorContains(t, err,
				fmt.Sprintf(`image ami-0 of VM "web-01" is %s: no boot sector; mend the cause, deregister the image`, state))
			require.ErrorContains(t, err, "aws ec2 deregister-image --image-id ami-0")
		}
		require.Len(t, acc.registered, 1)
		acc.images[0].State, acc.images[0].Name, acc.state = ec2types.ImageStateDeregistered, aws.String("freed"), ""
		got, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
		require.NoError(t, err)
		require.Equal(t, "ami-1", got)
	}
}

func TestOfAFailedImageAndAGoodOneTheGoodIsFound(t *testing.T) {
	acc := emptyAccount()
	_, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.NoError(t, err)
	failed := acc.images[0]
	failed.ImageId, failed.State = aws.String("ami-00"), ec2types.ImageStateFailed
	acc.images = append(acc.images, failed)
	got, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.NoError(t, err)
	require.Equal(t, "ami-0", got)
}

func TestAnImageThatSomebodyDisabledIsNotWaitedFor(t *testing.T) {
	acc := emptyAccount()
	_, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.NoError(t, err)
	acc.images[0].State = ec2types.ImageStateDisabled
	_, err = New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.Equal(t, "ImageDisabled", permanent.Kind(err), "%v", err)
	require.ErrorContains(t, err, "aws ec2 enable-image --image-id ami-0")
}

func TestANameThatSomebodyElsesImageHasIsSaidSo(t *testing.T) {
	acc := emptyAccount()
	_, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.NoError(t, err)
	acc.images[0].Tags = nil
	_, err = New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
	require.Equal(t, "ImageNameTaken", permanent.Kind(err), "%v", err)
	require.ErrorContains(t, err, "is taken by image ami-0, which is not tagged drover:image="+imageKey(imageRequest()))
	require.Len(t, acc.registered, 1)
}

func TestWhatCannotBecomeAnImageIsRefused(t *testing.T) {
	for _, c := range []struct {
		disks int
		kind  string
	}{{0, "NoDisks"}, {1, ""}, {22, ""}, {23, "TooManyDisks"}} {
		acc, req := emptyAccount(), imageRequest()
		req.Disks = nil
		for range c.disks {
			req.Disks = append(req.Disks, migration.DiskImage{Snapshot: "snap-1", Bytes: 1})
		}
		_, err := New(acc).RegisterImage(t.Context(), req, quiet)
		require.Equal(t, c.kind, permanent.Kind(err), "%d disks: %v", c.disks, err)
		require.Len(t, acc.registered, map[bool]int{true: 1}[c.kind == ""])
		if c.kind != "" {
			require.ErrorContains(t, err, `VM "web-01"`)
			continue
		}
		seen := map[string]bool{}
		for _, m := range acc.registered[0].BlockDeviceMappings {
			require.Regexp(t, `^/dev/sd(a1|[f-z])$`, *m.DeviceName)
			require.False(t, seen[*m.DeviceName])
			seen[*m.DeviceName] = true
		}
	}
}

func TestErrorsOfAnImageSayWhatWasDone(t *testing.T) {
	for _, c := range []struct{ call, code, kind, text string }{
		{"DescribeImages", "RequestLimitExceeded", "", `look for the image of VM "web-01"`},
		{"DescribeImages", "UnauthorizedOperation", "AccessDenied", `look for the image of VM "web-01": AWS refuses it to the role`},
		{"RegisterImage", "InvalidSnapshot.NotFound", "Refused", `register an image of VM "web-01" of workload "web"`},
		{"RegisterImage", "InternalError", "", `register an image of VM "web-01" of workload "web"`},
	} {
		acc := emptyAccount()
		acc.errs[c.call] = api(c.code)
		_, err := New(acc).RegisterImage(t.Context(), imageRequest(), quiet)
		require.ErrorContains(t, err, c.text)
		require.Equal(t, c.kind, permanent.Kind(err))
		require.True(t, has(err, c.code), "the cause is kept: %v", err)
	}
}

func TestAnImagesNameIsOneThatAWSTakes(t *testing.T) {
	key := imageKey(imageRequest())
	for _, c := range []struct{ plan, vm, want string }{
		{"shop", "web-01", "drover/shop/web-01/" + key},
		{"shop", "web 01 (old) [1]", "drover/shop/web 01 (old) [1]/" + key},
		{"shop", "wéb#01%2f", "drover/shop/w-b-01-2f/" + key},
		{"shop", strings.Repeat("é", 200), "drover/shop/" + strings.Repeat("-", 78) + "/" + key},
	} {
		got := imageName(c.plan, c.vm, key)
		require.Equal(t, c.want, got)
		require.LessOrEqual(t, len(got), 128)
		require.True(t, utf8.ValidString(got))
	}
}

func TestBytesAreRoundedUpToGiB(t *testing.T) {
	for bytes, want := range map[int64]int32{1: 1, 1 << 30: 1, 1<<30 + 1: 2, 64 << 40: 65536} {
		require.Equal(t, want, gib(bytes))
	}
}

func TestAnImageThatIsPendingIsWaitedForAndSaidSo(t *testing.T) {
	acc := emptyAccount()
	acc.state = ec2types.ImageStatePending
	looks := 0
	a := New(becoming{acc, func() {
		acc.mu.Lock()
		defer acc.mu.Unlock()
		if looks++; looks == 2 {
			acc.images[0].State = ec2types.ImageStateAvailable
		}
	}})
	var said []string
	id, err := a.RegisterImage(t.Context(), imageRequest(), func(s string) { said = append(said, s) })
	require.NoError(t, err)
	require.Equal(t, "ami-0", id)
	require.Equal(t, 2, looks)
	require.Equal(t, []string{"it is pending"}, said)
}

// becoming does something before each look at images.
type becoming struct {
	*account
	look func()
}

func (b becoming) EC2(context.Context, migration.Target) (EC2, error) {
	return lookedAt{ec2Of{a: b.account}, b.look}, nil
}

type lookedAt struct {
	ec2Of
	look func()
}

func (l lookedAt) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput,
	o ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	if len(in.ImageIds) > 0 {
		l.look()
	}
	return l.ec2Of.DescribeImages(ctx, in, o...)
}

// The work of a caller that was cancelled is done by one who still wants it.
func TestACallerThatIsCancelledDoesNotTakeTheOthersDown(t *testing.T) {
	a := New(emptyAccount())
	ctx, cancel := context.WithCancel(t.Context())
	working, waiting := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		_, err := shared(ctx, a, "k", func() (string, error) {
			close(working)
			<-ctx.Done()
			<-waiting
			return "", ctx.Err()
		})
		first <- err
	}()
	<-working
	second := make(chan string)
	go func() {
		got, err := shared(t.Context(), a, "k", func() (string, error) { return "done", nil })
		if err != nil {
			t.Error(err)
		}
		second <- got
	}()
	cancel()
	time.AfterFunc(20*time.Millisecond, func() { close(waiting) }) // by then the second has joined; if not, the test is easier
	require.ErrorIs(t, <-first, context.Canceled)
	require.Equal(t, "done", <-second)
}
