package vcenter

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// tracked is the granularity of change tracking, bytes.
const tracked = 64 << 10

// disk is one with bytes. While a snapshot is open its file is frozen, and writes go to the overlay.
type disk struct {
	flat    string
	key     int32
	size    int64
	uuid    string
	seq     int64            // grows by every snapshot
	epoch   map[int64]int64  // tracked block -> the seq it was last written in
	overlay map[int64][]byte // tracked block -> its bytes since the snapshot
}

// changeID names the state of the disk that a snapshot froze.
func (d *disk) changeID() string { return fmt.Sprintf("%s/%d", d.uuid, d.seq) }

// GuestWrite is the running guest writing to its n-th disk.
func (v *VCenter) GuestWrite(name string, n int, off int64, data []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for ref, disks := range v.disks {
		if v.nameOf(ref) != name {
			continue
		}
		return disks[n].write(off, data, v.open[ref] > 0)
	}
	return fmt.Errorf("there is no machine %s", name)
}

func (d *disk) write(off int64, data []byte, frozen bool) error {
	f, err := os.OpenFile(d.flat, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for b := off / tracked; b <= (off+int64(len(data))-1)/tracked; b++ {
		d.epoch[b] = d.seq + 1
		if frozen && d.overlay[b] == nil {
			d.overlay[b] = make([]byte, tracked)
			if _, err := f.ReadAt(d.overlay[b], b*tracked); err != nil && err != io.EOF {
				return err
			}
		}
	}
	if !frozen {
		_, err = f.WriteAt(data, off)
		return err
	}
	for i := 0; i < len(data); {
		b, o := (off+int64(i))/tracked, (off+int64(i))%tracked
		i += copy(d.overlay[b][o:], data[i:])
	}
	return nil
}

// consolidate writes the overlay into the file: the last snapshot is gone.
func (d *disk) consolidate() error {
	f, err := os.OpenFile(d.flat, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for b, data := range d.overlay {
		if _, err := f.WriteAt(data[:min(tracked, d.size-b*tracked)], b*tracked); err != nil {
			return err
		}
	}
	clear(d.overlay)
	return nil
}

// page is how much of a disk one answer about changes covers: small, so that callers must ask again.
const page = 32 << 20

// changed answers QueryChangedDiskAreas for the part of the disk from start on: what was written after since and not after upto.
func (d *disk) changed(start int64, since string, upto int64) (types.DiskChangeInfo, bool, error) {
	info := types.DiskChangeInfo{StartOffset: start, Length: min(d.size-start, page)}
	pick, ok, err := d.picker(since, upto)
	if !ok || err != nil {
		return info, ok, err
	}
	for b := start / tracked; b*tracked < start+info.Length; b++ {
		if !pick(b) {
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

// picker says which blocks count. "*" asks for allocated areas; a change id of another disk is refused.
func (d *disk) picker(since string, upto int64) (func(int64) bool, bool, error) {
	if since == "*" {
		f, err := os.Open(d.flat)
		if err != nil {
			return nil, false, err
		}
		defer func() { _ = f.Close() }()
		allocated, buf := map[int64]bool{}, make([]byte, tracked)
		for b := int64(0); b*tracked < d.size; b++ {
			n, err := f.ReadAt(buf, b*tracked)
			if err != nil && err != io.EOF {
				return nil, false, err
			}
			allocated[b] = strings.Trim(string(buf[:n]), "\x00") != ""
		}
		return func(b int64) bool { return allocated[b] }, true, nil
	}
	id, n, _ := strings.Cut(since, "/")
	from, err := strconv.ParseInt(n, 10, 64)
	if err != nil || id != d.uuid {
		return nil, false, nil
	}
	return func(b int64) bool { e := d.epoch[b]; return e > from && e <= upto }, true, nil
}
