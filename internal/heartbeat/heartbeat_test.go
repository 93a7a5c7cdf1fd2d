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

func TestWhatIsSaidIsSentSoonAndNoOftenerThanTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // both the caller and the goroutine beside it send
		var sent []string
		so := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(sent)
		}
		say, stop := saying[string](t.Context(), time.Second, func(details ...any) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, fmt.Sprint(details...))
		})
		time.Sleep(time.Second + time.Millisecond)
		require.Equal(t, []string{""}, so(), "with nothing said yet")
		say("one")
		say("two")
		require.Equal(t, []string{""}, so(), "too soon")
		time.Sleep(2 * time.Second)
		stop()
		require.Equal(t, []string{"", "two", "two"}, so(), "though nothing more was said")
		time.Sleep(time.Minute)
		say("late")
		require.Equal(t, []string{"", "two", "two", "late"}, so())
	})
}

func TestOutsideOfAnActivityNothingIsSaid(*testing.T) {
	say, stop := Saying[string](context.Background())
	say("to nobody")
	stop()
}
