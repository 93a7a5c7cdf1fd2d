package heartbeat_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/heartbeat"
)

func TestHeartbeatsGoOnUntilTheyAreStoppedOrTheActivityIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		stop := heartbeat.Beside(t.Context(), time.Second, func() { n++ })
		time.Sleep(time.Minute + time.Millisecond)
		stop()
		require.Equal(t, 61, n)
		time.Sleep(time.Minute)
		require.Equal(t, 61, n)

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
		defer cancel()
		n = 0
		stop = heartbeat.Beside(ctx, time.Second, func() { n++ })
		time.Sleep(time.Hour)
		stop()
		require.Equal(t, 11, n, "what hangs does not look alive for ever")
	})
}
