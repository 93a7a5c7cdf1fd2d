package ebs

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"sort"
	"strconv"
	"time"
)

// readable finds a snapshot that is complete.
func (s *Server) readable(id string) (*record, *failure) {
	sn := s.snapshots[id]
	switch {
	case sn == nil:
		return nil, missing("SNAPSHOT_NOT_FOUND", "snapshot %s does not exist", id)
	case sn.State != stateCompleted:
		return nil, refused("INVALID_SNAPSHOT_ID", "snapshot %s is %s", id, sn.State)
	}
	return sn, nil
}

func (s *Server) getBlock(w http.ResponseWriter, r *http.Request) {
	index, _ := strconv.Atoi(r.PathValue("index"))
	data, b, f := s.get(r.PathValue("id"), index, r.URL.Query().Get("blockToken"))
	if f != nil {
		f.write(w)
		return
	}
	// As stored: a reader that checks finds a block that went bad.
	w.Header().Set("X-Amz-Checksum", base64.StdEncoding.EncodeToString(b.sum[:]))
	w.Header().Set("X-Amz-Checksum-Algorithm", "SHA256")
	w.Header().Set("X-Amz-Data-Length", strconv.Itoa(len(data)))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

func (s *Server) get(id string, index int, token string) ([]byte, blockInfo, *failure) {
	s.mu.Lock()
	sn, f := s.readable(id)
	if f != nil {
		s.mu.Unlock()
		return nil, blockInfo{}, f
	}
	owner, b, ok := sn.owner(index)
	s.mu.Unlock()
	if !ok {
		return nil, b, missing("BLOCK_NOT_FOUND", "snapshot %s has no block %d", id, index)
	}
	if token != b.token {
		return nil, b, refused("INVALID_BLOCK_TOKEN", "the token is not of block %d of %s", index, id)
	}
	data, err := os.ReadFile(s.blockFile(owner.ID, index))
	if err != nil {
		return nil, b, internal(err)
	}
	return data, b, nil
}

// page cuts the part of a sorted list of indexes that a request asks for.
func page(r *http.Request, all []int) (part []int, next string, f *failure) {
	q := r.URL.Query()
	limit, from := 10000, 0
	if v := q.Get("maxResults"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 100 || n > 10000 {
			return nil, "", refused("INVALID_PARAMETER_VALUE", "maxResults is %q; it must be from 100 to 10000", v)
		}
		limit = n
	}
	for _, name := range []string{"startingBlockIndex", "pageToken"} {
		if v := q.Get(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return nil, "", refused("INVALID_PAGE_TOKEN", "%s is %q", name, v)
			}
			from = n
		}
	}
	part = all[sort.SearchInts(all, from):]
	if len(part) > limit {
		next = strconv.Itoa(part[limit])
		part = part[:limit]
	}
	return part, next, nil
}

func (s *Server) listBlocks(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sn, f := s.readable(r.PathValue("id"))
	if f != nil {
		f.write(w)
		return
	}
	part, next, f := page(r, sn.indexes())
	if f != nil {
		f.write(w)
		return
	}
	blocks := make([]map[string]any, 0, len(part))
	for _, i := range part {
		_, b, _ := sn.owner(i)
		blocks = append(blocks, map[string]any{"BlockIndex": i, "BlockToken": b.token})
	}
	writeList(w, sn, "Blocks", blocks, next)
}

func (s *Server) changedBlocks(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	second, f := s.readable(r.PathValue("id"))
	var first *record
	if id := r.URL.Query().Get("firstSnapshotId"); f == nil && id != "" {
		first, f = s.readable(id)
	}
	if f == nil && first != nil && first.VolumeSize > second.VolumeSize {
		f = refused("INVALID_VOLUME_SIZE", "the first snapshot's volume is larger than the second's")
	}
	if f != nil {
		f.write(w)
		return
	}
	part, next, f := page(r, changed(first, second))
	if f != nil {
		f.write(w)
		return
	}
	blocks := make([]map[string]any, 0, len(part))
	for _, i := range part {
		one := map[string]any{"BlockIndex": i}
		if first != nil {
			if _, b, ok := first.owner(i); ok {
				one["FirstBlockToken"] = b.token
			}
		}
		if _, b, ok := second.owner(i); ok {
			one["SecondBlockToken"] = b.token
		}
		blocks = append(blocks, one)
	}
	writeList(w, second, "ChangedBlocks", blocks, next)
}

// changed are the blocks that differ in content or presence; a nil first has none.
func changed(first, second *record) (out []int) {
	seen := map[int]bool{}
	for _, sn := range []*record{first, second} {
		if sn == nil {
			continue
		}
		for _, i := range sn.indexes() {
			if seen[i] {
				continue
			}
			seen[i] = true
			var x, y blockInfo
			var inFirst, inSecond bool
			if first != nil {
				_, x, inFirst = first.owner(i)
			}
			_, y, inSecond = second.owner(i)
			if inFirst != inSecond || x.sum != y.sum {
				out = append(out, i)
			}
		}
	}
	sort.Ints(out)
	return out
}

func writeList(w http.ResponseWriter, sn *record, name string, blocks []map[string]any, next string) {
	out := map[string]any{name: blocks, "VolumeSize": sn.VolumeSize, "BlockSize": blockSize,
		"ExpiryTime": float64(time.Now().Add(7 * 24 * time.Hour).Unix())}
	if next != "" {
		out["NextToken"] = next
	}
	writeJSON(w, http.StatusOK, out)
}

// tagBytes is the tag in which Drover's disks say how many bytes of the volume are the disk's.
const tagBytes = "drover:bytes"

// ReadDigest reads a completed snapshot back from its files: the SHA-256 of the disk, hex, and the
// number of blocks that are written. A volume is whole GiB; the digest is of as many bytes as the
// snapshot's tag says the disk had, and of the whole volume without one.
func (s *Server) ReadDigest(id string) (digest string, blocks int64, err error) {
	s.mu.Lock()
	sn, f := s.readable(id)
	if f != nil {
		s.mu.Unlock()
		return "", 0, f
	}
	size := sn.VolumeSize << 30
	for _, t := range sn.Tags {
		if n, err := strconv.ParseInt(t.Value, 10, 64); t.Key == tagBytes && err == nil && n <= size {
			size = n
		}
	}
	files := map[int]string{}
	order := sn.indexes()
	for _, i := range order {
		owner, _, _ := sn.owner(i)
		files[i] = s.blockFile(owner.ID, i)
	}
	s.mu.Unlock()
	h, zero := sha256.New(), make([]byte, blockSize)
	for i := 0; int64(i)*blockSize < size; i++ {
		data := zero
		if name, ok := files[i]; ok {
			if data, err = os.ReadFile(name); err != nil {
				return "", 0, fmt.Errorf("read block %d of %s: %w", i, id, err)
			}
		}
		h.Write(data[:min(blockSize, size-int64(i)*blockSize)])
	}
	return hex.EncodeToString(h.Sum(nil)), int64(len(order)), nil
}

// Corrupt flips one bit of a block in its file, so that a test can see that somebody notices.
func (s *Server) Corrupt(id string, index int) error {
	s.mu.Lock()
	sn := s.snapshots[id]
	if sn == nil {
		s.mu.Unlock()
		return fmt.Errorf("snapshot %s does not exist", id)
	}
	owner, _, ok := sn.owner(index)
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("snapshot %s has no block %d", id, index)
	}
	name := s.blockFile(owner.ID, index)
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(name, data, 0o644)
}
