package compute

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/drover-migration/drover/migration"
)

// Copying says that copies of disks are under way: snapshots that no image has yet are in use.
type Copying bool

// Survey lists what carries the plan's tag in a target, and the services of its workloads. What
// nobody needs any more says why. It changes nothing.
func (mk *Maker) Survey(ctx context.Context, plan string, t migration.Target, workloads []migration.Workload,
	copying Copying) ([]migration.Thing, error) {
	c, err := mk.clients.EC2(ctx, t)
	if err != nil {
		return nil, err
	}
	s := survey{of: "target " + t.Name, launched: map[string]bool{}, living: map[string]bool{}, imaged: map[string]string{}}
	for _, look := range []func(context.Context, EC2, string) error{s.instances, s.images} {
		if err := look(ctx, c, plan); err != nil {
			return nil, err
		}
	}
	if err := s.snapshots(ctx, c, plan, copying); err != nil {
		return nil, err
	}
	for _, w := range workloads {
		if w.Fargate == nil || w.Target != t.Name {
			continue
		}
		e, err := mk.clients.ECS(ctx, t)
		if err != nil {
			return nil, err
		}
		found, err := findService(ctx, e, w.Fargate.Cluster, name(plan, w.Name))
		if err != nil {
			return nil, err
		}
		if found != nil {
			s.things = append(s.things, migration.Thing{Kind: "service", ID: aws.ToString(found.ServiceName), Of: "workload " + w.Name,
				Where: s.of, State: aws.ToString(found.Status), Count: int(found.DesiredCount),
				Type: fmt.Sprintf("fargate %d CPU units %d MiB", w.Fargate.CPU, w.Fargate.Memory)})
		}
	}
	return s.things, nil
}

// survey is a look at what is there, in the order in which one thing is made of another, backwards.
type survey struct {
	of       string
	things   []migration.Thing
	launched map[string]bool   // images of living instances
	living   map[string]bool   // UUIDs of VMs that have an instance: names are not unique among sites
	imaged   map[string]string // snapshot -> image
}

func (s *survey) instances(ctx context.Context, c EC2, plan string) error {
	oldest := map[string]types.Instance{}
	var all []types.Instance
	pages := ec2.NewDescribeInstancesPaginator(c, &ec2.DescribeInstancesInput{Filters: []types.Filter{filter("tag:"+tagPlan, plan)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return classify(err, "list the instances of plan %q", plan)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if gone(i) {
					continue
				}
				all = append(all, i)
				vm := tagOf(i.Tags, tagVM)
				if o, ok := oldest[vm]; !ok || born(i).Before(born(o)) {
					oldest[vm] = i
				}
			}
		}
	}
	for _, i := range all {
		s.launched[aws.ToString(i.ImageId)], s.living[tagOf(i.Tags, tagVM)] = true, true
		x := migration.Thing{Kind: "instance", ID: aws.ToString(i.InstanceId), Of: "VM " + tagOf(i.Tags, "Name"), Where: s.of,
			Type: string(i.InstanceType)}
		if i.State != nil {
			x.State = string(i.State.Name)
		}
		if o := oldest[tagOf(i.Tags, tagVM)]; aws.ToString(o.InstanceId) != x.ID {
			x.Left = "its VM has an older instance, " + aws.ToString(o.InstanceId) + ", which is the one that is used"
		}
		s.things = append(s.things, x)
	}
	return nil
}

func (s *survey) images(ctx context.Context, c EC2, plan string) error {
	out, err := c.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDisabled: aws.Bool(true),
		Filters: []types.Filter{filter("tag:"+tagPlan, plan)}})
	if err != nil {
		return classify(err, "list the images of plan %q", plan)
	}
	for _, i := range out.Images {
		if i.State == types.ImageStateDeregistered {
			continue
		}
		x := migration.Thing{Kind: "image", ID: aws.ToString(i.ImageId), Of: aws.ToString(i.Description), Where: s.of,
			State: string(i.State)}
		for _, m := range i.BlockDeviceMappings {
			if m.Ebs != nil {
				s.imaged[aws.ToString(m.Ebs.SnapshotId)] = x.ID
			}
		}
		if !s.launched[x.ID] && s.living[tagOf(i.Tags, tagVM)] {
			x.Left = "its VM has an instance that was launched from another image"
		}
		s.things = append(s.things, x)
	}
	return nil
}

func (s *survey) snapshots(ctx context.Context, c EC2, plan string, copying Copying) error {
	list, err := snapshotsOf(ctx, c, plan)
	if err != nil {
		return err
	}
	left := map[string]bool{}
	for _, x := range s.things {
		left[x.ID] = x.Left != ""
	}
	for _, n := range list {
		x := migration.Thing{Kind: "snapshot", ID: aws.ToString(n.SnapshotId), Of: "VM " + tagOf(n.Tags, "Name"), Where: s.of,
			State: string(n.State), Bytes: int64(aws.ToInt32(n.VolumeSize)) << 30}
		image := s.imaged[x.ID]
		switch {
		case image != "" && left[image]:
			x.Left = "only image " + image + " has it, which nobody needs"
		case image != "" || bool(copying):
		case n.State == types.SnapshotStatePending:
			x.Left = "its copy is not under way"
		case s.living[tagOf(n.Tags, tagVM)]:
			x.Left = "its VM has an instance that was launched from another copy"
		}
		s.things = append(s.things, x)
	}
	return nil
}

// snapshotsOf are the copies of disks that carry the plan's tag.
func snapshotsOf(ctx context.Context, c EC2, plan string) (out []types.Snapshot, err error) {
	pages := ec2.NewDescribeSnapshotsPaginator(c, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"},
		Filters: []types.Filter{filter("tag:"+tagPlan, plan)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify(err, "list the copies of disks of plan %q", plan)
		}
		out = append(out, page.Snapshots...)
	}
	return out, nil
}

func tagOf(tags []types.Tag, key string) string {
	i := slices.IndexFunc(tags, func(t types.Tag) bool { return aws.ToString(t.Key) == key })
	if i < 0 {
		return ""
	}
	return aws.ToString(tags[i].Value)
}

// RetireCopies deletes the plan's copies of disks in a target. Images that are made of them go
// first (Retire). One that is gone already is no error, so it can run twice and be cut off
// anywhere.
func (mk *Maker) RetireCopies(ctx context.Context, plan string, t migration.Target) error {
	c, err := mk.clients.EC2(ctx, t)
	if err != nil {
		return err
	}
	list, err := snapshotsOf(ctx, c, plan)
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := deleteSnapshot(ctx, c, aws.ToString(s.SnapshotId)); err != nil {
			return err
		}
	}
	return nil
}

func deleteSnapshot(ctx context.Context, c EC2, id string) error {
	_, err := c.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &id})
	if err != nil && !has(err, "InvalidSnapshot.NotFound") {
		return classify(err, "delete snapshot %s, a copy of a disk", id)
	}
	return nil
}

// RemoveLeft takes away the images and snapshots that Survey found to be left over, and answers
// which. An instance that is left over stays: somebody may use it. Images go first.
func (mk *Maker) RemoveLeft(ctx context.Context, t migration.Target, things []migration.Thing) (done []string, err error) {
	c, err := mk.clients.EC2(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{"image", "snapshot"} {
		for _, x := range things {
			if x.Left == "" || x.Kind != kind {
				continue
			}
			if kind == "snapshot" {
				err = deleteSnapshot(ctx, c, x.ID)
			} else {
				err = deregister(ctx, c, x.ID)
			}
			if err != nil {
				return done, err
			}
			done = append(done, x.String()+": "+x.Left)
		}
	}
	return done, nil
}

func deregister(ctx context.Context, c EC2, image string) error {
	_, err := c.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &image})
	if err != nil && !has(err, "InvalidAMIID.Unavailable", "InvalidAMIID.NotFound") {
		return classify(err, "deregister image %s", image)
	}
	return nil
}
