// Package vmdk reads stream-optimised VMDKs, as an NFC lease hands them out: once, from the
// beginning to the end.
//
// The format is VMware's "Virtual Disk Format 5.0" (2011), section "Stream-Optimized Compressed
// Sparse Extents".
package vmdk

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Format constants.
const (
	sector     = 512
	magic      = 0x564d444b // "KDMV"
	compressed = 1 << 16
	markers    = 1 << 17
	deflate    = 1
	maxGrain   = 2048 // sectors; VMware writes 128
)

// Kinds of metadata markers.
const (
	endOfStream = 0
	lastKind    = 3 // footer
)

// ErrFormat says that the stream is not what it should be. It is never a short read: those are
// io.ErrUnexpectedEOF.
var ErrFormat = errors.New("not a stream-optimised VMDK")

type header struct {
	Magic, Version, Flags          uint32
	Capacity, GrainSize            uint64 // sectors
	DescriptorOffset, DescriptorSz uint64
	TableEntries                   uint32
	RedundantDir, Dir, Overhead    uint64 // sectors
	Unclean                        byte
	NewLines                       [4]byte
	Compression                    uint16
	Pad                            [433]byte
}

// Read hands every grain to emit, in the order of the stream, and answers with the disk's capacity
// in bytes. What it does not hand over is zero. The data is valid until emit returns. It reads to
// the end-of-stream marker; a stream that ends before it is an error.
func Read(r io.Reader, emit func(off int64, data []byte) error) (capacity int64, err error) {
	in := &input{r: bufio.NewReaderSize(r, 1<<20)}
	h, err := in.header()
	if err != nil {
		return 0, err
	}
	d := &decoder{input: in, capacity: int64(h.Capacity) * sector, grain: int64(h.GrainSize) * sector,
		room: make([]byte, h.GrainSize*sector+1)}
	for {
		done, err := d.next(emit)
		if err != nil {
			return d.capacity, err
		}
		if done {
			return d.capacity, nil
		}
	}
}

// input counts what was read, since everything in the stream is aligned to sectors.
type input struct {
	r   *bufio.Reader
	pos int64
}

func (in *input) read(b []byte) error {
	n, err := io.ReadFull(in.r, b)
	in.pos += int64(n)
	if err == io.EOF { //nolint:errorlint // io.ReadFull returns it bare
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("VMDK stream at byte %d: %w", in.pos, err)
	}
	return nil
}

func (in *input) skip(n int64) error {
	m, err := io.CopyN(io.Discard, in.r, n)
	in.pos += m
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("VMDK stream at byte %d: %w", in.pos, err)
	}
	return nil
}

func (in *input) align() error { return in.skip((sector - in.pos%sector) % sector) }

func (in *input) header() (h header, err error) {
	b := make([]byte, sector)
	if err := in.read(b); err != nil {
		return h, err
	}
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, &h); err != nil {
		return h, err
	}
	switch {
	case h.Magic != magic:
		return h, fmt.Errorf("%w: its header begins with %#x", ErrFormat, h.Magic)
	case h.Flags&compressed == 0 || h.Flags&markers == 0 || h.Compression != deflate:
		return h, fmt.Errorf("%w: its header has flags %#x, compression %d", ErrFormat, h.Flags, h.Compression)
	case h.GrainSize == 0 || h.GrainSize > maxGrain || h.GrainSize&(h.GrainSize-1) != 0:
		return h, fmt.Errorf("%w: its header has grains of %d sectors", ErrFormat, h.GrainSize)
	case h.Capacity > 1<<42 || h.Overhead == 0 || h.Overhead > 1<<20:
		return h, fmt.Errorf("%w: %d sectors behind a header of %d", ErrFormat, h.Capacity, h.Overhead)
	}
	return h, in.skip(int64(h.Overhead)*sector - in.pos)
}

type decoder struct {
	*input
	capacity int64
	grain    int64  // bytes
	room     []byte // for a grain and one byte more, to see that it ends
	packed   []byte
	in       bytes.Reader // over packed
	z        io.ReadCloser
	last     int64 // offset of the grain before, once begun: order is part of the format
	begun    bool
}

// next reads one marker with what belongs to it.
func (d *decoder) next(emit func(int64, []byte) error) (done bool, err error) {
	var m [12]byte
	if err := d.read(m[:]); err != nil {
		return false, err
	}
	value, size := binary.LittleEndian.Uint64(m[:8]), binary.LittleEndian.Uint32(m[8:])
	if size == 0 {
		return d.metadata(value)
	}
	off := int64(value) * sector
	if value >= 1<<42 || off >= d.capacity || off%d.grain != 0 || d.begun && off <= d.last {
		return false, fmt.Errorf("%w: a grain at sector %d of %d", ErrFormat, value, d.capacity/sector)
	}
	if int64(size) > 2*d.grain+1024 {
		return false, fmt.Errorf("%w: the grain at sector %d has %d packed bytes", ErrFormat, value, size)
	}
	d.last, d.begun = off, true
	if cap(d.packed) < int(size) {
		d.packed = make([]byte, size)
	}
	d.packed = d.packed[:size]
	if err := d.read(d.packed); err != nil {
		return false, err
	}
	if err := d.align(); err != nil {
		return false, err
	}
	n, err := d.unpack()
	if err != nil {
		return false, fmt.Errorf("VMDK grain at sector %d: %w", value, err)
	}
	want := min(d.grain, d.capacity-off) // the last grain may reach beyond the disk
	if int64(n) < want {
		return false, fmt.Errorf("%w: the grain at sector %d has %d bytes of %d", ErrFormat, value, n, want)
	}
	return false, emit(off, d.room[:want])
}

// unpack inflates a grain to its end: only there is its checksum compared.
func (d *decoder) unpack() (n int, err error) {
	d.in.Reset(d.packed)
	if d.z == nil {
		d.z, err = zlib.NewReader(&d.in)
	} else {
		err = d.z.(zlib.Resetter).Reset(&d.in, nil)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for n <= int(d.grain) {
		m, err := d.z.Read(d.room[n:])
		n += m
		if err == io.EOF && n <= int(d.grain) { //nolint:errorlint // zlib returns it bare, and an early end as another error
			return n, nil
		}
		if err != nil && err != io.EOF { //nolint:errorlint // as above
			return 0, fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
	return 0, fmt.Errorf("%w: it is longer than a grain", ErrFormat)
}

// metadata skips tables, directories and the footer, and sees the end.
func (d *decoder) metadata(sectors uint64) (done bool, err error) {
	var kind [4]byte
	if err := d.read(kind[:]); err != nil {
		return false, err
	}
	if err := d.align(); err != nil {
		return false, err
	}
	switch k := binary.LittleEndian.Uint32(kind[:]); {
	case k == endOfStream:
		return true, nil
	case k > lastKind || sectors > 1<<24:
		return false, fmt.Errorf("%w: before byte %d a marker of kind %d over %d sectors", ErrFormat, d.pos, k, sectors)
	}
	return false, d.skip(int64(sectors) * sector)
}
