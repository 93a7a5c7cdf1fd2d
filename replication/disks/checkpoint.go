package disks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

// state is what a checkpoint keeps: which snapshot, and the sum of every block that is in it.
type state struct {
	Try      int                  `json:"try"` // of snapshots: AWS gives an idle one up
	Snapshot string               `json:"snapshot,omitempty"`
	Packed   []byte               `json:"blocks,omitempty"` // for each block 4 bytes of index and its SHA-256: 72 MB for a full TiB
	Image    *migration.DiskImage `json:"image,omitempty"`  // when it is done

	mu     sync.Mutex
	blocks map[int32][sha256.Size]byte
	saving sync.Mutex
	next   time.Time // of the next save
}

const recordBytes = 4 + sha256.Size

// saveEvery is the shortest time between two checkpoints: what a killed worker puts again is at most what it put in that time.
const saveEvery = 5 * time.Second

func load(ctx context.Context, keep Checkpoints) (*state, error) {
	s := &state{blocks: map[int32][sha256.Size]byte{}}
	b, err := keep.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	if b != nil {
		if err := json.Unmarshal(b, s); err != nil {
			return nil, fmt.Errorf("read the checkpoint: %w; remove the object to start over", err)
		}
	}
	for at := 0; at+recordBytes <= len(s.Packed); at += recordBytes {
		s.blocks[int32(binary.BigEndian.Uint32(s.Packed[at:]))] = [sha256.Size]byte(s.Packed[at+4 : at+recordBytes]) //nolint:gosec // written by pack
	}
	s.Packed = nil
	return s, nil
}

// pack is the state as it is kept. Called with mu held.
func (s *state) pack() ([]byte, error) {
	s.Packed = make([]byte, 0, len(s.blocks)*recordBytes)
	for _, i := range s.order() {
		sum := s.blocks[i]
		s.Packed = append(binary.BigEndian.AppendUint32(s.Packed, uint32(i)), sum[:]...) //nolint:gosec // an index is not negative
	}
	b, err := json.Marshal(s)
	s.Packed = nil
	return b, err
}

func (s *state) order() []int32 {
	out := make([]int32, 0, len(s.blocks))
	for i := range s.blocks {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

func (s *state) get(i int32) ([sha256.Size]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, ok := s.blocks[i]
	return sum, ok
}

func (s *state) put(i int32, sum [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks[i] = sum
}

func (s *state) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.blocks)
}

// renew forgets the snapshot: the next StartSnapshot carries another client token.
func (s *state) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Try++
	s.Snapshot, s.Image, s.blocks = "", nil, map[int32][sha256.Size]byte{}
}

// linear is AWS's aggregated checksum: the SHA-256 of the blocks' SHA-256 sums in the order of their indexes, base64.
func (s *state) linear() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := sha256.New()
	for _, i := range s.order() {
		sum := s.blocks[i]
		h.Write(sum[:])
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// save writes the checkpoint. Saves do not overlap.
func (r *run) save(ctx context.Context) error {
	r.state.saving.Lock()
	defer r.state.saving.Unlock()
	return r.write(ctx)
}

func (r *run) write(ctx context.Context) error {
	began := time.Now()
	r.state.mu.Lock()
	b, err := r.state.pack()
	r.state.mu.Unlock()
	if err == nil {
		err = r.keep.Write(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	// A large checkpoint takes long to write: it may cost a twentieth of the time.
	r.state.next = time.Now().Add(max(saveEvery, 20*time.Since(began)))
	return nil
}

// saveSometimes writes the checkpoint when it is due and nobody else does.
func (r *run) saveSometimes(ctx context.Context) error {
	if !r.state.saving.TryLock() {
		return nil
	}
	defer r.state.saving.Unlock()
	if time.Now().Before(r.state.next) {
		return nil
	}
	return r.write(ctx)
}
