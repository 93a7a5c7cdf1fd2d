package after

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
)

// What served a plan's work leaves the state bucket, once. Records stay, and so does everything of
// a plan whose name begins alike.
func TestTheStateBucketKeepsRecordsAndNothingElse(t *testing.T) {
	a := cloud(t)
	keys := func() (out []string) {
		page, err := a.s3().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("state")})
		require.NoError(t, err)
		for _, o := range page.Contents {
			out = append(out, *o.Key)
		}
		return out
	}
	kept := []string{"below/plans/p/evidence/wave.jsonl", "below/plans/p/specs/1.json", "below/disks/p2/x/head.json", "disks/p/elsewhere"}
	gone := []string{"below/disks/p/x/head.json", "below/files/p/docs/a.json.gz", "below/plans/p/routes/public/before.json"}
	for _, k := range slices.Concat(kept, gone) {
		_, err := a.s3().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("state"), Key: &k, Body: strings.NewReader("four")})
		require.NoError(t, err)
	}
	act := state.New(&objects.Store{S3: func(context.Context, migration.Target) (*s3.Client, error) { return a.s3(), nil }}, nil, nil)
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivity(act)
	sweep := func(remove bool) (out state.SweepResult) {
		t.Helper()
		v, err := env.ExecuteActivity(act.SweepState, state.SweepRequest{Remove: remove,
			Spec: migration.SpecRef{Plan: "p", State: migration.StateStore{Bucket: "state", Prefix: "below"}}})
		require.NoError(t, err)
		require.NoError(t, v.Get(&out))
		return out
	}
	seen := sweep(false)
	require.Len(t, seen.Things, 3)
	require.EqualValues(t, 4, seen.Things[0].Bytes)
	require.Len(t, keys(), 7, "a look removes nothing")
	require.Len(t, sweep(true).Removed, 3)
	require.ElementsMatch(t, kept, keys())
	require.Empty(t, sweep(true).Removed, "a second time there is nothing to do")
	require.ElementsMatch(t, kept, keys())
}
