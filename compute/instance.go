package compute

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/drover-migration/drover/internal/await"
	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// LaunchRequest names the image that a VM was made into.
type LaunchRequest struct {
	Plan     string
	Target   migration.Target
	Workload migration.Workload
	VM       migration.VM
	Image    string
}

// Instance is a running EC2 instance.
type Instance struct {
	ID        string
	PrivateIP string
	Type      string
}

// LaunchInstance finds or launches the instance of a VM and waits until it runs and passes EC2's
// status checks.
//
// A second call finds the first one's instance by its tags, whichever image that was launched from:
// one of a run that was ended while it launched is as good. Calls at the same time, or a repeat
// that does not see the tags yet, carry the same client token, which AWS answers with the same
// instance. A subnet or zone without room is passed over for the next.
func (mk *Maker) LaunchInstance(ctx context.Context, req LaunchRequest, say func(string)) (Instance, error) {
	if req.Workload.EC2 == nil {
		return Instance{}, permanent.New("NotEC2", nil, "launch VM %q: workload %q has no ec2 target", req.VM.Name, req.Workload.Name)
	}
	c, err := mk.clients.EC2(ctx, req.Target)
	if err != nil {
		return Instance{}, err
	}
	id, err := shared(ctx, mk, "instance "+short(32, req.Plan, req.Workload.Name, req.VM.UUID), func() (string, error) {
		living, dead, err := findInstances(ctx, c, req.Plan, req.Workload, req.VM)
		if err != nil {
			return "", err
		}
		if len(living) > 0 {
			return aws.ToString(living[0].InstanceId), nil
		}
		made, err := mk.launch(ctx, c, req, ofImage(dead, req.Image))
		// Another worker may have been first, with this image or another, or an answer was lost on
		// its way.
		if late, _, lookErr := findInstances(ctx, c, req.Plan, req.Workload, req.VM); lookErr == nil && len(late) > 0 {
			return aws.ToString(late[0].InstanceId), nil
		}
		if err != nil {
			return "", err
		}
		return aws.ToString(made.InstanceId), nil
	})
	if err != nil {
		return Instance{}, err
	}
	return awaitInstance(ctx, c, req.VM, id, say)
}

// Machine names a VM of a workload.
type Machine struct {
	Plan     string
	Target   migration.Target
	Workload migration.Workload
	VM       migration.VM
}

// Found is the instance that a VM has already; the zero value: it has none.
type Found struct {
	Instance Instance
	Image    string   // that it was launched from
	Others   []string // ids of younger ones, where there is more than one
}

// FindInstance finds the living instance of a VM, from whatever image it was launched, and waits
// until it runs and passes EC2's status checks. It changes nothing. Of several it takes the oldest
// and names the others. One that is stopped is an error for as long as it is: a second one beside
// it is never the answer. One that is terminated counts as none; one that is while it is waited for
// is an error, and the repeat finds none.
func (mk *Maker) FindInstance(ctx context.Context, req Machine, say func(string)) (Found, error) {
	c, err := mk.clients.EC2(ctx, req.Target)
	if err != nil {
		return Found{}, err
	}
	living, _, err := findInstances(ctx, c, req.Plan, req.Workload, req.VM)
	if err != nil || len(living) == 0 {
		return Found{}, err
	}
	out := Found{Image: aws.ToString(living[0].ImageId)}
	for _, i := range living[1:] {
		out.Others = append(out.Others, aws.ToString(i.InstanceId))
	}
	out.Instance, err = awaitInstance(ctx, c, req.VM, aws.ToString(living[0].InstanceId), say)
	return out, err
}

// Instances are the ids of the instances that a workload of the plan has, sorted. It changes
// nothing.
func (mk *Maker) Instances(ctx context.Context, plan string, t migration.Target, workload string) (ids []string, err error) {
	c, err := mk.clients.EC2(ctx, t)
	if err != nil {
		return nil, err
	}
	pages := ec2.NewDescribeInstancesPaginator(c, &ec2.DescribeInstancesInput{Filters: []types.Filter{
		filter("tag:"+tagPlan, plan), filter("tag:"+tagWorkload, workload),
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify(err, "look for the instances of workload %q", workload)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if !gone(i) {
					ids = append(ids, aws.ToString(i.InstanceId))
				}
			}
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// findInstances finds the living instances of a VM, oldest first, and terminated ones, which AWS
// shows for about an hour.
func findInstances(ctx context.Context, c EC2, plan string, w migration.Workload,
	vm migration.VM) (living, dead []types.Instance, err error) {
	if vm.UUID == "" {
		return nil, nil, permanent.New("NoUUID", nil, "look for the instance of VM %q: vCenter gives it no UUID to find it by; look at "+
			"the machine in vCenter: it may be orphaned or inaccessible", vm.Name)
	}
	pages := ec2.NewDescribeInstancesPaginator(c, &ec2.DescribeInstancesInput{Filters: []types.Filter{
		filter("tag:"+tagPlan, plan), filter("tag:"+tagWorkload, w.Name), filter("tag:"+tagVM, vm.UUID),
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, classify(err, "look for the instance of VM %q", vm.Name)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if gone(i) {
					dead = append(dead, i)
				} else {
					living = append(living, i)
				}
			}
		}
	}
	slices.SortFunc(living, func(a, b types.Instance) int {
		return cmp.Or(born(a).Compare(born(b)), strings.Compare(aws.ToString(a.InstanceId), aws.ToString(b.InstanceId)))
	})
	return living, dead, nil
}

// born is when an instance was first launched: its launch time is that of its last start, and its
// disks were attached at the first.
func born(i types.Instance) time.Time {
	at := aws.ToTime(i.LaunchTime)
	for _, m := range i.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.AttachTime != nil && m.Ebs.AttachTime.Before(at) {
			at = *m.Ebs.AttachTime
		}
	}
	return at
}

// ofImage are the ids of those that were launched from an image, in order.
func ofImage(all []types.Instance, image string) (ids []string) {
	for _, i := range all {
		if aws.ToString(i.ImageId) == image {
			ids = append(ids, aws.ToString(i.InstanceId))
		}
	}
	slices.Sort(ids)
	return ids
}

func gone(i types.Instance) bool {
	return i.State != nil && (i.State.Name == types.InstanceStateNameTerminated || i.State.Name == types.InstanceStateNameShuttingDown)
}

// launch runs the instance in the first subnet that has room. VMs of a workload begin at different
// subnets.
func (mk *Maker) launch(ctx context.Context, c EC2, req LaunchRequest, dead []string) (*types.Instance, error) {
	in, err := mk.runInput(ctx, c, req)
	if err != nil {
		return nil, err
	}
	subnets := req.Target.Subnets
	if len(subnets) == 0 {
		return nil, permanent.New("NoSubnets", nil, "launch VM %q: target %q names no subnets", req.VM.Name, req.Target.Name)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(req.VM.UUID))
	var full []error
	for n := range subnets {
		subnet := subnets[(int(h.Sum32()%1024)+n)%len(subnets)]
		i, err := runIn(ctx, c, in, subnet, dead)
		if err == nil {
			return i, nil
		}
		if !has(err, "InsufficientFreeAddressesInSubnet", "InsufficientInstanceCapacity", "Unsupported") {
			return nil, classify(err, "launch VM %q of workload %q in subnet %s", req.VM.Name, req.Workload.Name, subnet)
		}
		full = append(full, fmt.Errorf("subnet %s: %w", subnet, err))
	}
	return nil, fmt.Errorf("launch VM %q of workload %q as %s: no subnet has room: %w", req.VM.Name, req.Workload.Name, in.InstanceType,
		errors.Join(full...))
}

// runIn launches under a token that stands for exactly this. AWS answers the token of an instance
// that has been terminated with that instance; the next token then counts it in.
func runIn(ctx context.Context, c EC2, in *ec2.RunInstancesInput, subnet string, dead []string) (*types.Instance, error) {
	for range 5 {
		try := *in
		try.SubnetId = &subnet
		try.ClientToken = aws.String(token(&try, dead))
		out, err := c.RunInstances(ctx, &try)
		if err != nil {
			return nil, err
		}
		if len(out.Instances) == 0 {
			return nil, errors.New("AWS launched no instance and gave no reason")
		}
		if i := out.Instances[0]; !gone(i) {
			return &i, nil
		}
		dead = append(slices.Clone(dead), aws.ToString(out.Instances[0].InstanceId))
	}
	return nil, errors.New("AWS keeps answering with terminated instances")
}

// token is the client token: at most 64 characters, and the same for the same request.
func token(in *ec2.RunInstancesInput, dead []string) string {
	profile := ""
	if in.IamInstanceProfile != nil {
		profile = aws.ToString(in.IamInstanceProfile.Name) + aws.ToString(in.IamInstanceProfile.Arn)
	}
	parts := []string{aws.ToString(in.ImageId), string(in.InstanceType), aws.ToString(in.SubnetId), strings.Join(in.SecurityGroupIds, ","),
		profile, aws.ToString(in.UserData), strings.Join(dead, ",")}
	for _, t := range in.TagSpecifications[0].Tags {
		parts = append(parts, aws.ToString(t.Key), aws.ToString(t.Value))
	}
	for _, m := range in.BlockDeviceMappings {
		parts = append(parts, aws.ToString(m.DeviceName), aws.ToString(m.Ebs.SnapshotId), aws.ToString(m.Ebs.KmsKeyId))
	}
	return short(64, parts...)
}

func (mk *Maker) runInput(ctx context.Context, c EC2, req LaunchRequest) (*ec2.RunInstancesInput, error) {
	kind, err := migration.InstanceType(req.Workload.EC2.InstanceType, req.VM)
	if err != nil {
		return nil, permanent.New("NoInstanceType", nil, "launch VM %q of workload %q: %v", req.VM.Name, req.Workload.Name, err)
	}
	groups, missing, err := securityGroups(ctx, c, req.Target, req.Workload.EC2.SecurityGroups)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return nil, permanent.New("NoSecurityGroup", nil, "launch VM %q of workload %q: VPC %s has no security group %s", req.VM.Name,
			req.Workload.Name, req.Target.VPC, strings.Join(missing, ", "))
	}
	disks, err := mk.mappings(ctx, c, req)
	if err != nil {
		return nil, err
	}
	all := tags(req.Target, req.Plan, req.Workload.Name, map[string]string{"Name": req.VM.Name, tagVM: req.VM.UUID, tagImage: req.Image})
	in := &ec2.RunInstancesInput{
		ImageId: &req.Image, InstanceType: types.InstanceType(kind), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		SecurityGroupIds: groups, BlockDeviceMappings: disks,
		MetadataOptions: &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired,
			HttpEndpoint: types.InstanceMetadataEndpointStateEnabled},
		TagSpecifications: tagSpecs(all, types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface),
	}
	switch p := req.Workload.EC2.Profile; {
	case strings.HasPrefix(p, "arn:"):
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Arn: &p}
	case p != "":
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: &p}
	}
	if d := req.Workload.Config.UserData; d != "" {
		in.UserData = aws.String(base64.StdEncoding.EncodeToString([]byte(d)))
	}
	return in, nil
}

// mappings are the image's disks, encrypted whatever the snapshot is.
func (mk *Maker) mappings(ctx context.Context, c EC2, req LaunchRequest) ([]types.BlockDeviceMapping, error) {
	out, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{req.Image}})
	if err != nil {
		return nil, classify(err, "read image %s of VM %q", req.Image, req.VM.Name)
	}
	if len(out.Images) == 0 {
		return nil, permanent.New("NoImage", nil, "launch VM %q: image %s does not exist", req.VM.Name, req.Image)
	}
	key, err := awsconf.KeyARN(ctx, req.Target, mk.clients.KMS)
	if err != nil {
		return nil, classify(err, "resolve KMS key %q of target %q", req.Target.KMSKey, req.Target.Name)
	}
	var disks []types.BlockDeviceMapping
	for _, m := range out.Images[0].BlockDeviceMappings {
		if m.Ebs == nil {
			continue
		}
		ebs := &types.EbsBlockDevice{SnapshotId: m.Ebs.SnapshotId, VolumeSize: m.Ebs.VolumeSize, VolumeType: types.VolumeTypeGp3,
			DeleteOnTermination: aws.Bool(req.Workload.State != migration.StateDisk), Encrypted: aws.Bool(true)}
		if key != "" {
			ebs.KmsKeyId = &key
		}
		disks = append(disks, types.BlockDeviceMapping{DeviceName: m.DeviceName, Ebs: ebs})
	}
	return disks, nil
}

var groupID = regexp.MustCompile(`^sg-([0-9a-f]{8}|[0-9a-f]{17})$`)

// securityGroups resolves ids and names in the target's VPC, in order; missing are those it does
// not have.
func securityGroups(ctx context.Context, c EC2, t migration.Target, wanted []string) (ids, missing []string, err error) {
	if len(wanted) == 0 {
		return nil, nil, nil
	}
	out, err := c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", t.VPC)}})
	if err != nil {
		return nil, nil, classify(err, "look for security groups in VPC %s", t.VPC)
	}
	for _, w := range wanted {
		i := slices.IndexFunc(out.SecurityGroups, func(g types.SecurityGroup) bool {
			if groupID.MatchString(w) {
				return aws.ToString(g.GroupId) == w
			}
			return aws.ToString(g.GroupName) == w
		})
		if i < 0 {
			missing = append(missing, w)
			continue
		}
		ids = append(ids, aws.ToString(out.SecurityGroups[i].GroupId))
	}
	return ids, missing, nil
}

func awaitInstance(ctx context.Context, c EC2, vm migration.VM, id string, say func(string)) (Instance, error) {
	what := fmt.Sprintf("instance %s of VM %q", id, vm.Name)
	var got Instance
	err := await.Until(ctx, what, say, func() (bool, string, error) {
		out, err := c.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		if has(err, "InvalidInstanceID.NotFound") || err == nil && (len(out.Reservations) == 0 || len(out.Reservations[0].Instances) == 0) {
			return false, "AWS does not show it yet", nil
		}
		if err != nil {
			return false, "", classify(err, "wait for %s", what)
		}
		i := out.Reservations[0].Instances[0]
		switch {
		case gone(i):
			return false, "", fmt.Errorf("%s was terminated: %s", what, reason(i))
		case i.State == nil || i.State.Name == types.InstanceStateNamePending:
			return false, "it is starting", nil
		case i.State.Name != types.InstanceStateNameRunning:
			return false, "", fmt.Errorf("%s is %s (%s); start it, or terminate it to have it launched anew", what, i.State.Name, reason(i))
		}
		got = Instance{ID: id, PrivateIP: aws.ToString(i.PrivateIpAddress), Type: string(i.InstanceType)}
		return statusOK(ctx, c, id)
	})
	return got, err
}

func reason(i types.Instance) string {
	if i.StateReason != nil && i.StateReason.Message != nil {
		return *i.StateReason.Message
	}
	return cmp.Or(aws.ToString(i.StateTransitionReason), "AWS gives no reason")
}

// statusOK asks for the two checks that EC2 makes of a running instance.
func statusOK(ctx context.Context, c EC2, id string) (bool, string, error) {
	out, err := c.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: []string{id}})
	if err != nil {
		return false, "", classify(err, "read the status checks of instance %s", id)
	}
	if len(out.InstanceStatuses) == 0 || out.InstanceStatuses[0].InstanceStatus == nil || out.InstanceStatuses[0].SystemStatus == nil {
		return false, "its status checks have not begun", nil
	}
	s := out.InstanceStatuses[0]
	if s.InstanceStatus.Status == types.SummaryStatusOk && s.SystemStatus.Status == types.SummaryStatusOk {
		return true, "", nil
	}
	return false, fmt.Sprintf("its status checks: instance %s, system %s", s.InstanceStatus.Status, s.SystemStatus.Status), nil
}

// retireInstances terminates every living instance of the workload and then deregisters its images;
// snapshots stay.
func retireInstances(ctx context.Context, c EC2, req Placed) error {
	mine := []types.Filter{filter("tag:"+tagPlan, req.Plan), filter("tag:"+tagWorkload, req.Workload.Name)}
	ids := map[string]bool{}
	pages := ec2.NewDescribeInstancesPaginator(c, &ec2.DescribeInstancesInput{Filters: mine})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return classify(err, "look for the instances of workload %q", req.Workload.Name)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if !gone(i) {
					ids[aws.ToString(i.InstanceId)] = true
				}
			}
		}
	}
	if len(ids) > 0 {
		all := slices.Sorted(maps.Keys(ids))
		if _, err := c.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: all}); err != nil {
			return classify(err, "terminate the instances of workload %q: %s", req.Workload.Name, strings.Join(all, ", "))
		}
	}
	images, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: mine})
	if err != nil {
		return classify(err, "look for the images of workload %q", req.Workload.Name)
	}
	for _, i := range images.Images {
		if err := deregister(ctx, c, aws.ToString(i.ImageId)); err != nil {
			return fmt.Errorf("retire workload %q: %w", req.Workload.Name, err)
		}
	}
	return nil
}
