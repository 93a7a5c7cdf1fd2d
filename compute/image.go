package compute

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/drover-migration/drover/internal/await"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// ImageRequest names the disks of a VM as they stand in EBS. It boots from the one that its boot
// order names, else from the first.
type ImageRequest struct {
	Plan     string
	Target   migration.Target
	Workload migration.Workload
	VM       migration.VM
	Disks    []migration.DiskImage
}

// RegisterImage makes an AMI of replicated disks and waits until it can be launched. Its name
// follows from plan, VM and snapshots, and AWS allows a name once: a second call, in the same
// worker or another, finds the first one's image. Cut off after its effect, the next call finds it
// too.
func (mk *Maker) RegisterImage(ctx context.Context, req ImageRequest, say func(string)) (id string, err error) {
	if len(req.Disks) == 0 {
		return "", permanent.New("NoDisks", nil, "register an image of VM %q: it has no replicated disk", req.VM.Name)
	}
	if len(req.Disks) > mostDisks {
		return "", permanent.New("TooManyDisks", nil, "register an image of VM %q: it has %d disks, and an image has names for %d",
			req.VM.Name, len(req.Disks), mostDisks)
	}
	c, err := mk.clients.EC2(ctx, req.Target)
	if err != nil {
		return "", err
	}
	id, err = shared(ctx, mk, "image "+imageKey(req), func() (string, error) {
		id, err := findImage(ctx, c, req)
		if err == nil && id == "" {
			id, err = registerImage(ctx, c, req)
		}
		return id, err
	})
	if err != nil {
		return "", err
	}
	return id, awaitImage(ctx, c, req, id, say)
}

// imageKey says what is in an image: another snapshot is another image.
func imageKey(req ImageRequest) string {
	h := sha256.New()
	for _, s := range []string{req.Plan, req.Workload.Name, req.VM.UUID, req.VM.Firmware} {
		_, _ = fmt.Fprintf(h, "%q ", s)
	}
	for _, d := range req.Disks {
		_, _ = fmt.Fprintf(h, "%q ", d.Snapshot)
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// findImage finds the image by its tag; "" if there is none. One that failed keeps its name, so
// that no other can be registered in its place: it is an error until somebody has looked at it and
// taken it away.
func findImage(ctx context.Context, c EC2, req ImageRequest) (string, error) {
	images, err := describeImages(ctx, c, req, filter("tag:"+tagImage, imageKey(req)))
	if err != nil {
		return "", err
	}
	var ids []string
	var unusable error
	for _, i := range images {
		switch {
		case i.State == types.ImageStateDeregistered:
		case useless(i):
			unusable = imageError(req, i)
		default:
			ids = append(ids, aws.ToString(i.ImageId))
		}
	}
	if len(ids) == 0 {
		return "", unusable
	}
	return slices.Min(ids), nil
}

func describeImages(ctx context.Context, c EC2, req ImageRequest, by types.Filter) ([]types.Image, error) {
	out, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{by},
		IncludeDisabled: aws.Bool(true)})
	if err != nil {
		return nil, classify(err, "look for the image of VM %q", req.VM.Name)
	}
	return out.Images, nil
}

// useless says whether an image will not become one that can be launched, unless somebody does
// something about it.
func useless(i types.Image) bool {
	switch i.State {
	case types.ImageStateFailed, types.ImageStateInvalid, types.ImageStateError, types.ImageStateDeregistered, types.ImageStateDisabled:
		return true
	}
	return false
}

// imageError says what a useless image is, and what to do about it.
func imageError(req ImageRequest, i types.Image) error {
	id, why := aws.ToString(i.ImageId), "AWS gives no reason"
	if i.StateReason != nil {
		why = cmp.Or(aws.ToString(i.StateReason.Message), why)
	}
	if i.State == types.ImageStateDisabled {
		return permanent.New("ImageDisabled", nil, "image %s of VM %q is disabled; enable it (aws ec2 enable-image --image-id %s) and "+
			"submit the plan again", id, req.VM.Name, id)
	}
	return permanent.New("ImageFailed", nil, "image %s of VM %q is %s: %s; mend the cause, deregister the image, which keeps its name "+
		"(aws ec2 deregister-image --image-id %s), and submit the plan again", id, req.VM.Name, i.State, why, id)
}

// takenBy finds what keeps a name from being registered: the image itself, that another worker
// made, or somebody else's.
func takenBy(ctx context.Context, c EC2, req ImageRequest, name string) (string, error) {
	id, err := findImage(ctx, c, req)
	if err != nil || id != "" {
		return id, err
	}
	images, err := describeImages(ctx, c, req, filter("name", name))
	if err != nil {
		return "", err
	}
	for _, i := range images {
		mine := slices.ContainsFunc(i.Tags, func(t types.Tag) bool {
			return aws.ToString(t.Key) == tagImage && aws.ToString(t.Value) == imageKey(req)
		})
		if !mine && i.State != types.ImageStateDeregistered {
			return "", permanent.New("ImageNameTaken", nil, "register an image of VM %q: the name %s is taken by image %s, which is not "+
				"tagged %s=%s as Drover tags its own; deregister that image, or tag it so if Drover made it",
				req.VM.Name, name, aws.ToString(i.ImageId), tagImage, imageKey(req))
		}
	}
	// It may show up in the tags' index a moment later; the name of one that was deregistered is
	// free a moment later.
	return "", fmt.Errorf("register an image of VM %q: the name %s is taken, and the image does not show yet", req.VM.Name, name)
}

func registerImage(ctx context.Context, c EC2, req ImageRequest) (string, error) {
	key := imageKey(req)
	boot := types.BootModeValuesLegacyBios
	if req.VM.Firmware == "efi" {
		boot = types.BootModeValuesUefi
	}
	in := &ec2.RegisterImageInput{
		Name:               aws.String(imageName(req.Plan, req.VM.Name, key)),
		Description:        aws.String(fmt.Sprintf("Drover plan %s, workload %s, VM %s", req.Plan, req.Workload.Name, req.VM.Name)),
		Architecture:       types.ArchitectureValuesX8664, // what vSphere runs
		VirtualizationType: aws.String("hvm"),
		EnaSupport:         aws.Bool(true),
		BootMode:           boot,
		RootDeviceName:     aws.String(deviceName(0)),
		TagSpecifications: tagSpecs(tags(req.Target, req.Plan, req.Workload.Name, map[string]string{tagVM: req.VM.UUID, tagImage: key}),
			types.ResourceTypeImage),
	}
	for i, d := range bootFirst(req.Disks, req.VM.BootDisk) {
		// Encrypted is not said: a snapshot's volumes are encrypted as the snapshot is, and AWS
		// refuses to hear it here.
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, types.BlockDeviceMapping{
			DeviceName: aws.String(deviceName(i)),
			Ebs: &types.EbsBlockDevice{
				SnapshotId: aws.String(d.Snapshot), VolumeSize: aws.Int32(gib(d.Bytes)), VolumeType: types.VolumeTypeGp3,
				DeleteOnTermination: aws.Bool(req.Workload.State != migration.StateDisk),
			},
		})
	}
	out, err := c.RegisterImage(ctx, in)
	if has(err, "InvalidAMIName.Duplicate") {
		return takenBy(ctx, c, req, *in.Name)
	}
	if err != nil {
		return "", classify(err, "register an image of VM %q of workload %q", req.VM.Name, req.Workload.Name)
	}
	return aws.ToString(out.ImageId), nil
}

// bootFirst leaves the other disks in their order.
func bootFirst(disks []migration.DiskImage, boot int32) []migration.DiskImage {
	return slices.SortedStableFunc(slices.Values(disks), func(a, b migration.DiskImage) int {
		switch {
		case a.Key == boot && b.Key != boot:
			return -1
		case b.Key == boot && a.Key != boot:
			return 1
		default:
			return 0
		}
	})
}

func awaitImage(ctx context.Context, c EC2, req ImageRequest, id string, say func(string)) error {
	what := fmt.Sprintf("image %s of VM %q", id, req.VM.Name)
	return await.Until(ctx, what, say, func() (bool, string, error) {
		out, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})
		if has(err, "InvalidAMIID.NotFound") || err == nil && len(out.Images) == 0 {
			return false, "AWS does not show it yet", nil
		}
		if err != nil {
			return false, "", classify(err, "wait for %s", what)
		}
		switch i := out.Images[0]; {
		case i.State == types.ImageStateAvailable:
			return true, "", nil
		case useless(i):
			return false, "", imageError(req, i)
		default:
			return false, fmt.Sprintf("it is %s", i.State), nil
		}
	})
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9()\[\] ./\-'@_]`)

// imageName is readable and unique for its key; AWS takes 3 to 128 of these characters.
func imageName(plan, vm, key string) string {
	name := notInName.ReplaceAllString("drover/"+plan+"/"+vm, "-")
	if len(name) > 90 {
		name = name[:90]
	}
	return name + "/" + key
}

// mostDisks of a VM: the root, and /dev/sdf to /dev/sdz.
const mostDisks = 22

// deviceName is where a disk appears: the root as /dev/sda1, further ones from /dev/sdf on, as AWS
// recommends for HVM.
func deviceName(i int) string {
	if i == 0 {
		return "/dev/sda1"
	}
	return "/dev/sd" + string(rune('f'+i-1))
}

// gib rounds bytes up to GiB.
func gib(bytes int64) int32 { return int32((bytes + 1<<30 - 1) >> 30) } //nolint:gosec // a volume has at most 64 TiB

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

// tags are the target's own and Drover's, which win.
func tags(t migration.Target, plan, workload string, more map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, t.Tags)
	maps.Copy(out, more)
	out[tagPlan], out[tagWorkload] = plan, workload
	return out
}

func tagSpecs(tags map[string]string, on ...types.ResourceType) (out []types.TagSpecification) {
	var list []types.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	for _, r := range on {
		out = append(out, types.TagSpecification{ResourceType: r, Tags: list})
	}
	return out
}

// short hashes parts into n hex digits.
func short(n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:n]
}
