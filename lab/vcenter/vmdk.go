package vcenter

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
)

// The stream-optimised format: "Virtual Disk Format 5.0", VMware, 2011.
const (
	sector       = 512
	grainSectors = 128
	grainsATable = 512
)

type header struct {
	Magic, Version, Flags         uint32
	Capacity, GrainSize           uint64
	DescOff, DescSize             uint64
	GTEsPerGT                     uint32
	RGDOff, GDOff, Overhead       uint64
	Unclean, SEL, NEL, DEL1, DEL2 byte
	Compress                      uint16
	Pad                           [433]byte
}

// stream writes the parts of a stream-optimised VMDK in order.
type stream struct {
	*bufio.Writer
	pos    int64
	head   header
	tables []uint32 // grain directory
	grains []uint32 // grain table under way
}

// writeStream converts size bytes of r. whole is called when all were read, and before the reader
// of w can see the end.
func writeStream(w io.Writer, r io.Reader, size int64, whole func()) error {
	s := &stream{Writer: bufio.NewWriterSize(w, 1<<20),
		head: header{Magic: 0x564d444b, Version: 3, Flags: 1 | 1<<16 | 1<<17, Capacity: uint64(size / sector), GrainSize: grainSectors,
			DescOff: 1, DescSize: 20, GTEsPerGT: grainsATable, GDOff: 0xffffffffffffffff, Overhead: grainSectors, SEL: '\n', NEL: ' ',
			DEL1: '\r', DEL2: '\n', Compress: 1}}
	s.header()
	s.put(
		[]byte(
			fmt.Sprintf("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\nRDONLY "+
				"%d SPARSE \"disk.vmdk\"\n\nddb.adapterType = \"lsilogic\"\nddb.virtualHWVersion = \"13\"\n", size/sector)))
	s.put(make([]byte, grainSectors*sector-s.pos))
	if err := s.data(r, size); err != nil {
		return err
	}
	whole()
	s.footer()
	return s.Flush()
}

func (s *stream) put(b []byte) {
	n, _ := s.Write(b) // bufio keeps the first error for Flush
	s.pos += int64(n)
}

func (s *stream) pad() {
	if over := s.pos % sector; over != 0 {
		s.put(make([]byte, sector-over))
	}
}

func (s *stream) header() {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, &s.head)
	s.put(b.Bytes())
}

func (s *stream) marker(sectors uint64, kind uint32) {
	b := make([]byte, sector)
	binary.LittleEndian.PutUint64(b, sectors)
	binary.LittleEndian.PutUint32(b[12:], kind)
	s.put(b)
}

// data writes the grains that are not zero, and a table after every 512.
func (s *stream) data(r io.Reader, size int64) error {
	buf := make([]byte, grainSectors*sector)
	zero := make([]byte, len(buf))
	var packed bytes.Buffer
	z, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	if err != nil {
		return err
	}
	for off := int64(0); off < size; off += int64(len(buf)) {
		clear(buf)
		if _, err := io.ReadFull(r, buf[:min(int64(len(buf)), size-off)]); err != nil {
			return err
		}
		if bytes.Equal(buf, zero) {
			s.grains = append(s.grains, 0)
		} else {
			packed.Reset()
			z.Reset(&packed)
			if _, err := z.Write(buf); err != nil {
				return err
			}
			if err := z.Close(); err != nil {
				return err
			}
			s.grains = append(s.grains, uint32(s.pos/sector))
			var m [12]byte
			binary.LittleEndian.PutUint64(m[:], uint64(off/sector))
			binary.LittleEndian.PutUint32(m[8:], uint32(packed.Len()))
			s.put(m[:])
			s.put(packed.Bytes())
			s.pad()
		}
		if len(s.grains) == grainsATable {
			s.table()
		}
	}
	if len(s.grains) > 0 {
		s.table()
	}
	return nil
}

// table writes the grain table under way, unless all its grains are zero.
func (s *stream) table() {
	empty := true
	b := make([]byte, grainsATable*4)
	for i, at := range s.grains {
		binary.LittleEndian.PutUint32(b[4*i:], at)
		empty = empty && at == 0
	}
	s.grains = nil
	if empty {
		s.tables = append(s.tables, 0)
		return
	}
	s.marker(uint64(len(b)/sector), 1)
	s.tables = append(s.tables, uint32(s.pos/sector))
	s.put(b)
}

func (s *stream) footer() {
	directory := make([]byte, (len(s.tables)*4+sector-1)/sector*sector)
	for i, at := range s.tables {
		binary.LittleEndian.PutUint32(directory[4*i:], at)
	}
	s.marker(uint64(len(directory)/sector), 2)
	s.head.GDOff = uint64(s.pos / sector)
	s.put(directory)
	s.marker(1, 3)
	s.header()
	s.marker(0, 0)
}
