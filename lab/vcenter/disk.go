package vcenter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

// tracked is the granularity of change tracking and of overlays, bytes.
const tracked = 64 << 10

// errFrozenGone says that what a snapshot froze was consolidated while somebody read it.
var errFrozenGone = errors.New("the snapshot was removed")

// disk is one with bytes: a file, and above it a layer for each open snapshot. A snapshot freezes
// the file and the layers below its own; the guest writes to the topmost layer.
type disk struct {
	key  int32
	size int64
	uuid string

	mu     sync.RWMutex
	file   *os.File
	seq    int64           // grows by every snapshot
	epoch  map[int64]int64 // tracked block -> the seq after which it was last written
	layers []*layer        // oldest first
}

// layer are the writes since a snapshot, by tracked block.
type layer struct {
	seq    int64
	blocks map[int64][]byte
}

// changeID names the state of the disk that snapshot seq froze.
func (d *disk) changeID(seq int64) string { return fmt.Sprintf("%s/%d", d.uuid, seq) }

// freeze opens a layer and answers with the number of the snapshot it belongs to.
func (d *disk) freeze() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	d.layers = append(d.layers, &layer{d.seq, map[int64][]byte{}})
	return d.seq
}

// write is the guest writing.
func (d *disk) write(off int64, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if off < 0 || off+int64(len(data)) > d.size {
		return fmt.Errorf("%d bytes at offset %d are beyond a disk of %d", len(data), off, d.size)
	}
	for len(data) > 0 {
		b, o := off/tracked, off%tracked
		n := min(int64(len(data)), tracked-o)
		if err := d.writeBlock(b, o, data[:n]); err != nil {
			return err
		}
		off, data = off+n, data[n:]
	}
	return nil
}

func (d *disk) writeBlock(b, o int64, data []byte) error {
	d.epoch[b] = d.seq + 1
	if len(d.layers) == 0 {
		_, err := d.file.WriteAt(data, b*tracked+o)
		return err
	}
	top := d.layers[len(d.layers)-1]
	if top.blocks[b] == nil {
		was := make([]byte, tracked)
		if err := d.readBlock(b, was, len(d.layers)-1); err != nil {
			return err
		}
		top.blocks[b] = was
	}
	copy(top.blocks[b][o:], data)
	return nil
}

// readBlock reads a tracked block as it is in the file and the first n layers. The lock is held.
func (d *disk) readBlock(b int64, into []byte, n int) error {
	for i := n - 1; i >= 0; i-- {
		if has := d.layers[i].blocks[b]; has != nil {
			copy(into, has)
			return nil
		}
	}
	clear(into)
	if _, err := d.file.ReadAt(into[:min(tracked, d.size-b*tracked)], b*tracked); err != nil &&
		err != io.EOF { //nolint:errorlint // as os.File returns it
		return err
	}
	return nil
}

// frozen reads what snapshot seq froze, or the disk as it is for seq 0.
type frozen struct {
	d   *disk
	seq int64
	at  int64
}

// Read reads up to a tracked block, so that a guest can write between two.
func (f *frozen) Read(p []byte) (int, error) {
	if f.at >= f.d.size {
		return 0, io.EOF
	}
	f.d.mu.RLock()
	defer f.d.mu.RUnlock()
	n := len(f.d.layers)
	if f.seq > 0 {
		if n = f.d.find(f.seq); n < 0 {
			return 0, errFrozenGone
		}
	}
	var block [tracked]byte
	b, o := f.at/tracked, f.at%tracked
	if err := f.d.readBlock(b, block[:], n); err != nil {
		return 0, err
	}
	m := copy(p, block[o:min(tracked, f.d.size-b*tracked)])
	f.at += int64(m)
	return m, nil
}

// find is the index of a snapshot's layer, -1 if it is gone. The lock is held.
func (d *disk) find(seq int64) int {
	for i, l := range d.layers {
		if l.seq == seq {
			return i
		}
	}
	return -1
}

// thaw consolidates: the layer of a snapshot that is removed goes into what is below it.
func (d *disk) thaw(seq int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.find(seq)
	if i < 0 {
		return nil
	}
	for b, data := range d.layers[i].blocks {
		if i > 0 {
			d.layers[i-1].blocks[b] = data
			continue
		}
		if _, err := d.file.WriteAt(data[:min(tracked, d.size-b*tracked)], b*tracked); err != nil {
			return err
		}
	}
	d.layers = append(d.layers[:i:i], d.layers[i+1:]...)
	return nil
}

// page is how much of a disk one answer about changes covers: small, so that callers must ask
// again.
const page = 32 << 20

// changed answers QueryChangedDiskAreas from start on: what was written after a change id, or all
// that is not zero for "*". It may name too much, as vCenter does, and never too little. ok is
// false for a change id that is not this disk's.
func (d *disk) changed(start int64, since string) (info types.DiskChangeInfo, ok bool, err error) {
	info = types.DiskChangeInfo{StartOffset: start, Length: min(d.size-start, page)}
	if start < 0 || info.Length <= 0 {
		return info, false, nil
	}
	id, n, _ := strings.Cut(since, "/")
	from, bad := strconv.ParseInt(n, 10, 64)
	if since != "*" && (bad != nil || id != d.uuid) {
		return info, false, nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	var block, zero [tracked]byte
	for b := start / tracked; b*tracked < start+info.Length; b++ {
		if since == "*" {
			if err := d.readBlock(b, block[:], len(d.layers)); err != nil {
				return info, false, err
			}
			if bytes.Equal(block[:], zero[:]) {
				continue
			}
		} else if d.epoch[b] <= from {
			continue
		}
		if k := len(info.ChangedArea) - 1; k >= 0 && info.ChangedArea[k].Start+info.ChangedArea[k].Length == b*tracked {
			info.ChangedArea[k].Length += tracked
		} else {
			info.ChangedArea = append(info.ChangedArea, types.DiskChangeExtent{Start: b * tracked, Length: tracked})
		}
	}
	return info, true, nil
}
