package disks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"golang.org/x/sync/errgroup"
)

var zeros = make([]byte, BlockSize)

// block is one that the stream has filled.
type block struct {
	index int32
	data  []byte
}

// assembler makes blocks of a stream's pieces and sums the whole disk.
type assembler struct {
	size  int64
	at    int64 // summed and handed on so far
	whole hash.Hash
	cur   block // data nil: none open
	pool  *sync.Pool
	out   func(block) error
}

// add takes a piece. Pieces come at rising offsets.
func (a *assembler) add(off int64, data []byte) error {
	if off < a.at || off+int64(len(data)) > a.size {
		return fmt.Errorf("%w: %d bytes at offset %d, after offset %d of a disk of %d bytes", ErrSource, len(data), off, a.at, a.size)
	}
	if err := a.skip(off); err != nil {
		return err
	}
	for len(data) > 0 {
		if a.cur.data == nil {
			a.cur = block{int32(a.at / BlockSize), a.buffer()} //nolint:gosec // 64 TiB have 2^27 blocks
		}
		n := copy(a.cur.data[a.at%BlockSize:], data)
		a.whole.Write(data[:n])
		data, a.at = data[n:], a.at+int64(n)
		if a.at%BlockSize == 0 {
			if err := a.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// skip takes zeros up to an offset.
func (a *assembler) skip(to int64) error {
	if a.cur.data != nil && to/BlockSize > int64(a.cur.index) {
		if err := a.flush(); err != nil {
			return err
		}
	}
	for a.at < to {
		n := min(to-a.at, BlockSize)
		a.whole.Write(zeros[:n])
		a.at += n
	}
	return nil
}

func (a *assembler) flush() error {
	if a.cur.data == nil {
		return nil
	}
	b := a.cur
	a.cur.data = nil
	return a.out(b)
}

func (a *assembler) buffer() []byte {
	b := *a.pool.Get().(*[]byte)
	clear(b)
	return b
}

// stream plays the disk into the snapshot and returns the SHA-256 of the whole disk. A sealed
// snapshot is only compared later.
func (r *run) stream(ctx context.Context, play Grains, sealed bool) (whole sum, err error) {
	g, gctx := errgroup.WithContext(ctx)
	blocks := make(chan block)
	pool := &sync.Pool{New: func() any { b := make([]byte, BlockSize); return &b }}
	a := &assembler{size: r.disk.Bytes, whole: sha256.New(), pool: pool, out: func(b block) error {
		select {
		case blocks <- b:
			return nil
		case <-gctx.Done():
			return context.Cause(gctx)
		}
	}}
	seen := newSet(r.disk.Bytes)
	for range r.opts.Concurrency {
		g.Go(func() error {
			for b := range blocks {
				if err := r.take(gctx, b, seen, sealed); err != nil {
					return err
				}
				pool.Put(&b.data)
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(blocks)
		capacity, err := play(func(off int64, data []byte) error {
			if err := gctx.Err(); err != nil {
				return context.Cause(gctx)
			}
			defer func() { r.meter.at(a.at) }()
			return a.add(off, data)
		})
		if err != nil {
			return err
		}
		if capacity != r.disk.Bytes {
			return fmt.Errorf("%w: it has %d bytes, the disk %d", ErrSource, capacity, r.disk.Bytes)
		}
		if err := a.skip(a.size); err != nil {
			return err
		}
		return a.flush()
	})
	if err := g.Wait(); err != nil {
		return whole, err
	}
	r.meter.at(r.disk.Bytes)
	if !sealed {
		if err := r.zeroForgotten(ctx, seen); err != nil {
			return whole, err
		}
	}
	return sum(a.whole.Sum(nil)), nil
}

// take puts a block unless it is zero or is there already.
func (r *run) take(ctx context.Context, b block, seen *set, sealed bool) error {
	if bytes.Equal(b.data, zeros) {
		return nil // one that a checkpoint knows with other bytes is written by zeroForgotten
	}
	seen.add(b.index)
	is := sha256.Sum256(b.data)
	known, err := r.state.Get(ctx, b.index)
	if err != nil || known == is {
		return err
	}
	if sealed {
		return r.state.Put(ctx, b.index, is)
	}
	return r.put(ctx, b, is)
}

// zeroForgotten overwrites blocks that an earlier call put and this stream says are zero: a
// snapshot's blocks cannot be taken out.
func (r *run) zeroForgotten(ctx context.Context, seen *set) error {
	zero := sha256.Sum256(zeros)
	return r.state.Each(ctx, r.blocks(), func(i int32, known sum) error {
		if seen.has(i) || known == zero {
			return nil
		}
		return r.put(ctx, block{i, zeros}, zero)
	})
}

// put writes a block. Throttling is the client's to retry.
func (r *run) put(ctx context.Context, b block, is sum) error {
	if r.opts.Limit != nil {
		if err := r.opts.Limit.WaitN(ctx, BlockSize); err != nil {
			return err
		}
	}
	_, err := r.ebs.PutSnapshotBlock(ctx, &ebs.PutSnapshotBlockInput{
		SnapshotId: &r.state.Head.Snapshot, BlockIndex: aws.Int32(b.index), BlockData: bytes.NewReader(b.data),
		DataLength: aws.Int32(BlockSize),
		Checksum:   aws.String(encode(is)), ChecksumAlgorithm: types.ChecksumAlgorithmChecksumAlgorithmSha256,
	})
	if err != nil {
		return r.explain(ctx, err, "put block %d of snapshot %s", b.index, r.state.Head.Snapshot)
	}
	if r.opts.Carried != nil {
		r.opts.Carried(BlockSize)
	}
	if err := r.state.Put(ctx, b.index, is); err != nil {
		return err
	}
	return r.state.SaveSometimes(ctx)
}

// set is a bit for each block of a disk.
type set struct{ words []atomic.Uint64 }

func newSet(size int64) *set { return &set{make([]atomic.Uint64, size/BlockSize/64+1)} }

func (s *set) add(i int32)      { s.words[i/64].Or(1 << (i % 64)) }
func (s *set) has(i int32) bool { return s.words[i/64].Load()&(1<<(i%64)) != 0 }
