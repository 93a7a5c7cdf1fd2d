package compute

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// Two sites may each have a VM of one name. That one of them has an instance says nothing of the
// other's image and copies, which wait for their launch.
func TestAVMOfTheSameNameAtAnotherSiteKeepsItsImageAndCopies(t *testing.T) {
	made := func(uuid string) []types.Tag {
		return []types.Tag{{Key: aws.String(tagPlan), Value: aws.String("p")}, {Key: aws.String(tagVM), Value: aws.String(uuid)},
			{Key: aws.String("Name"), Value: aws.String("web-01")}}
	}
	copied := func(id, uuid string) types.Snapshot {
		return types.Snapshot{SnapshotId: &id, Tags: made(uuid), State: types.SnapshotStateCompleted}
	}
	image := func(id, snapshot, uuid string) types.Image {
		return types.Image{ImageId: &id, Name: &id, Tags: made(uuid), State: types.ImageStateAvailable,
			Description:         aws.String("Drover plan p, workload web, VM web-01"),
			BlockDeviceMappings: []types.BlockDeviceMapping{{Ebs: &types.EbsBlockDevice{SnapshotId: &snapshot}}}}
	}
	a := &account{
		instances: []types.Instance{{InstanceId: aws.String("i-1"), ImageId: aws.String("ami-1"), Tags: made("one"),
			State: stateOf(types.InstanceStateNameRunning)}},
		images: []types.Image{image("ami-1", "snap-1", "one"), image("ami-old", "snap-old", "one"), image("ami-2", "snap-2", "two")},
		snapshots: []types.Snapshot{copied("snap-1", "one"), copied("snap-old", "one"), copied("snap-older", "one"),
			copied("snap-2", "two"), copied("snap-next", "two")},
	}
	things, err := New(a).Survey(t.Context(), "p", migration.Target{Name: "prod"}, nil, false)
	require.NoError(t, err)
	require.Len(t, things, 9)
	var left []string
	for _, x := range things {
		if x.Left != "" {
			left = append(left, x.ID)
		}
		if x.Kind == "snapshot" {
			require.Equal(t, "VM web-01", x.Of)
		}
	}
	require.ElementsMatch(t, []string{"ami-old", "snap-old", "snap-older"}, left)
}
