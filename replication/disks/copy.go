package disks

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"golang.org/x/time/rate"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/disks/checkpoint"
)

// sum is a block's SHA-256.
type sum = checkpoint.Sum

// BlockSize of EBS direct, bytes.
const BlockSize = 512 << 10

// TagBytes is the tag of a snapshot that says how many bytes of the volume are the disk's: a volume
// is whole GiB.
const TagBytes = "drover:bytes"

// EBS is what a copy needs of the EBS direct API.
type EBS interface {
	StartSnapshot(context.Context, *ebs.StartSnapshotInput, ...func(*ebs.Options)) (*ebs.StartSnapshotOutput, error)
	PutSnapshotBlock(context.Context, *ebs.PutSnapshotBlockInput, ...func(*ebs.Options)) (*ebs.PutSnapshotBlockOutput, error)
	CompleteSnapshot(context.Context, *ebs.CompleteSnapshotInput, ...func(*ebs.Options)) (*ebs.CompleteSnapshotOutput, error)
	GetSnapshotBlock(context.Context, *ebs.GetSnapshotBlockInput, ...func(*ebs.Options)) (*ebs.GetSnapshotBlockOutput, error)
	ListSnapshotBlocks(context.Context, *ebs.ListSnapshotBlocksInput, ...func(*ebs.Options)) (*ebs.ListSnapshotBlocksOutput, error)
}

// EC2 says what has become of a snapshot, and deletes one that nobody will use: EBS direct does
// neither.
type EC2 interface {
	DescribeSnapshots(context.Context, *ec2.DescribeSnapshotsInput, ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error)
	DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput, ...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error)
}

// Checkpoints keeps what one copy has done.
type Checkpoints = checkpoint.Parts

// Grains plays a disk's stream: it calls emit with pieces at rising offsets, leaves out what is
// zero, and returns the disk's capacity in bytes. emit's data is only valid during the call.
type Grains func(emit func(off int64, data []byte) error) (capacity int64, err error)

// Options of a copy.
type Options struct {
	Name           string            // plan/vm/disk/pass/source snapshot: copies of one name are one copy
	Description    string            // of the snapshot
	Tags           map[string]string // of the snapshot
	KMSKey         string            // ARN; empty: the account's default
	TimeoutMinutes int32             // after which AWS gives an idle snapshot up; 0: a day, the longest a worker may be away
	Concurrency    int               // puts and gets at a time, each with a block in memory; 0: 16
	Limit          *rate.Limiter     // bytes a second over all copies that share it, its burst at least BlockSize; nil: none
	Progress       func(migration.Progress)
	Carried        func(bytes int64) // is told of each block that was put; it must be quick; nil: nobody
}

// What a copy can end with beside the errors of its parts.
var (
	// ErrGone says that the snapshot was given up by AWS or is not what was copied: the next try
	// begins a new one.
	ErrGone = errors.New("the snapshot cannot be used; the next try begins a new one")
	// ErrSource says that the stream is not what was announced.
	ErrSource = errors.New("the disk's stream is not sound")
)

// DefaultGrace is how long "not found" from EC2 may only mean "not yet": its API is eventually
// consistent, and its documentation advises to ask again for a few minutes.
const DefaultGrace = 5 * time.Minute

// Copier copies disks.
type Copier struct {
	EBS   EBS
	EC2   EC2
	Grace time.Duration // how long a snapshot must be missing to have been deleted; 0: DefaultGrace

	segment int // blocks of a checkpoint's segment; 0: the usual ones
}

// Copy copies one disk and returns when the snapshot is complete and was read back. Calling it
// again, in this process or another, goes on where the last call was cut off, or returns what it
// had found; two calls at once write the same bytes into one snapshot, and the one whose checkpoint
// is overtaken ends.
func (c *Copier) Copy(ctx context.Context, disk migration.Disk, play Grains, keep Checkpoints, o Options) (migration.DiskImage, error) {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	if o.TimeoutMinutes == 0 {
		o.TimeoutMinutes = 24 * 60
	}
	r := &run{ebs: c.EBS, ec2: c.EC2, grace: cmp.Or(c.Grace, DefaultGrace), disk: disk, opts: o, meter: newMeter(disk.Bytes, o.Progress)}
	var image migration.DiskImage
	var err error
	if r.state, err = checkpoint.Load(ctx, keep, c.segment); err == nil {
		image, err = r.do(ctx, play)
	}
	if err != nil {
		return image, fmt.Errorf("copy disk %d (%s): %w", disk.Key, disk.Label, err)
	}
	return image, nil
}

// run is one call of Copy.
type run struct {
	ebs   EBS
	ec2   EC2
	grace time.Duration
	disk  migration.Disk
	opts  Options
	meter *meter
	state *checkpoint.State
}

func (r *run) do(ctx context.Context, play Grains) (migration.DiskImage, error) {
	if done := r.state.Head.Image; done != nil && r.exists(ctx, done.Snapshot) {
		r.meter.at(r.disk.Bytes)
		return *done, nil
	}
	sealed, err := r.begin(ctx)
	if err != nil {
		return migration.DiskImage{}, err
	}
	digest, err := r.stream(ctx, play, sealed)
	if err != nil {
		return migration.DiskImage{}, r.giveUp(ctx, err)
	}
	image := migration.DiskImage{Key: r.disk.Key, Snapshot: r.state.Head.Snapshot, Bytes: r.disk.Bytes,
		Digest: hex.EncodeToString(digest[:])}
	image.Checksum, image.Blocks, err = r.state.Linear(ctx, r.blocks())
	if err == nil && !sealed {
		err = r.complete(ctx, image)
	}
	if err == nil {
		err = r.verify(ctx, digest, image.Blocks)
	}
	if err != nil {
		return migration.DiskImage{}, r.giveUp(ctx, err)
	}
	r.state.Head.Image = &image
	err = r.state.Save(ctx)
	if err == nil {
		r.sweep(ctx)
		err = r.state.Save(ctx)
	}
	return image, err
}

// blocks is how many the disk has, the last perhaps in part.
func (r *run) blocks() int64 { return (r.disk.Bytes + BlockSize - 1) / BlockSize }

// giveUp keeps what was done, for the next try; where the snapshot cannot be used, that is to begin
// a new one.
func (r *run) giveUp(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if errors.Is(err, ErrGone) {
		r.state.Renew(r.state.Head.Snapshot)
	}
	if serr := r.state.Save(ctx); serr != nil { // another worker's copy, which may use it
		return errors.Join(err, serr)
	}
	r.sweep(ctx)
	return errors.Join(err, r.state.Save(ctx))
}

func encode(sum [sha256.Size]byte) string { return base64.StdEncoding.EncodeToString(sum[:]) }
