package disks_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	lab "github.com/drover-migration/drover/lab/ebs"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/disks"
)

// kept is a checkpoint in memory.
type kept struct{ parts map[string][]byte }

func (k *kept) Read(_ context.Context, part string) ([]byte, error) { return k.parts[part], nil }

func (k *kept) Write(_ context.Context, part string, b []byte) error {
	if k.parts == nil {
		k.parts = map[string][]byte{}
	}
	k.parts[part] = b
	return nil
}

// records answers for EC2 from the block store's own state.
type records struct{ store *lab.Server }

func (r records) DescribeSnapshots(_ context.Context, in *ec2.DescribeSnapshotsInput,
	_ ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error) {
	state := r.store.State(in.SnapshotIds[0])
	if state == "" {
		return nil, &smithy.GenericAPIError{Code: "InvalidSnapshot.NotFound"}
	}
	return &ec2.DescribeSnapshotsOutput{Snapshots: []types.Snapshot{{State: types.SnapshotState(state)}}}, nil
}

func (records) DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error) {
	return &ec2.DeleteSnapshotOutput{}, nil
}

// tidy is EC2 that notes what it deletes, once it has the right to.
type tidy struct {
	disks.EC2
	denied  bool
	deleted []string
}

func (e *tidy) DeleteSnapshot(_ context.Context, in *ec2.DeleteSnapshotInput, _ ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error) {
	if e.denied {
		return nil, &smithy.GenericAPIError{Code: "UnauthorizedOperation"}
	}
	e.deleted = append(e.deleted, *in.SnapshotId)
	return &ec2.DeleteSnapshotOutput{}, nil
}

func start(t testing.TB, o lab.Options) (*lab.Server, *disks.Copier) {
	o.Dir = t.TempDir()
	s, err := lab.Start(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	c := ebs.New(ebs.Options{Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")})
	return s, &disks.Copier{EBS: c, EC2: records{s}}
}

// play cuts a disk into grains of 64 KiB and leaves out those that are zero.
func play(data []byte) disks.Grains {
	return func(emit func(int64, []byte) error) (int64, error) {
		const grain = 64 << 10
		for off := 0; off < len(data); off += grain {
			piece := data[off:min(off+grain, len(data))]
			for _, b := range piece {
				if b != 0 {
					if err := emit(int64(off), piece); err != nil {
						return 0, err
					}
					break
				}
			}
		}
		return int64(len(data)), nil
	}
}

func randomDisk(seed uint64, size int, full float64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	data := make([]byte, size)
	for off := 0; off < size; off += 64 << 10 {
		if r.Float64() < full {
			for i := off; i < min(off+64<<10, size); i += 97 {
				data[i] = byte(r.Uint32())
			}
		}
	}
	return data
}

func diskOf(data []byte) migration.Disk {
	return migration.Disk{Key: 2000, Label: "Hard disk 1", Bytes: int64(len(data))}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestADiskArrivesWhole(t *testing.T) {
	s, c := start(t, lab.Options{Throttle: 7})
	data := randomDisk(1, 9<<20+512, 0.2)
	var last atomic.Value
	var carried atomic.Int64
	var full int64
	for block := range slices.Chunk(data, disks.BlockSize) {
		if !bytes.Equal(block, make([]byte, len(block))) {
			full += disks.BlockSize
		}
	}
	got, err := c.Copy(context.Background(), diskOf(data), play(data), &kept{},
		disks.Options{Name: "a", KMSKey: "arn:aws:kms:us-east-1:123456789012:key/1",
			Progress: func(p migration.Progress) { last.Store(p) }, Carried: func(n int64) { carried.Add(n) }})
	require.NoError(t, err)
	require.Equal(t, digest(data), got.Digest)
	back, blocks, err := s.ReadDigest(got.Snapshot)
	require.NoError(t, err)
	require.Equal(t, got.Digest, back)
	require.Equal(t, got.Blocks, blocks)
	require.Equal(t, got.Bytes, last.Load().(migration.Progress).Done)
	require.Equal(t, full, carried.Load(), "blocks that are not empty, each once")
}

func TestAnyDiskArrivesWhole(t *testing.T) {
	s, c := start(t, lab.Options{})
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		data := randomDisk(rapid.Uint64().Draw(rt, "seed"), 512*rapid.IntRange(1, 6<<11).Draw(rt, "sectors"),
			rapid.Float64Range(0, 1).Draw(rt, "full"))
		got, err := c.Copy(context.Background(), diskOf(data), play(data), &kept{}, disks.Options{Name: "any" + time.Now().String()})
		require.NoError(rt, err)
		back, _, err := s.ReadDigest(got.Snapshot)
		require.NoError(rt, err)
		require.Equal(rt, digest(data), back)
	})
}

func TestACopyThatWasKilledGoesOnInTheSameSnapshot(t *testing.T) {
	s, c := start(t, lab.Options{})
	data, keep := randomDisk(2, 16<<20, 1), &kept{}
	cut := errors.New("killed")
	half := func(emit func(int64, []byte) error) (int64, error) {
		_, err := play(data[:8<<20])(emit)
		return 0, errors.Join(err, cut)
	}
	// Of the half's 16 blocks at most two are in flight when the cut comes: 14 are known to the
	// checkpoint, two may be put late.
	_, err := c.Copy(context.Background(), diskOf(data), half, keep, disks.Options{Name: "k", Concurrency: 2})
	require.ErrorIs(t, err, cut)
	before := s.Puts()
	got, err := c.Copy(context.Background(), diskOf(data), play(data), keep, disks.Options{Name: "k"})
	require.NoError(t, err)
	require.Equal(t, digest(data), got.Digest)
	require.EqualValues(t, 1, s.Snapshots())
	require.LessOrEqual(t, s.Puts()-before, int64(32-14+2), "blocks that the checkpoint knows are not put again")

	again, err := c.Copy(context.Background(), diskOf(data), play(data), keep, disks.Options{Name: "k"})
	require.NoError(t, err)
	require.Equal(t, got, again)
	lost, err := c.Copy(context.Background(), diskOf(data), play(data), &kept{}, disks.Options{Name: "k"})
	require.NoError(t, err, "a lost checkpoint costs a reading, no second snapshot")
	require.Equal(t, got, lost)
}

// A disk of many segments: each is written and read where the disk is streamed, and few are in
// memory.
func TestACheckpointOfManySegments(t *testing.T) {
	s, c := start(t, lab.Options{})
	const segment, segments = 2, 11
	c.Segmented(segment)
	data, keep := randomDisk(8, segments*segment*disks.BlockSize-512, 0.6), &kept{}
	clear(data[5*segment*disks.BlockSize : 7*segment*disks.BlockSize]) // two segments without a block
	cut := errors.New("killed")
	half := func(emit func(int64, []byte) error) (int64, error) {
		_, err := play(data[:len(data)/2])(emit)
		return 0, errors.Join(err, cut)
	}
	o := disks.Options{Name: "m", Concurrency: 2}
	_, err := c.Copy(t.Context(), diskOf(data), half, keep, o)
	require.ErrorIs(t, err, cut)
	before, all := s.Puts(), 0
	for at := 0; at < len(data); at += disks.BlockSize {
		if slices.ContainsFunc(data[at:min(at+disks.BlockSize, len(data))], func(b byte) bool { return b != 0 }) {
			all++
		}
	}
	got, err := c.Copy(t.Context(), diskOf(data), play(data), keep, o)
	require.NoError(t, err)
	require.Equal(t, digest(data), got.Digest)
	require.EqualValues(t, all, got.Blocks)
	require.LessOrEqual(t, s.Puts(), int64(all)+4, "blocks that the checkpoint knows are not put again")
	require.Positive(t, before)
	back, blocks, err := s.ReadDigest(got.Snapshot)
	require.NoError(t, err)
	require.Equal(t, got.Digest, back)
	require.Equal(t, got.Blocks, blocks)
	names := slices.Sorted(maps.Keys(keep.parts))
	require.Len(t, names, 1+segments-2, "the head, and the segments that have blocks")
	require.Equal(t, []string{"blocks-0000", "blocks-0004", "blocks-0007", "blocks-0010", "head.json"},
		[]string{names[0], names[4], names[5], names[8], names[9]})
	for _, n := range names {
		require.LessOrEqual(t, len(keep.parts[n]), 1024)
	}

	// With a disk that has lost data since, what was put for it is overwritten with zeros. What was
	// under way when the first call was cut off may be in the snapshot without anybody knowing:
	// then it is begun anew.
	clear(data[2*segment*disks.BlockSize : 4*segment*disks.BlockSize])
	third := &kept{}
	_, err = c.Copy(t.Context(), diskOf(data), half, third, disks.Options{Name: "z"})
	require.ErrorIs(t, err, cut)
	clear(data[:2*segment*disks.BlockSize])
	got, err = c.Copy(t.Context(), diskOf(data), play(data), third, disks.Options{Name: "z"})
	if errors.Is(err, disks.ErrGone) {
		got, err = c.Copy(t.Context(), diskOf(data), play(data), third, disks.Options{Name: "z"})
	}
	require.NoError(t, err)
	require.Equal(t, digest(data), got.Digest)
	back, _, err = s.ReadDigest(got.Snapshot)
	require.NoError(t, err)
	require.Equal(t, got.Digest, back)
}

// A call that ended in between left blocks that the disk does not have any more: they are
// overwritten.
func TestBlocksThatTheDiskHasNoMoreAreOverwrittenWithZeros(t *testing.T) {
	s, c := start(t, lab.Options{})
	c.Segmented(2)
	data, keep := randomDisk(11, 4<<20, 1), &kept{}
	put := 0
	c.EBS = incomplete{c.EBS, func() error { put++; return errors.New("the line is cut") }}
	_, err := c.Copy(t.Context(), diskOf(data), play(data), keep, disks.Options{Name: "o"})
	require.ErrorContains(t, err, "the line is cut")
	require.Equal(t, 1, put)
	c.EBS = c.EBS.(incomplete).EBS
	clear(data[disks.BlockSize : 4*disks.BlockSize])
	got, err := c.Copy(t.Context(), diskOf(data), play(data), keep, disks.Options{Name: "o"})
	require.NoError(t, err)
	require.Equal(t, digest(data), got.Digest)
	require.EqualValues(t, 8, got.Blocks, "a block cannot be taken out of a snapshot")
	require.EqualValues(t, 8+3, s.Puts())
	require.EqualValues(t, 1, s.Snapshots())
}

// incomplete ends in before a snapshot is completed.
type incomplete struct {
	disks.EBS
	in func() error
}

func (i incomplete) CompleteSnapshot(context.Context, *ebs.CompleteSnapshotInput,
	...func(*ebs.Options)) (*ebs.CompleteSnapshotOutput, error) {
	return nil, i.in()
}

// What is kept of another snapshot's blocks says nothing about this one's.
func TestSegmentsOfASnapshotThatIsGoneAreNotBelieved(t *testing.T) {
	s, c := start(t, lab.Options{})
	c.Segmented(2)
	data, keep := randomDisk(9, 6<<20, 1), &kept{}
	_, err := c.Copy(t.Context(), diskOf(data), play(data), keep, disks.Options{Name: "g"})
	require.NoError(t, err)
	puts := s.Puts()
	got, err := c.Copy(t.Context(), diskOf(data), play(data),
		&kept{map[string][]byte{"blocks-0001": keep.parts["blocks-0001"], "blocks-0003": keep.parts["blocks-0003"]}},
		disks.Options{Name: "g2"})
	require.NoError(t, err)
	require.Equal(t, digest(data), got.Digest)
	require.EqualValues(t, 2*puts, s.Puts())
}

// full takes so many writes and no more.
type full struct {
	kept
	writes int
}

func (f *full) Write(ctx context.Context, part string, b []byte) error {
	if f.writes--; f.writes < 0 {
		return errors.New("another worker copies this disk")
	}
	return f.kept.Write(ctx, part, b)
}

func TestACopyEndsWhereItsCheckpointCannotBeWrittenAndGoesOnLater(t *testing.T) {
	s, c := start(t, lab.Options{})
	c.Segmented(2)
	data := randomDisk(10, 4<<20, 1)
	for writes := range 8 {
		keep := &full{writes: writes}
		o := disks.Options{Name: fmt.Sprint("w", writes), Concurrency: 2}
		_, err := c.Copy(t.Context(), diskOf(data), play(data), keep, o)
		if err != nil {
			require.ErrorContains(t, err, "write the checkpoint: another worker copies this disk")
		}
		keep.writes = 1000
		got, err := c.Copy(t.Context(), diskOf(data), play(data), keep, o)
		require.NoError(t, err, "after %d writes", writes)
		require.Equal(t, digest(data), got.Digest)
	}
	require.EqualValues(t, 8, s.Snapshots())
}

func TestAFlippedBitIsFound(t *testing.T) {
	s, c := start(t, lab.Options{})
	data, keep := randomDisk(3, 4<<20, 1), &kept{}
	flipping := &disks.Copier{EBS: flipper{c.EBS, s}, EC2: c.EC2}
	_, err := flipping.Copy(context.Background(), diskOf(data), play(data), keep, disks.Options{Name: "f"})
	require.ErrorIs(t, err, disks.ErrGone)
	require.ErrorContains(t, err, "block 3")
	got, err := c.Copy(context.Background(), diskOf(data), play(data), keep, disks.Options{Name: "f"})
	require.NoError(t, err, "the next try begins a new snapshot")
	require.Equal(t, digest(data), got.Digest)
}

// flipper flips a bit of block 3 as soon as a snapshot is complete.
type flipper struct {
	disks.EBS
	store *lab.Server
}

func (f flipper) CompleteSnapshot(ctx context.Context, in *ebs.CompleteSnapshotInput,
	o ...func(*ebs.Options)) (*ebs.CompleteSnapshotOutput, error) {
	out, err := f.EBS.CompleteSnapshot(ctx, in, o...)
	return out, errors.Join(err, f.store.Corrupt(*in.SnapshotId, 3))
}

// idle plays a disk that stops after its first bytes until AWS has given its snapshot up.
func idle(t *testing.T, s *lab.Server, data []byte, first int) disks.Grains {
	return func(emit func(int64, []byte) error) (int64, error) {
		if err := emit(0, data[:first]); err != nil {
			return 0, err
		}
		require.Eventually(t, func() bool { return s.Failed() == 1 }, 5*time.Second, time.Millisecond)
		return int64(len(data)), emit(int64(first), data[first:])
	}
}

func TestASnapshotThatAWSGaveUpIsBegunAnew(t *testing.T) {
	s, c := start(t, lab.Options{Minute: 2 * time.Millisecond})
	data, keep := randomDisk(4, 4<<20, 1), &kept{}
	o := disks.Options{Name: "i", TimeoutMinutes: 10}
	_, err := c.Copy(context.Background(), diskOf(data), idle(t, s, data, 1<<20), keep, o)
	require.ErrorIs(t, err, disks.ErrGone)
	o.TimeoutMinutes = 4320
	got, err := c.Copy(context.Background(), diskOf(data), play(data), keep, o)
	require.NoError(t, err)
	require.Equal(t, digest(data), got.Digest)
}

// Nobody else knows of a snapshot that was given up: it would be paid for as long as the account
// lives.
func TestASnapshotThatWasGivenUpIsDeletedAlsoWhenTheRightToComesLater(t *testing.T) {
	for name, denied := range map[string]bool{"at once": false, "by a later call": true} {
		t.Run(name, func(t *testing.T) {
			s, c := start(t, lab.Options{Minute: 2 * time.Millisecond})
			e := &tidy{EC2: c.EC2, denied: denied}
			c.EC2 = e
			data, keep := randomDisk(4, 1<<20, 1), &kept{}
			o := disks.Options{Name: "i", TimeoutMinutes: 10}
			_, err := c.Copy(t.Context(), diskOf(data), idle(t, s, data, 64<<10), keep, o)
			require.ErrorIs(t, err, disks.ErrGone)
			e.denied = false
			o.TimeoutMinutes = 4320
			got, err := c.Copy(t.Context(), diskOf(data), play(data), keep, o)
			require.NoError(t, err)
			require.Len(t, e.deleted, 1, "once")
			require.Equal(t, "error", s.State(e.deleted[0]))
			require.NotEqual(t, got.Snapshot, e.deleted[0])
		})
	}
}

// A worker that was overtaken knows that a snapshot failed, and not what the other one does.
func TestWhoseCheckpointIsOvertakenDeletesNothing(t *testing.T) {
	s, c := start(t, lab.Options{Minute: 2 * time.Millisecond})
	e := &tidy{EC2: c.EC2}
	c.EC2 = e
	data, keep := randomDisk(4, 1<<20, 1), &overtaken{}
	_, err := c.Copy(t.Context(), diskOf(data), func(emit func(int64, []byte) error) (int64, error) {
		require.Eventually(t, func() bool { return s.Failed() == 1 }, 5*time.Second, time.Millisecond)
		keep.by = errors.New("another worker has written the checkpoint")
		return int64(len(data)), emit(0, data)
	}, keep, disks.Options{Name: "o", TimeoutMinutes: 10})
	require.ErrorIs(t, err, keep.by)
	require.Empty(t, e.deleted)
}

// overtaken is a checkpoint that another worker writes from a moment on.
type overtaken struct {
	kept
	by error
}

func (o *overtaken) Write(ctx context.Context, part string, b []byte) error {
	if o.by != nil {
		return o.by
	}
	return o.kept.Write(ctx, part, b)
}

// shy is EC2 that does not show a snapshot while hide says so. It says that in both ways that EC2
// has.
type shy struct {
	disks.EC2
	hide  func(id string) bool
	asked atomic.Int64
}

func (e *shy) DescribeSnapshots(ctx context.Context, in *ec2.DescribeSnapshotsInput,
	o ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error) {
	n := e.asked.Add(1)
	switch {
	case !e.hide(in.SnapshotIds[0]):
		return e.EC2.DescribeSnapshots(ctx, in, o...)
	case n%2 == 0:
		return &ec2.DescribeSnapshotsOutput{}, nil
	default:
		return nil, &smithy.GenericAPIError{Code: "InvalidSnapshot.NotFound"}
	}
}

func TestASnapshotThatEC2DoesNotShowYetIsWaitedFor(t *testing.T) {
	s, c := start(t, lab.Options{})
	data, hidden := randomDisk(5, 4<<20, 1), map[int64]bool{1: true, 2: true, 3: true, 5: true, 6: true} // 4: begun; from 5 on: completed
	late := &shy{EC2: c.EC2}
	late.hide = func(string) bool { return hidden[late.asked.Load()] }
	c.EC2 = late
	got, err := c.Copy(t.Context(), diskOf(data), play(data), &kept{}, disks.Options{Name: "s"})
	require.NoError(t, err)
	require.Equal(t, digest(data), got.Digest)
	require.EqualValues(t, 1, s.Snapshots(), "not yet shown is not deleted")
	require.GreaterOrEqual(t, late.asked.Load(), int64(7))
}

func TestSnapshotsThatEC2NeverShowsAreNotStartedWithoutEnd(t *testing.T) {
	s, c := start(t, lab.Options{})
	c.EC2, c.Grace = &shy{EC2: c.EC2, hide: func(string) bool { return true }}, 20*time.Millisecond
	data, keep := randomDisk(6, 1<<20, 1), &kept{}
	_, err := c.Copy(t.Context(), diskOf(data), play(data), keep, disks.Options{Name: "n"})
	require.ErrorIs(t, err, disks.ErrGone)
	require.ErrorContains(t, err, "does something delete")
	require.LessOrEqual(t, s.Snapshots(), 3)
	before := s.Snapshots()
	_, err = c.Copy(t.Context(), diskOf(data), play(data), keep, disks.Options{Name: "n"})
	require.ErrorIs(t, err, disks.ErrGone)
	require.Greater(t, s.Snapshots(), before, "the next try does not ask for those again that are gone")

	ctx, cancel := context.WithCancel(t.Context())
	c.Grace = time.Hour
	c.EC2 = &shy{EC2: c.EC2, hide: func(string) bool { cancel(); return true }}
	_, err = c.Copy(ctx, diskOf(data), play(data), keep, disks.Options{Name: "n"})
	require.ErrorIs(t, err, context.Canceled, "waiting ends with its worker")
}

func TestASnapshotThatWasDeletedIsBegunAnew(t *testing.T) {
	s, c := start(t, lab.Options{})
	data, keep := randomDisk(7, 4<<20, 1), &kept{}
	first, err := c.Copy(t.Context(), diskOf(data), play(data), keep, disks.Options{Name: "d"})
	require.NoError(t, err)
	c.EC2, c.Grace = &shy{EC2: c.EC2, hide: func(id string) bool { return id == first.Snapshot }}, 20*time.Millisecond
	got, err := c.Copy(t.Context(), diskOf(data), play(data), keep, disks.Options{Name: "d"})
	require.NoError(t, err)
	require.NotEqual(t, first.Snapshot, got.Snapshot)
	require.Equal(t, digest(data), got.Digest)
	back, _, err := s.ReadDigest(got.Snapshot)
	require.NoError(t, err)
	require.Equal(t, got.Digest, back, "every block was put again")
	require.EqualValues(t, 2, s.Snapshots())
}
