package files

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPartsGrowWithTheFile(t *testing.T) {
	const mib, gib, tib = 1 << 20, 1 << 30, 1 << 40
	for _, x := range []struct {
		part, size, want int64
	}{
		{DefaultPart, 1, DefaultPart},
		{DefaultPart, DefaultPart * 10_000, DefaultPart},         // 312.5 GiB
		{DefaultPart, DefaultPart*10_000 + 1, DefaultPart + mib}, // one byte more
		{DefaultPart, tib, 105 * mib},
		{DefaultPart, 5 * tib, 525 * mib},
		{5 * mib, 40 * gib, 5 * mib},
		{5 * mib, 50 * gib, 6 * mib},
		{64 * mib, 100 * gib, 64 * mib},
		{DefaultPart, maxObject, 5 * gib},
	} {
		t.Run(fmt.Sprintf("%d bytes from parts of %d", x.size, x.part), func(t *testing.T) {
			got := partFor(x.part, x.size)
			require.Equal(t, x.want, got)
			require.LessOrEqual(t, (x.size+got-1)/got, int64(10_000), "S3 takes no more parts")
		})
	}
}

func TestAFileThatS3CannotHoldIsRefused(t *testing.T) {
	require.Empty(t, checkSize(0))
	require.Empty(t, checkSize(maxObject))
	require.Contains(t, checkSize(maxObject+1), "53687091200001 bytes")
}
