package vmdk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/fuzztest"
)

// whereInIt is how an error says where in the stream it is.
var whereInIt = regexp.MustCompile(`(byte|sector) \d+|header`)

// FuzzRead: any stream is a disk, or refused with the place of the fault. Pieces come in order and
// lie on the disk; what they say is the same when it is written as a stream again.
func FuzzRead(f *testing.F) {
	f.Add(stream(16, nil, grain(0, fill('a', 4096)), grain(8, fill('b', 4096)), end))
	f.Add(stream(16, nil, grain(0, fill('a', 4096))))
	f.Add(stream(20, nil, grain(16, fill('a', 2048)), pad([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}), end, end))
	f.Add(stream(1<<41, nil, grain(1<<40, fill('a', 4096)), end))
	f.Add(stream(16, nil, grain(0, make([]byte, 64<<10)), end))
	f.Fuzz(func(t *testing.T, in []byte) {
		type piece struct {
			off  int64
			data string
		}
		play := func(in []byte) (out []piece, capacity int64, err error) {
			var last int64
			capacity, err = Read(bytes.NewReader(in), func(off int64, data []byte) error {
				require.GreaterOrEqual(t, off, last)
				require.NotEmpty(t, data)
				last = off + int64(len(data))
				out = append(out, piece{off, string(data)})
				return nil
			})
			require.True(t, err != nil || last <= capacity, "data up to %d on a disk of %d", last, capacity)
			return out, capacity, err
		}
		var pieces []piece
		var capacity int64
		var err error
		// Each grain takes sixteen packed bytes or more, and gives a piece of up to 1 MiB once.
		fuzztest.Bounded(t, len(in), 64<<10, func() { pieces, capacity, err = play(in) })
		if err != nil {
			require.True(t, errors.Is(err, ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF), err)
			require.Regexp(t, whereInIt, err.Error())
			return
		}
		var parts [][]byte
		for _, p := range pieces {
			parts = append(parts, grain(uint64(p.off/sector), []byte(p.data))) //nolint:gosec // not below zero
		}
		size := binary.LittleEndian.Uint64(in[20:])                                                               // as the header has it
		written := stream(uint64(capacity/sector), func(h *header) { h.GrainSize = size }, append(parts, end)...) //nolint:gosec // as above
		again, same, err := play(written)
		require.NoError(t, err)
		require.Equal(t, capacity, same)
		require.Equal(t, pieces, again)
	})
}
