package vcenter

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/vsphere/vmdk"
)

// image is a disk of mostly zeros as a stream.
func image(t testing.TB, size int) (disk, stream []byte) {
	t.Helper()
	disk = make([]byte, size)
	random := rand.NewChaCha8([32]byte{byte(size)})
	for off := 0; off < size; off += 100 << 10 {
		_, _ = random.Read(disk[off:min(size, off+1000)])
	}
	var out bytes.Buffer
	require.NoError(t, writeStream(&out, bytes.NewReader(disk), int64(size), func() {}))
	return disk, out.Bytes()
}

func decode(r io.Reader, size int) ([]byte, int64, error) {
	got := make([]byte, size)
	n, err := vmdk.Read(r, func(off int64, data []byte) error { copy(got[off:], data); return nil })
	return got, n, err
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, size := range []int{512, 64 << 10, 64<<10 + 512, 1 << 20, 33<<20 + 512, 70 << 20} {
		disk, stream := image(t, size)
		got, n, err := decode(bytes.NewReader(stream), size)
		require.NoError(t, err, size)
		require.EqualValues(t, size, n)
		require.True(t, bytes.Equal(disk, got), size)
	}
}

func TestATruncatedStreamIsAnError(t *testing.T) {
	_, stream := image(t, 300<<10)
	for n := 0; n < len(stream); n += 61 {
		_, _, err := decode(bytes.NewReader(stream[:n]), 300<<10)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, n)
	}
}

// TestAFlippedBitIsSeen: in the packed data it always is, by the grain's checksum.
func TestAFlippedBitIsSeen(t *testing.T) {
	disk, stream := image(t, 300<<10)
	seen := 0
	for at := 64 << 10; at < len(stream); at += 41 {
		bad := bytes.Clone(stream)
		bad[at] ^= 1 << (at % 8)
		got, n, err := decode(bytes.NewReader(bad), 300<<10)
		if err != nil {
			seen++
			continue
		}
		require.EqualValues(t, 300<<10, n)
		require.True(t, bytes.Equal(disk, got), "bit at %d", at) // in padding and tables, which nobody needs
	}
	require.Positive(t, seen)
}
