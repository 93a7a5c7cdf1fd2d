package printer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestADurationHasItsTwoLargestUnits(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0s", 40 * time.Microsecond: "0s", 400 * time.Microsecond: "0.4ms", 7 * time.Millisecond: "7ms",
		9400 * time.Microsecond: "9.4ms", 350 * time.Millisecond: "350ms",
		time.Second: "1s", 1449 * time.Millisecond: "1.4s", 9960 * time.Millisecond: "10s",
		10*time.Second + 900*time.Millisecond: "10s", 59 * time.Second: "59s", time.Minute: "1m", 61 * time.Second: "1m1s",
		time.Hour - 1: "59m59s", 2 * time.Hour: "2h", 2*time.Hour + 5*time.Minute + 9*time.Second: "2h5m",
		day: "1d", 3*day + 4*time.Hour + 59*time.Minute: "3d4h", 400 * day: "400d",
	} {
		require.Equal(t, want, Duration(d), d.String())
	}
	require.Equal(t, "9.4ms", Seconds(0.0094))
}
