package heartbeat

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHeartbeatsGoOnUntilTheyAreStoppedOrTheActivityIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		stop := Beside(t.Context(), time.Second, func() { n++ })
		time.Sleep(time.Minute + time.Millisecond)
		stop()
		require.Equal(t, 61, n)
		time.Sleep(time.Minute)
		require.Equal(t, 61, n)

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
		defer cancel()
		n = 0
		stop = Beside(ctx, time.Second, func() { n++ })
		time.Sleep(time.Hour)
		stop()
		require.Equal(t, 11, n, "what hangs does not look alive for ever")
	})
}

func TestWhatIsSaidIsSentAtOnceAndAgainUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // both the caller and the goroutine beside it send
		var sent []string
		so := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(sent)
		}
		say, stop := saying[string](t.Context(), func(details ...any) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, fmt.Sprint(details...))
		})
		synctest.Wait()
		require.Equal(t, []string{""}, so(), "at once, with nothing said yet")
		say("copying")
		require.Equal(t, []string{"", "copying"}, so())
		time.Sleep(2*Every + time.Millisecond)
		stop()
		require.Equal(t, []string{"", "copying", "copying", "copying"}, so(), "though nothing more was said")
	})
}

func TestOutsideOfAnActivityNothingIsSaid(*testing.T) {
	say, stop := Saying[string](context.Background())
	say("to nobody")
	stop()
}
