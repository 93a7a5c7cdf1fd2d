package ebs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/ebs"
)

const (
	size    = 512 << 10 // of a block
	key     = "arn:aws:kms:eu-west-1:123456789012:key/1"
	another = "arn:aws:kms:eu-west-1:123456789012:key/2"
)

// store is a block store, asked with the SDK's client: what that cannot say, a test does not
// either.
type store struct {
	*ebs.Server
	*sdk.Client
}

func start(t *testing.T, o ebs.Options) store {
	t.Helper()
	o.Dir = t.TempDir()
	s, err := ebs.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return store{s, sdk.New(sdk.Options{Region: "eu-west-1", BaseEndpoint: aws.String(s.Endpoint()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")})}
}

// snapshot starts one of 1 GiB, turned by turn.
func (s store) snapshot(t *testing.T, turn func(*sdk.StartSnapshotInput)) string {
	t.Helper()
	in := &sdk.StartSnapshotInput{VolumeSize: aws.Int64(1)}
	if turn != nil {
		turn(in)
	}
	out, err := s.StartSnapshot(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, types.StatusPending, out.Status)
	return *out.SnapshotId
}

func block(fill byte) []byte { return bytes.Repeat([]byte{fill}, size) }

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(s[:])
}

func putInput(id string, index int32, data []byte) *sdk.PutSnapshotBlockInput {
	return &sdk.PutSnapshotBlockInput{SnapshotId: &id, BlockIndex: &index, BlockData: bytes.NewReader(data),
		DataLength: aws.Int32(int32(len(data))), //nolint:gosec // a block
		Checksum:   aws.String(sum(data)), ChecksumAlgorithm: types.ChecksumAlgorithmChecksumAlgorithmSha256}
}

func (s store) put(t *testing.T, id string, index int32, fill byte) {
	t.Helper()
	out, err := s.PutSnapshotBlock(t.Context(), putInput(id, index, block(fill)))
	require.NoError(t, err)
	require.Equal(t, sum(block(fill)), *out.Checksum)
}

func (s store) complete(ctx context.Context, id string, blocks int32) (types.Status, error) {
	out, err := s.CompleteSnapshot(ctx, &sdk.CompleteSnapshotInput{SnapshotId: &id, ChangedBlocksCount: &blocks})
	if err != nil {
		return "", err
	}
	return out.Status, nil
}

// done starts a snapshot, writes blocks, each filled with its value, and completes it.
func (s store) done(t *testing.T, blocks map[int32]byte, turn func(*sdk.StartSnapshotInput)) string {
	t.Helper()
	id := s.snapshot(t, turn)
	var wg sync.WaitGroup
	for i, fill := range blocks {
		wg.Go(func() {
			if _, err := s.PutSnapshotBlock(t.Context(), putInput(id, i, block(fill))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	status, err := s.complete(t.Context(), id, int32(len(blocks))) //nolint:gosec // a few
	require.NoError(t, err)
	require.Equal(t, types.StatusCompleted, status)
	return id
}

// refusal is the reason of a ValidationException.
func refusal(t *testing.T, err error) types.ValidationExceptionReason {
	t.Helper()
	var v *types.ValidationException
	require.ErrorAs(t, err, &v)
	return v.Reason
}

func (s store) blocks(t *testing.T, id string) map[int32]string {
	t.Helper()
	out, err := s.ListSnapshotBlocks(t.Context(), &sdk.ListSnapshotBlocksInput{SnapshotId: &id})
	require.NoError(t, err)
	require.EqualValues(t, size, *out.BlockSize)
	tokens := map[int32]string{}
	for _, b := range out.Blocks {
		tokens[*b.BlockIndex] = *b.BlockToken
	}
	return tokens
}

func (s store) read(ctx context.Context, id string, index int32, token string) ([]byte, error) {
	out, err := s.GetSnapshotBlock(ctx, &sdk.GetSnapshotBlockInput{SnapshotId: &id, BlockIndex: &index, BlockToken: &token})
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(out.BlockData)
	return data, errors.Join(err, out.BlockData.Close())
}

func TestWhatWasPutIsReadBack(t *testing.T) {
	s := start(t, ebs.Options{})
	id := s.done(t, map[int32]byte{0: 1, 2047: 2}, nil)
	tokens := s.blocks(t, id)
	require.Len(t, tokens, 2)
	for i, fill := range map[int32]byte{0: 1, 2047: 2} {
		data, err := s.read(t.Context(), id, i, tokens[i])
		require.NoError(t, err)
		require.Equal(t, block(fill), data)
	}
	_, err := s.read(t.Context(), id, 0, tokens[2047])
	require.Equal(t, types.ValidationExceptionReason("INVALID_BLOCK_TOKEN"), refusal(t, err))
	var missing *types.ResourceNotFoundException
	_, err = s.read(t.Context(), id, 1, "t")
	require.ErrorAs(t, err, &missing)
}

func TestASnapshotIsReadOnlyOnceItIsComplete(t *testing.T) {
	s := start(t, ebs.Options{})
	id := s.snapshot(t, nil)
	s.put(t, id, 0, 1)
	_, err := s.ListSnapshotBlocks(t.Context(), &sdk.ListSnapshotBlocksInput{SnapshotId: &id})
	require.Equal(t, types.ValidationExceptionReasonInvalidSnapshotId, refusal(t, err))
	_, err = s.read(t.Context(), id, 0, "t")
	require.Equal(t, types.ValidationExceptionReasonInvalidSnapshotId, refusal(t, err))
}

func TestStartingHoldsARequestAgainstTheRules(t *testing.T) {
	s := start(t, ebs.Options{})
	plain, pending := s.done(t, map[int32]byte{0: 1}, nil), s.snapshot(t, nil)
	encrypted := s.done(t, map[int32]byte{0: 1},
		func(in *sdk.StartSnapshotInput) { in.Encrypted, in.KmsKeyArn = aws.Bool(true), aws.String(key) })
	large := s.done(t, nil, func(in *sdk.StartSnapshotInput) { in.VolumeSize = aws.Int64(2) })
	const parameter, volume, customerKey = types.ValidationExceptionReasonInvalidParameterValue,
		types.ValidationExceptionReasonInvalidVolumeSize, types.ValidationExceptionReasonInvalidCustomerKey
	for _, c := range []struct {
		name string
		turn func(*sdk.StartSnapshotInput)
		want types.ValidationExceptionReason // "": it is started
	}{
		{"the least", func(*sdk.StartSnapshotInput) {}, ""},
		{"no bytes", func(in *sdk.StartSnapshotInput) { in.VolumeSize = aws.Int64(0) }, volume},
		{"64 TiB", func(in *sdk.StartSnapshotInput) { in.VolumeSize = aws.Int64(65536) }, ""},
		{"more than 64 TiB", func(in *sdk.StartSnapshotInput) { in.VolumeSize = aws.Int64(65537) }, volume},
		{"a time-out of less than ten minutes", func(in *sdk.StartSnapshotInput) { in.Timeout = aws.Int32(9) }, parameter},
		{"a time-out of three days", func(in *sdk.StartSnapshotInput) { in.Timeout = aws.Int32(4320) }, ""},
		{"a longer time-out", func(in *sdk.StartSnapshotInput) { in.Timeout = aws.Int32(4321) }, parameter},
		{"encrypted with the account's key", func(in *sdk.StartSnapshotInput) { in.Encrypted = aws.Bool(true) }, ""},
		{"a key by its alias", func(in *sdk.StartSnapshotInput) {
			in.Encrypted, in.KmsKeyArn = aws.Bool(true), aws.String("alias/disks")
		}, customerKey},
		{"a key by its alias's ARN", func(in *sdk.StartSnapshotInput) {
			in.Encrypted, in.KmsKeyArn = aws.Bool(true), aws.String("arn:aws:kms:eu-west-1:123456789012:alias/disks")
		}, customerKey},
		{"a key and no encryption", func(in *sdk.StartSnapshotInput) { in.KmsKeyArn = aws.String(key) }, parameter},
		{"a parent", func(in *sdk.StartSnapshotInput) { in.ParentSnapshotId = &plain }, ""},
		{"a parent, encrypted", func(in *sdk.StartSnapshotInput) { in.ParentSnapshotId, in.Encrypted = &plain, aws.Bool(true) }, parameter},
		{"an encrypted parent, encrypted", func(in *sdk.StartSnapshotInput) {
			in.ParentSnapshotId, in.Encrypted = &encrypted,
				aws.Bool(true)
		}, parameter},
		{"a parent, said not to be encrypted", func(in *sdk.StartSnapshotInput) {
			in.ParentSnapshotId, in.Encrypted = &plain,
				aws.Bool(false)
		}, parameter},
		{"an encrypted parent with its key", func(in *sdk.StartSnapshotInput) {
			in.ParentSnapshotId, in.KmsKeyArn = &encrypted,
				aws.String(key)
		}, ""},
		{"an encrypted parent with another key", func(in *sdk.StartSnapshotInput) {
			in.ParentSnapshotId, in.KmsKeyArn = &encrypted, aws.String(another)
		}, customerKey},
		{"a plain parent with a key", func(in *sdk.StartSnapshotInput) { in.ParentSnapshotId, in.KmsKeyArn = &plain, aws.String(key) },
			parameter},
		{"a parent that is not complete", func(in *sdk.StartSnapshotInput) { in.ParentSnapshotId = &pending },
			types.ValidationExceptionReasonInvalidSnapshotId},
		{"a parent with a larger volume", func(in *sdk.StartSnapshotInput) { in.ParentSnapshotId = &large }, volume},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := &sdk.StartSnapshotInput{VolumeSize: aws.Int64(1)}
			c.turn(in)
			before := s.Snapshots()
			_, err := s.StartSnapshot(t.Context(), in)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, c.want, refusal(t, err))
			require.Equal(t, before, s.Snapshots())
		})
	}
	var missing *types.ResourceNotFoundException
	_, err := s.StartSnapshot(t.Context(), &sdk.StartSnapshotInput{VolumeSize: aws.Int64(1), ParentSnapshotId: aws.String("snap-none")})
	require.ErrorAs(t, err, &missing)
}

func TestAClientTokenStartsOneSnapshot(t *testing.T) {
	s := start(t, ebs.Options{})
	in := func() *sdk.StartSnapshotInput {
		return &sdk.StartSnapshotInput{VolumeSize: aws.Int64(1), ClientToken: aws.String("token"),
			Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}
	}
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			out, err := s.StartSnapshot(t.Context(), in())
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = *out.SnapshotId
		})
	}
	wg.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	require.Equal(t, 1, s.Snapshots())

	s.put(t, ids[0], 0, 1)
	_, err := s.complete(t.Context(), ids[0], 1)
	require.NoError(t, err)
	again, err := s.StartSnapshot(t.Context(), in())
	require.NoError(t, err)
	require.Equal(t, ids[0], *again.SnapshotId)
	require.Equal(t, types.StatusCompleted, again.Status, "by the token a copy finds that it had ended")

	other := in()
	other.VolumeSize = aws.Int64(2)
	_, err = s.StartSnapshot(t.Context(), other)
	var conflict *types.ConflictException
	require.ErrorAs(t, err, &conflict)
}

func TestABlockThatIsNotWhatItSaysIsRefused(t *testing.T) {
	s := start(t, ebs.Options{})
	id := s.snapshot(t, nil)
	for _, c := range []struct {
		name string
		turn func(*sdk.PutSnapshotBlockInput)
		want types.ValidationExceptionReason
	}{
		{"another's checksum", func(in *sdk.PutSnapshotBlockInput) { in.Checksum = aws.String(sum(block(2))) },
			types.ValidationExceptionReasonInvalidBlock},
		{"half a block", func(in *sdk.PutSnapshotBlockInput) { *in = *putInput(id, 0, block(1)[:size/2]) },
			types.ValidationExceptionReasonInvalidContentEncoding},
		{"more than a block", func(in *sdk.PutSnapshotBlockInput) { *in = *putInput(id, 0, append(block(1), 1)) },
			types.ValidationExceptionReasonInvalidContentEncoding},
		{"a length that it has not", func(in *sdk.PutSnapshotBlockInput) { in.DataLength = aws.Int32(size / 2) },
			types.ValidationExceptionReasonInvalidContentEncoding},
		{"the block after the last", func(in *sdk.PutSnapshotBlockInput) { in.BlockIndex = aws.Int32(2048) },
			types.ValidationExceptionReasonInvalidBlock},
		{"a block before the first", func(in *sdk.PutSnapshotBlockInput) { in.BlockIndex = aws.Int32(-1) },
			types.ValidationExceptionReasonInvalidParameterValue},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := putInput(id, 0, block(1))
			c.turn(in)
			_, err := s.PutSnapshotBlock(t.Context(), in)
			require.Equal(t, c.want, refusal(t, err))
		})
	}
	var missing *types.ResourceNotFoundException
	_, err := s.PutSnapshotBlock(t.Context(), putInput("snap-none", 0, block(1)))
	require.ErrorAs(t, err, &missing)
	require.Zero(t, s.Puts())
	_, err = s.complete(t.Context(), id, 0)
	require.NoError(t, err, "none of them was written")
}

func TestABlockPutTwiceIsTheLaterOneAndCountsOnce(t *testing.T) {
	s := start(t, ebs.Options{})
	id := s.snapshot(t, nil)
	s.put(t, id, 3, 1)
	s.put(t, id, 3, 2)
	require.EqualValues(t, 2, s.Puts())
	_, err := s.complete(t.Context(), id, 1)
	require.NoError(t, err)
	data, err := s.read(t.Context(), id, 3, s.blocks(t, id)[3])
	require.NoError(t, err)
	require.Equal(t, block(2), data)
}

// The sum and the bytes of a block are those of one put, whoever was first; and a put that is
// refused leaves no bytes.
func TestPutsOfOneBlockAtOnceLeaveOneOfThem(t *testing.T) {
	s := start(t, ebs.Options{})
	id := s.snapshot(t, nil)
	s.put(t, id, 0, 1)
	var wg sync.WaitGroup
	for fill := range byte(16) {
		wg.Go(func() {
			_, err := s.PutSnapshotBlock(t.Context(), putInput(id, 0, block(fill)))
			if err != nil && fill < 8 {
				t.Error(err)
			}
		})
		if fill == 7 {
			wg.Wait()
			wg.Go(func() { // the other half is put while it is completed
				if _, err := s.complete(t.Context(), id, 1); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	out, err := s.GetSnapshotBlock(t.Context(),
		&sdk.GetSnapshotBlockInput{SnapshotId: &id, BlockIndex: aws.Int32(0), BlockToken: aws.String(s.blocks(t, id)[0])})
	require.NoError(t, err)
	data, err := io.ReadAll(out.BlockData)
	require.NoError(t, err)
	require.Equal(t, *out.Checksum, sum(data))
}

func TestCompletingHoldsTheSnapshotAgainstWhatIsSaid(t *testing.T) {
	s := start(t, ebs.Options{})
	id := s.snapshot(t, nil)
	s.put(t, id, 7, 2) // out of order: the sum is in the order of the indexes
	s.put(t, id, 0, 1)
	one, two := sha256.Sum256(block(1)), sha256.Sum256(block(2))
	linear, reverse := sum(append(one[:], two[:]...)), sum(append(two[:], one[:]...))
	ask := func(count int32, checksum string, turn func(*sdk.CompleteSnapshotInput)) error {
		in := &sdk.CompleteSnapshotInput{SnapshotId: &id, ChangedBlocksCount: &count}
		if checksum != "" {
			in.Checksum, in.ChecksumAlgorithm, in.ChecksumAggregationMethod = &checksum, types.ChecksumAlgorithmChecksumAlgorithmSha256,
				types.ChecksumAggregationMethodChecksumAggregationLinear
		}
		if turn != nil {
			turn(in)
		}
		_, err := s.CompleteSnapshot(t.Context(), in)
		return err
	}
	for name, err := range map[string]error{
		"a block too few":                ask(1, "", nil),
		"a block too many":               ask(3, "", nil),
		"the sums in another order":      ask(2, reverse, nil),
		"a sum and not how it was made":  ask(2, linear, func(in *sdk.CompleteSnapshotInput) { in.ChecksumAggregationMethod = "" }),
		"a sum and no algorithm":         ask(2, linear, func(in *sdk.CompleteSnapshotInput) { in.ChecksumAlgorithm = "" }),
		"the sum of a block, not of all": ask(2, sum(block(1)), nil),
	} {
		require.Equal(t, types.ValidationExceptionReasonInvalidParameterValue, refusal(t, err), name)
	}
	require.Equal(t, "pending", s.State(id), "what was refused can be said again")
	require.NoError(t, ask(2, linear, nil))
	require.Equal(t, "completed", s.State(id))
	require.NoError(t, ask(2, linear, nil), "a repeat is no error")
	require.Equal(t, types.ValidationExceptionReasonInvalidParameterValue, refusal(t, ask(3, linear, nil)), "a repeat that says another "+
		"thing is")

	_, err := s.PutSnapshotBlock(t.Context(), putInput(id, 1, block(1)))
	require.Equal(t, types.ValidationExceptionReasonWriteRequestTimeout, refusal(t, err), "nothing is put into a complete snapshot")
	require.Len(t, s.blocks(t, id), 2)
}

func TestASnapshotThatIsBeingCompletedIsPendingAndTakesNoBlock(t *testing.T) {
	s := start(t, ebs.Options{Completing: 100 * time.Millisecond})
	id := s.snapshot(t, nil)
	s.put(t, id, 0, 1)
	status, err := s.complete(t.Context(), id, 1)
	require.NoError(t, err)
	require.Equal(t, types.StatusPending, status)
	_, err = s.PutSnapshotBlock(t.Context(), putInput(id, 1, block(1)))
	require.Equal(t, types.ValidationExceptionReasonWriteRequestTimeout, refusal(t, err))
	require.Eventually(t, func() bool { return s.State(id) == "completed" }, 5*time.Second, 5*time.Millisecond)
}

func TestAChildHasItsParentsBlocksUnderItsOwn(t *testing.T) {
	s := start(t, ebs.Options{})
	parent := s.done(t, map[int32]byte{0: 1, 1: 1, 2: 1},
		func(in *sdk.StartSnapshotInput) { in.Encrypted, in.KmsKeyArn = aws.Bool(true), aws.String(key) })
	started, err := s.StartSnapshot(t.Context(), &sdk.StartSnapshotInput{VolumeSize: aws.Int64(2), ParentSnapshotId: &parent})
	require.NoError(t, err)
	require.Equal(t, key, *started.KmsKeyArn, "encryption is the parent's")
	require.Equal(t, parent, *started.ParentSnapshotId)
	child := *started.SnapshotId
	s.put(t, child, 1, 2)
	s.put(t, child, 2, 1) // with the bytes that the parent has: written, and not different
	s.put(t, child, 4000, 3)
	_, err = s.complete(t.Context(), child, 6)
	require.Equal(t, types.ValidationExceptionReasonInvalidParameterValue, refusal(t, err), "what the parent has is not counted")
	_, err = s.complete(t.Context(), child, 3)
	require.NoError(t, err)

	tokens := s.blocks(t, child)
	require.Len(t, tokens, 4)
	for i, fill := range map[int32]byte{0: 1, 1: 2, 2: 1, 4000: 3} {
		data, err := s.read(t.Context(), child, i, tokens[i])
		require.NoError(t, err)
		require.Equal(t, block(fill), data, "block %d", i)
	}
	before := s.blocks(t, parent)
	require.Len(t, before, 3)
	data, err := s.read(t.Context(), parent, 1, before[1])
	require.NoError(t, err)
	require.Equal(t, block(1), data, "a child changes nothing in its parent")

	diff := func(first string) (indexes []int32) {
		out, err := s.ListChangedBlocks(t.Context(), &sdk.ListChangedBlocksInput{FirstSnapshotId: &first, SecondSnapshotId: &child})
		require.NoError(t, err)
		for _, b := range out.ChangedBlocks {
			indexes = append(indexes, *b.BlockIndex)
		}
		return indexes
	}
	require.Equal(t, []int32{1, 4000}, diff(parent))
	_, err = s.ListChangedBlocks(t.Context(), &sdk.ListChangedBlocksInput{FirstSnapshotId: &child, SecondSnapshotId: &parent})
	require.Equal(t, types.ValidationExceptionReasonInvalidVolumeSize, refusal(t, err))
}

func TestBlocksAreListedByPages(t *testing.T) {
	s := start(t, ebs.Options{})
	blocks := map[int32]byte{}
	for i := range int32(101) {
		blocks[3*i] = 1
	}
	id := s.done(t, blocks, nil)
	var got []int32
	pages := sdk.NewListSnapshotBlocksPaginator(s.Client, &sdk.ListSnapshotBlocksInput{SnapshotId: &id, MaxResults: aws.Int32(100)})
	for n := 1; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		require.Len(t, page.Blocks, map[int]int{1: 100, 2: 1}[n])
		for _, b := range page.Blocks {
			got = append(got, *b.BlockIndex)
		}
	}
	require.Len(t, got, 101)
	require.IsIncreasing(t, got)
	from, err := s.ListSnapshotBlocks(t.Context(), &sdk.ListSnapshotBlocksInput{SnapshotId: &id, StartingBlockIndex: aws.Int32(298)})
	require.NoError(t, err)
	require.Len(t, from.Blocks, 1)
	require.EqualValues(t, 300, *from.Blocks[0].BlockIndex)
	_, err = s.ListSnapshotBlocks(t.Context(), &sdk.ListSnapshotBlocksInput{SnapshotId: &id, MaxResults: aws.Int32(99)})
	require.Equal(t, types.ValidationExceptionReasonInvalidParameterValue, refusal(t, err))
}

func TestASnapshotThatNobodyWritesToIsGivenUp(t *testing.T) {
	s := start(t, ebs.Options{Minute: 50 * time.Millisecond}) // the shortest time-out, 10 minutes, is half a second
	idle := s.snapshot(t, func(in *sdk.StartSnapshotInput) { in.Timeout = aws.Int32(10) })
	patient := s.snapshot(t, func(in *sdk.StartSnapshotInput) { in.Timeout = aws.Int32(4320) })
	busy := s.snapshot(t, func(in *sdk.StartSnapshotInput) { in.Timeout = aws.Int32(10) })
	complete := s.done(t, map[int32]byte{0: 1}, func(in *sdk.StartSnapshotInput) { in.Timeout = aws.Int32(10) })
	for end := time.Now().Add(10 * time.Second); s.State(idle) != "error"; {
		require.True(t, time.Now().Before(end))
		s.put(t, busy, 0, 1)
	}
	require.Equal(t, "pending", s.State(patient))
	require.Equal(t, "pending", s.State(busy), "every put counts anew")
	require.Equal(t, "completed", s.State(complete))
	require.Equal(t, 1, s.Failed())
	_, err := s.PutSnapshotBlock(t.Context(), putInput(idle, 0, block(1)))
	require.Equal(t, types.ValidationExceptionReasonWriteRequestTimeout, refusal(t, err))
	_, err = s.complete(t.Context(), idle, 0)
	require.Equal(t, types.ValidationExceptionReasonWriteRequestTimeout, refusal(t, err))
}

func TestEveryNthPutIsThrottled(t *testing.T) {
	s := start(t, ebs.Options{Throttle: 3})
	id := s.snapshot(t, nil)
	for n := int32(1); n <= 6; n++ {
		_, err := s.PutSnapshotBlock(t.Context(), putInput(id, n, block(1)))
		if n%3 != 0 {
			require.NoError(t, err)
			continue
		}
		var throttled *types.RequestThrottledException
		require.ErrorAs(t, err, &throttled)
	}
	require.EqualValues(t, 4, s.Puts(), "those that were accepted")
	_, err := s.complete(t.Context(), id, 4)
	require.NoError(t, err)
}

func TestADigestIsOfTheDisksBytes(t *testing.T) {
	s := start(t, ebs.Options{})
	want := func(n int) string {
		data := make([]byte, n)
		copy(data[size:], block(7))
		h := sha256.Sum256(data)
		return hex.EncodeToString(h[:])
	}
	id := s.done(t, map[int32]byte{1: 7}, func(in *sdk.StartSnapshotInput) {
		in.Tags = []types.Tag{{Key: aws.String("drover:bytes"), Value: aws.String("1000000")}} // ends in the block
	})
	got, blocks, err := s.ReadDigest(id)
	require.NoError(t, err)
	require.EqualValues(t, 1, blocks)
	require.Equal(t, want(1000000), got)

	require.NoError(t, s.Corrupt(id, 1))
	got, _, err = s.ReadDigest(id)
	require.NoError(t, err)
	require.NotEqual(t, want(1000000), got)
	data, err := s.read(t.Context(), id, 1, s.blocks(t, id)[1])
	if err == nil { // the SDK may check by itself
		require.NotEqual(t, sum(block(7)), sum(data), "the checksum that is sent is of what was put")
	}
	require.Error(t, s.Corrupt(id, 0))
	require.Error(t, s.Corrupt("snap-none", 0))
}

// moto is what the block store tells of its snapshots.
type moto struct {
	*httptest.Server
	mu     sync.Mutex
	said   []string
	broken bool
}

func newMoto(t *testing.T) *moto {
	t.Helper()
	m := &moto{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		if m.broken {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		said := r.URL.Path
		if len(body) > 0 && r.URL.Path != "/snapshots" {
			said += " " + string(body)
		}
		m.said = append(m.said, said)
		_ = json.NewEncoder(w).Encode(map[string]string{"SnapshotId": "snap-1", "OwnerId": "1"})
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *moto) set(broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = broken
}

func (m *moto) heard() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string{}, m.said...)
}

func TestMotoIsToldWhatEC2MustKnow(t *testing.T) {
	m := newMoto(t)
	s := start(t, ebs.Options{MotoEndpoint: m.URL, Minute: time.Millisecond})
	id := s.snapshot(t, func(in *sdk.StartSnapshotInput) {
		in.Encrypted, in.KmsKeyArn, in.Timeout = aws.Bool(true), aws.String(key), aws.Int32(10)
	})
	require.Equal(t, "snap-1", id, "the id is moto's")
	given := `/lab/snapshots/snap-1 {"region":"eu-west-1","status":"error"}`
	require.Eventually(t, func() bool { return len(m.heard()) == 3 }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, []string{"/snapshots", `/lab/snapshots/snap-1 {"encrypted":true,"kmsKeyArn":"` + key + `","region":"eu-west-1"}`,
		given}, m.heard())
}

func TestASnapshotThatMotoDidNotTakeCanBeAskedForAgain(t *testing.T) {
	m := newMoto(t)
	s := start(t, ebs.Options{MotoEndpoint: m.URL})
	m.set(true)
	in := &sdk.StartSnapshotInput{VolumeSize: aws.Int64(1), ClientToken: aws.String("token")}
	_, err := s.StartSnapshot(t.Context(), in)
	require.Error(t, err)
	require.Zero(t, s.Snapshots())
	m.set(false)
	out, err := s.StartSnapshot(t.Context(), in)
	require.NoError(t, err)

	m.set(true)
	_, err = s.complete(t.Context(), *out.SnapshotId, 0)
	require.Error(t, err)
	require.Equal(t, "pending", s.State(*out.SnapshotId))
	m.set(false)
	_, err = s.complete(t.Context(), *out.SnapshotId, 0)
	require.NoError(t, err)
	require.Equal(t, "completed", s.State(*out.SnapshotId))
	require.Contains(t, m.heard(), "/snapshots/completion/snap-1")
}
