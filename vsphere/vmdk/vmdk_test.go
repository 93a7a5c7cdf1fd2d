package vmdk

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// grain is one with its marker.
func grain(at uint64, data []byte) []byte {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write(data)
	_ = z.Close()
	b := binary.LittleEndian.AppendUint64(nil, at)
	b = binary.LittleEndian.AppendUint32(b, uint32(packed.Len())) //nolint:gosec // small
	return pad(append(b, packed.Bytes()...))
}

func pad(b []byte) []byte { return append(b, make([]byte, (sector-len(b)%sector)%sector)...) }

// stream is a disk of so many sectors in grains of eight, with a header that change spoils.
func stream(capacity uint64, change func(*header), parts ...[]byte) []byte {
	h := header{Magic: magic, Version: 3, Flags: compressed | markers, Capacity: capacity, GrainSize: 8, Overhead: 1, Compression: deflate}
	if change != nil {
		change(&h)
	}
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, h)
	for _, p := range parts {
		b.Write(p)
	}
	return b.Bytes()
}

// end is the end-of-stream marker.
var end = make([]byte, sector)

func read(in []byte) (out map[int64]string, capacity int64, err error) {
	out = map[int64]string{}
	capacity, err = Read(bytes.NewReader(in), func(off int64, data []byte) error { out[off] = string(data[:1]); return nil })
	return out, capacity, err
}

func fill(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

func TestRead(t *testing.T) {
	table := append(pad(binary.LittleEndian.AppendUint64(nil, 4))[:12], 1, 0, 0, 0) // a grain table of four sectors
	got, n, err := read(stream(20, nil, grain(0, fill('a', 4096)), pad(table), make([]byte, 4*sector), grain(16, fill('c', 4096)), end))
	require.NoError(t, err)
	require.EqualValues(t, 20*sector, n)
	require.Equal(t, map[int64]string{0: "a", 16 * sector: "c"}, got)

	got, _, err = read(stream(20, nil, grain(16, fill('c', 4*sector)), end)) // the last grain may end with the disk
	require.NoError(t, err)
	require.Len(t, got, 1)
}

func TestWhatIsRefused(t *testing.T) {
	ok := grain(0, fill('a', 4096))
	broken := bytes.Clone(ok)
	broken[12+2+3] ^= 0xff
	sum := bytes.Clone(ok)
	size := binary.LittleEndian.Uint32(sum[8:])
	sum[12+size-1] ^= 1
	for name, in := range map[string][]byte{
		"nothing like it":       append([]byte("COWD"), make([]byte, 4096)...),
		"not compressed":        stream(16, func(h *header) { h.Flags = markers }, ok, end),
		"no markers":            stream(16, func(h *header) { h.Flags = compressed }, ok, end),
		"another compression":   stream(16, func(h *header) { h.Compression = 2 }, ok, end),
		"no grain size":         stream(16, func(h *header) { h.GrainSize = 0 }, ok, end),
		"a huge grain size":     stream(16, func(h *header) { h.GrainSize = 1 << 40 }, ok, end),
		"an odd grain size":     stream(16, func(h *header) { h.GrainSize = 7 }, ok, end),
		"a huge capacity":       stream(1<<60, nil, ok, end),
		"a huge overhead":       stream(16, func(h *header) { h.Overhead = 1 << 60 }, ok, end),
		"beyond the disk":       stream(16, nil, grain(16, fill('a', 4096)), end),
		"between two grains":    stream(16, nil, grain(3, fill('a', 4096)), end),
		"an overflowing sector": stream(16, nil, grain(1<<63, fill('a', 4096)), end),
		"twice":                 stream(16, nil, ok, ok, end),
		"backwards":             stream(16, nil, grain(8, fill('b', 4096)), ok, end),
		"too short":             stream(16, nil, grain(0, fill('a', 4095)), end),
		"too long":              stream(16, nil, grain(0, fill('a', 4097)), end),
		"a bomb":                stream(16, nil, grain(0, make([]byte, 8<<20)), end),
		"broken":                stream(16, nil, broken, end),
		"a wrong checksum":      stream(16, nil, sum, end),
		"a huge packed size":    stream(16, nil, append(ok[:8:8], 0xff, 0xff, 0xff, 0xff), end),
		"a strange marker":      stream(16, nil, append(make([]byte, 12), fill(9, 500)...), end),
	} {
		_, _, err := read(in)
		require.ErrorIs(t, err, ErrFormat, name)
	}
	for name, in := range map[string][]byte{
		"empty": nil, "half a header": stream(16, nil)[:100], "no end": stream(16, nil, ok), "half a grain": stream(16, nil, ok[:20]),
		"no header behind it": stream(16, func(h *header) { h.Overhead = 100 }, ok, end),
	} {
		_, _, err := read(in)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
	}
}

func TestWhoReadsMayStop(t *testing.T) {
	full := errors.New("no room")
	_, err := Read(bytes.NewReader(stream(16, nil, grain(0, fill('a', 4096)), end)), func(int64, []byte) error { return full })
	require.ErrorIs(t, err, full)
}
