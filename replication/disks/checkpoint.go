package disks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

// head is what a checkpoint keeps beside the sums of its blocks, under headName.
type head struct {
	Try      int                  `json:"try"` // of snapshots: AWS gives an idle one up
	Snapshot string               `json:"snapshot,omitempty"`
	Image    *migration.DiskImage `json:"image,omitempty"` // when it is done
	Left     []string             `json:"left,omitempty"`  // snapshots that were given up, and are to be deleted
}

const headName = "head.json"

// sum is a block's SHA-256; the zero value says that the block is not in the snapshot.
type sum = [sha256.Size]byte

// state is a checkpoint: the head, and the sum of every block that is in the snapshot. The sums are
// kept in segments, of which a few are in memory: a disk is streamed, verified and summed from its
// beginning to its end.
type state struct {
	keep    Checkpoints
	segment int // blocks of a segment

	mu   sync.Mutex
	head head
	kept []byte     // the head as it is kept
	near []*segment // in memory, the last used first
	next time.Time  // of the next save
}

// segment is the sums of consecutive blocks of a disk.
type segment struct {
	n     int
	sums  []byte // one after the other
	dirty bool   // not as it is kept
}

const (
	// segmentBlocks make 32 GiB of a disk, and 2 MiB of sums.
	segmentBlocks = 1 << 16
	// segmentsNear is how many are in memory: blocks that are on their way belong to one or two of
	// them, unless one is late.
	segmentsNear = 4
	// saveEvery is the shortest time between two checkpoints: what a killed worker puts again is at
	// most what it put in that time.
	saveEvery = 5 * time.Second
)

func load(ctx context.Context, keep Checkpoints, segment int) (*state, error) {
	s := &state{keep: keep, segment: segment}
	var err error
	if s.kept, err = keep.Read(ctx, headName); err != nil {
		return nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	if s.kept != nil {
		if err := json.Unmarshal(s.kept, &s.head); err != nil {
			return nil, fmt.Errorf("read the checkpoint: %w; remove the object to start over", err)
		}
	}
	return s, nil
}

// is takes up a snapshot. What is known of another one's blocks is of no use.
func (s *state) is(snapshot string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head.Snapshot != snapshot {
		s.head.Snapshot, s.head.Image, s.near = snapshot, nil, nil
	}
}

// renew forgets a snapshot that cannot be used, and keeps that it is to be deleted: the next
// StartSnapshot carries another client token.
func (s *state) renew(snapshot string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head, s.near = head{Try: s.head.Try + 1, Left: s.head.Left}, nil
	if snapshot != "" && !slices.Contains(s.head.Left, snapshot) {
		s.head.Left = append(s.head.Left, snapshot)
	}
}

// left are the snapshots to be deleted, as the checkpoint has them.
func (s *state) left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.head.Left)
}

// deleted says that a snapshot is gone.
func (s *state) deleted(snapshot string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head.Left = slices.DeleteFunc(slices.Clone(s.head.Left), func(id string) bool { return id == snapshot })
}

// get is a block's sum, zero for one that is not there.
func (s *state) get(ctx context.Context, i int32) (sum, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.at(ctx, int(i)/s.segment)
	if err != nil {
		return sum{}, err
	}
	return g.get(int(i) % s.segment), nil
}

func (s *state) put(ctx context.Context, i int32, v sum) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.at(ctx, int(i)/s.segment)
	if err != nil {
		return err
	}
	copy(g.sums[int(i)%s.segment*len(v):], v[:])
	g.dirty = true
	return nil
}

func (g *segment) get(at int) sum { return sum(g.sums[at*sha256.Size:]) }

// at finds a segment, in memory or where it is kept. Called with mu held.
func (s *state) at(ctx context.Context, n int) (*segment, error) {
	if at := slices.IndexFunc(s.near, func(g *segment) bool { return g.n == n }); at >= 0 {
		g := s.near[at]
		copy(s.near[1:at+1], s.near[:at])
		s.near[0] = g
		return g, nil
	}
	g := &segment{n: n, sums: make([]byte, s.segment*sha256.Size)}
	b, err := s.keep.Read(ctx, g.name())
	if err != nil {
		return nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	if of, sums, _ := bytes.Cut(b, []byte("\n")); string(of) == s.head.Snapshot {
		copy(g.sums, sums)
	}
	if len(s.near) == segmentsNear {
		if err := s.write(ctx, s.near[segmentsNear-1]); err != nil {
			return nil, err
		}
		s.near = s.near[:segmentsNear-1]
	}
	s.near = slices.Insert(s.near, 0, g)
	return g, nil
}

func (g *segment) name() string { return fmt.Sprintf("blocks-%04d", g.n) }

// write keeps a segment, with the snapshot that it is of. Called with mu held.
func (s *state) write(ctx context.Context, g *segment) error {
	if !g.dirty {
		return nil
	}
	b := append([]byte(s.head.Snapshot+"\n"), bytes.TrimRight(g.sums, "\x00")...)
	if err := s.keep.Write(ctx, g.name(), b); err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	g.dirty = false
	return nil
}

// each hands over every block that is in the snapshot, in order. visit may put blocks.
func (s *state) each(ctx context.Context, blocks int64, visit func(i int32, v sum) error) error {
	for n := 0; int64(n)*int64(s.segment) < blocks; n++ {
		s.mu.Lock()
		g, err := s.at(ctx, n)
		if err != nil {
			s.mu.Unlock()
			return err
		}
		now := segment{sums: slices.Clone(g.sums)}
		s.mu.Unlock()
		for at := range s.segment {
			if v := now.get(at); v != (sum{}) {
				if err := visit(int32(n*s.segment+at), v); err != nil { //nolint:gosec // 64 TiB have 2^27 blocks
					return err
				}
			}
		}
	}
	return nil
}

// linear is AWS's aggregated checksum, the SHA-256 of the blocks' SHA-256 sums in the order of
// their indexes, base64; and how many blocks there are.
func (s *state) linear(ctx context.Context, blocks int64) (text string, count int64, err error) {
	h := sha256.New()
	err = s.each(ctx, blocks, func(_ int32, v sum) error {
		h.Write(v[:])
		count++
		return nil
	})
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), count, err
}

// save keeps what is not kept yet.
func (s *state) save(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saveHeld(ctx)
}

// saveHeld is save, called with mu held.
func (s *state) saveHeld(ctx context.Context) error {
	for _, g := range s.near {
		if err := s.write(ctx, g); err != nil {
			return err
		}
	}
	b, err := json.Marshal(s.head)
	if err == nil && !bytes.Equal(b, s.kept) {
		err = s.keep.Write(ctx, headName, b)
	}
	if err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	s.kept, s.next = b, time.Now().Add(saveEvery)
	return nil
}

// saveSometimes saves when it is due.
func (s *state) saveSometimes(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.next) {
		return nil
	}
	return s.saveHeld(ctx)
}
