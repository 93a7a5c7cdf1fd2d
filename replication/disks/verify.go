package disks

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"golang.org/x/sync/errgroup"
)

// verify reads the snapshot back and compares it with the stream: every block's sum, how many there
// are, and the sum of the whole disk.
func (r *run) verify(ctx context.Context, want sum, blocks int64) error {
	listed := int64(0)
	g, ctx := errgroup.WithContext(ctx)
	// Blocks are asked for at once and taken in order: a queue of answers to come, as long as may
	// be in memory.
	queue := make(chan chan block, r.opts.Concurrency)
	g.Go(func() error {
		defer close(queue)
		return r.list(ctx, func(b types.Block) error {
			listed++
			answer := make(chan block, 1)
			select {
			case queue <- answer:
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error {
				data, err := r.read(ctx, b)
				answer <- block{aws.ToInt32(b.BlockIndex), data}
				return err
			})
			return nil
		})
	})
	var got sum
	g.Go(func() error {
		a := &assembler{size: r.disk.Bytes, whole: sha256.New()}
		for answer := range queue {
			b := <-answer
			if b.data == nil {
				return nil // the block could not be read, and the goroutine that read it returns the error
			}
			start := int64(b.index) * BlockSize
			if start >= a.size {
				return fmt.Errorf("%w: snapshot %s has block %d beyond the disk's end", ErrGone, r.state.Head.Snapshot, b.index)
			}
			if err := a.skip(start); err != nil {
				return err
			}
			n := min(BlockSize, a.size-start)
			a.whole.Write(b.data[:n])
			a.at += n
		}
		err := a.skip(a.size)
		got = sum(a.whole.Sum(nil))
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if listed != blocks {
		return fmt.Errorf("%w: snapshot %s has %d blocks, %d were copied", ErrGone, r.state.Head.Snapshot, listed, blocks)
	}
	if got != want {
		return fmt.Errorf("%w: snapshot %s reads back as %x, the source as %x", ErrGone, r.state.Head.Snapshot, got, want)
	}
	return nil
}

// list hands over every block of the snapshot, in order.
func (r *run) list(ctx context.Context, each func(types.Block) error) error {
	in := &ebs.ListSnapshotBlocksInput{SnapshotId: &r.state.Head.Snapshot}
	for {
		page, err := r.ebs.ListSnapshotBlocks(ctx, in)
		if err != nil {
			return fmt.Errorf("list the blocks of snapshot %s: %w", r.state.Head.Snapshot, err)
		}
		for _, b := range page.Blocks {
			if err := each(b); err != nil {
				return err
			}
		}
		if page.NextToken == nil {
			return nil
		}
		in.NextToken = page.NextToken
	}
}

func (r *run) read(ctx context.Context, b types.Block) ([]byte, error) {
	out, err := r.ebs.GetSnapshotBlock(ctx, &ebs.GetSnapshotBlockInput{SnapshotId: &r.state.Head.Snapshot, BlockIndex: b.BlockIndex,
		BlockToken: b.BlockToken})
	if err != nil {
		return nil, fmt.Errorf("read block %d of snapshot %s back: %w", *b.BlockIndex, r.state.Head.Snapshot, err)
	}
	defer func() { _ = out.BlockData.Close() }()
	data := make([]byte, BlockSize)
	if _, err := io.ReadFull(out.BlockData, data); err != nil {
		return nil, fmt.Errorf("read block %d of snapshot %s back: %w", *b.BlockIndex, r.state.Head.Snapshot, err)
	}
	want, err := r.state.Get(ctx, *b.BlockIndex)
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(data); got != want {
		return nil, fmt.Errorf("%w: block %d of snapshot %s reads back as %s, was copied as %s", ErrGone, *b.BlockIndex,
			r.state.Head.Snapshot, encode(got), encode(want))
	}
	return data, nil
}
