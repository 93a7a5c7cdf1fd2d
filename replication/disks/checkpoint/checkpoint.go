// Package checkpoint keeps what a copy of a disk has done, so that the next one goes on from there:
// which snapshot it fills, and the sum of every block that is in it. It knows nothing of AWS, and
// holds a few MiB in memory whatever the disk's size.
package checkpoint

import (
	"bytes"
	"cmp"
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

// Parts keeps a checkpoint in a few named parts of up to 2 MiB. Read answers nil when nothing was
// kept. Write fails when another worker has written that part since this one read it: that worker
// owns the copy now. One call is made at a time.
type Parts interface {
	Read(ctx context.Context, part string) ([]byte, error)
	Write(ctx context.Context, part string, body []byte) error
}

// Head is what a checkpoint keeps beside the sums of its blocks.
type Head struct {
	Try      int                  `json:"try"` // of snapshots: AWS gives an idle one up
	Snapshot string               `json:"snapshot,omitempty"`
	Image    *migration.DiskImage `json:"image,omitempty"` // when it is done
	Left     []string             `json:"left,omitempty"`  // snapshots that were given up, and are to be deleted
}

const headName = "head.json"

// Sum is a block's SHA-256; the zero value says that the block is not in the snapshot.
type Sum = [sha256.Size]byte

// State is a checkpoint in use: the head, and the sum of every block that is in the snapshot. The
// sums are kept in segments, of which a few are in memory: a disk is streamed, verified and summed
// from its beginning to its end.
type State struct {
	// Head is the caller's to read and to fill, but not while it calls a method.
	Head Head

	keep    Parts
	segment int // blocks of a segment

	mu   sync.Mutex
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

// Load reads a checkpoint, or begins one. Its segments have so many blocks; 0: as many as make 2
// MiB.
func Load(ctx context.Context, keep Parts, segment int) (*State, error) {
	s := &State{keep: keep, segment: cmp.Or(segment, segmentBlocks)}
	var err error
	if s.kept, err = keep.Read(ctx, headName); err != nil {
		return nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	if s.kept != nil {
		if err := json.Unmarshal(s.kept, &s.Head); err != nil {
			return nil, fmt.Errorf("read the checkpoint: %w; remove the object to start over", err)
		}
	}
	return s, nil
}

// Is takes up a snapshot. What is known of another one's blocks is of no use.
func (s *State) Is(snapshot string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Head.Snapshot != snapshot {
		s.Head.Snapshot, s.Head.Image, s.near = snapshot, nil, nil
	}
}

// Renew forgets a snapshot that cannot be used, and keeps that it is to be deleted: the next
// StartSnapshot carries another client token.
func (s *State) Renew(snapshot string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Head, s.near = Head{Try: s.Head.Try + 1, Left: s.Head.Left}, nil
	if snapshot != "" && !slices.Contains(s.Head.Left, snapshot) {
		s.Head.Left = append(s.Head.Left, snapshot)
	}
}

// Left are the snapshots to be deleted, as the checkpoint has them.
func (s *State) Left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.Head.Left)
}

// Deleted says that a snapshot is gone.
func (s *State) Deleted(snapshot string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Head.Left = slices.DeleteFunc(slices.Clone(s.Head.Left), func(id string) bool { return id == snapshot })
}

// Get is a block's sum, zero for one that is not there.
func (s *State) Get(ctx context.Context, i int32) (Sum, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.at(ctx, int(i)/s.segment)
	if err != nil {
		return Sum{}, err
	}
	return g.get(int(i) % s.segment), nil
}

// Put notes the sum of a block that is in the snapshot now.
func (s *State) Put(ctx context.Context, i int32, v Sum) error {
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

func (g *segment) get(at int) Sum { return Sum(g.sums[at*sha256.Size:]) }

// at finds a segment, in memory or where it is kept. Called with mu held.
func (s *State) at(ctx context.Context, n int) (*segment, error) {
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
	if sums, ok := bytes.CutPrefix(b, []byte(s.Head.Snapshot+"\n")); ok {
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
func (s *State) write(ctx context.Context, g *segment) error {
	if !g.dirty {
		return nil
	}
	b := append([]byte(s.Head.Snapshot+"\n"), bytes.TrimRight(g.sums, "\x00")...)
	if err := s.keep.Write(ctx, g.name(), b); err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	g.dirty = false
	return nil
}

// Each hands over every block of the disk that is in the snapshot, in order. visit may put blocks.
func (s *State) Each(ctx context.Context, blocks int64, visit func(i int32, v Sum) error) error {
	for n := 0; int64(n)*int64(s.segment) < blocks; n++ {
		s.mu.Lock()
		g, err := s.at(ctx, n)
		if err != nil {
			s.mu.Unlock()
			return err
		}
		now := segment{sums: slices.Clone(g.sums)}
		s.mu.Unlock()
		// A disk has blocks up to its end, whatever a segment keeps.
		for at := range int(min(int64(s.segment), blocks-int64(n)*int64(s.segment))) {
			if v := now.get(at); v != (Sum{}) {
				if err := visit(int32(n*s.segment+at), v); err != nil { //nolint:gosec // 64 TiB have 2^27 blocks
					return err
				}
			}
		}
	}
	return nil
}

// Linear is AWS's aggregated checksum, the SHA-256 of the blocks' SHA-256 sums in the order of
// their indexes, base64; and how many blocks there are.
func (s *State) Linear(ctx context.Context, blocks int64) (text string, count int64, err error) {
	h := sha256.New()
	err = s.Each(ctx, blocks, func(_ int32, v Sum) error {
		h.Write(v[:])
		count++
		return nil
	})
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), count, err
}

// Save keeps what is not kept yet.
func (s *State) Save(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saveHeld(ctx)
}

// saveHeld is Save, called with mu held.
func (s *State) saveHeld(ctx context.Context) error {
	for _, g := range s.near {
		if err := s.write(ctx, g); err != nil {
			return err
		}
	}
	b, err := json.Marshal(s.Head)
	if err == nil && !bytes.Equal(b, s.kept) {
		err = s.keep.Write(ctx, headName, b)
	}
	if err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	s.kept, s.next = b, time.Now().Add(saveEvery)
	return nil
}

// SaveSometimes saves when it is due.
func (s *State) SaveSometimes(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.next) {
		return nil
	}
	return s.saveHeld(ctx)
}
