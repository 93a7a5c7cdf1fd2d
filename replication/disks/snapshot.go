package disks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/drover-migration/drover/migration"
)

// maxStarts is how many snapshots one call asks for. One that was given up or deleted is replaced;
// more than that is no accident.
const maxStarts = 3

// begin finds or starts the snapshot and says whether it is complete already.
func (r *run) begin(ctx context.Context) (sealed bool, err error) {
	var id string
	var state ec2types.SnapshotState
	for range maxStarts {
		out, err := r.ebs.StartSnapshot(ctx, r.startInput())
		if err != nil {
			return false, fmt.Errorf("start a snapshot of %d GiB: %w", r.gib(), err)
		}
		id = aws.ToString(out.SnapshotId)
		if state, err = r.settled(ctx, id); err != nil {
			return false, err
		}
		if state == ec2types.SnapshotStateError || state == "" {
			// Given up, or deleted: what is known of its blocks is of no use. Saved, so that the
			// next call does not ask for it again.
			r.state.Renew(id)
			if err := r.state.Save(ctx); err != nil {
				return false, err
			}
			continue
		}
		r.state.Is(id)
		r.sweep(ctx)
		return state == ec2types.SnapshotStateCompleted, r.state.Save(ctx)
	}
	return false, fmt.Errorf("%w: %d snapshots were started, and of the last, %s, EC2 says %q: does something delete or fail the "+
		"snapshots of this account?", ErrGone, maxStarts, id, state)
}

// sweep deletes the snapshots that were given up. It is called when the checkpoint is kept: this
// copy is still its worker's then, and nobody goes on in them. One that AWS does not delete now,
// for want of ec2:DeleteSnapshot also, is tried again by the next call, and keeps no copy.
func (r *run) sweep(ctx context.Context) {
	for _, id := range r.state.Left() {
		_, err := r.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &id})
		var api interface{ ErrorCode() string }
		if err == nil || errors.As(err, &api) && api.ErrorCode() == "InvalidSnapshot.NotFound" {
			r.state.Deleted(id)
		}
	}
}

// startInput is the same for every call of one try: the token makes it find what an earlier call
// has started.
func (r *run) startInput() *ebs.StartSnapshotInput {
	in := &ebs.StartSnapshotInput{VolumeSize: aws.Int64(r.gib()), Timeout: aws.Int32(r.opts.TimeoutMinutes),
		ClientToken: aws.String(r.token())}
	if r.opts.Description != "" {
		in.Description = &r.opts.Description
	}
	for _, k := range slices.Sorted(maps.Keys(r.opts.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(r.opts.Tags[k])})
	}
	in.Tags = append(in.Tags, types.Tag{Key: aws.String(TagBytes), Value: aws.String(strconv.FormatInt(r.disk.Bytes, 10))})
	if r.opts.KMSKey != "" {
		in.Encrypted, in.KmsKeyArn = aws.Bool(true), &r.opts.KMSKey
	}
	return in
}

func (r *run) token() string {
	sum := sha256.Sum256([]byte(r.opts.Name + "/" + strconv.Itoa(r.state.Head.Try)))
	return "drover-" + hex.EncodeToString(sum[:16])
}

func (r *run) gib() int64 { return (r.disk.Bytes + 1<<30 - 1) >> 30 }

// status is what EC2 says of a snapshot; "" when there is none.
func (r *run) status(ctx context.Context, id string) (ec2types.SnapshotState, error) {
	out, err := r.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	var api interface{ ErrorCode() string }
	if errors.As(err, &api) && api.ErrorCode() == "InvalidSnapshot.NotFound" {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask for the state of snapshot %s: %w", id, err)
	}
	if len(out.Snapshots) == 0 {
		return "", nil
	}
	return out.Snapshots[0].State, nil
}

// settled is status, but takes "there is none" for an answer only when EC2 has given it for the
// whole grace: of what was just started or changed EC2 may not know yet.
func (r *run) settled(ctx context.Context, id string) (ec2types.SnapshotState, error) {
	over := time.Now().Add(r.grace)
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		state, err := r.status(ctx, id)
		left := time.Until(over)
		if err != nil || state != "" || left <= 0 {
			return state, err
		}
		if err := pause(ctx, min(wait, left)); err != nil {
			return "", fmt.Errorf("wait until EC2 shows snapshot %s: %w", id, err)
		}
	}
}

// How long to wait between two questions: each time twice as long.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = 5 * time.Second
)

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (r *run) exists(ctx context.Context, id string) bool {
	state, err := r.status(ctx, id)
	return err != nil || state == ec2types.SnapshotStateCompleted // one that cannot be asked for is not copied again for that
}

// explain adds ErrGone to an error that a snapshot gives which AWS has given up.
func (r *run) explain(ctx context.Context, err error, format string, args ...any) error {
	err = fmt.Errorf(format+": %w", append(args, err)...)
	var refused *types.ValidationException
	var missing *types.ResourceNotFoundException
	if errors.As(err, &refused) || errors.As(err, &missing) {
		state, serr := r.status(ctx, r.state.Head.Snapshot)
		if serr == nil && state != ec2types.SnapshotStatePending {
			return fmt.Errorf("%w (snapshot %s is %q): %w", ErrGone, r.state.Head.Snapshot, state, err)
		}
	}
	return err
}

// complete seals the snapshot with the sum of everything written, and waits until it can be used.
func (r *run) complete(ctx context.Context, image migration.DiskImage) error {
	_, err := r.ebs.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{
		SnapshotId: &r.state.Head.Snapshot, ChangedBlocksCount: aws.Int32(int32(image.Blocks)), Checksum: &image.Checksum,
		//nolint:gosec // 2^27 at most
		ChecksumAlgorithm:         types.ChecksumAlgorithmChecksumAlgorithmSha256,
		ChecksumAggregationMethod: types.ChecksumAggregationMethodChecksumAggregationLinear,
	})
	var refused *types.ValidationException
	if errors.As(err, &refused) { // it has blocks that no checkpoint knows of: an earlier call put them, and this disk does not have them
		return fmt.Errorf("%w: complete snapshot %s with %d blocks: %w", ErrGone, r.state.Head.Snapshot, image.Blocks, err)
	}
	if err != nil {
		return r.explain(ctx, err, "complete snapshot %s with %d blocks", r.state.Head.Snapshot, image.Blocks)
	}
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		state, err := r.settled(ctx, r.state.Head.Snapshot)
		switch {
		case err != nil:
			return err
		case state == ec2types.SnapshotStateCompleted:
			return nil
		case state != ec2types.SnapshotStatePending:
			return fmt.Errorf("%w: snapshot %s became %q while it was completed", ErrGone, r.state.Head.Snapshot, state)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}
