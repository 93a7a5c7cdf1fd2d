package await_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/await"
)

func quiet(string) {}

func TestAWaitEndsWhenItIsSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, asked := time.Now(), 0
		var said []string
		err := await.Until(t.Context(), "image ami-0", func(s string) { said = append(said, s) }, func() (bool, string, error) {
			asked++
			return asked == 3, "it is pending", nil
		})
		require.NoError(t, err)
		require.Equal(t, 2*time.Second, time.Since(start))
		require.Equal(t, []string{"it is pending", "it is pending"}, said)
	})
}

func TestAWaitThatRunsOutOfTimeSaysWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, ask := range map[string]func(context.Context) func() (bool, string, error){
			"between two questions": func(context.Context) func() (bool, string, error) {
				return func() (bool, string, error) { return false, "it is pending", nil }
			},
			"within a question": func(ctx context.Context) func() (bool, string, error) {
				first := true
				return func() (bool, string, error) {
					if first {
						first = false
						return false, "it is pending", nil
					}
					<-ctx.Done()
					return false, "", ctx.Err()
				}
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			err := await.Until(ctx, "image ami-0", quiet, ask(ctx))
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			require.ErrorContains(t, err, "image ami-0: still waiting: it is pending", name)
		}
	})
}

func TestAWaitEndsWithTheErrorOfItsQuestion(t *testing.T) {
	broken := errors.New("broken")
	require.Equal(t, broken, await.Until(t.Context(), "x", quiet, func() (bool, string, error) { return false, "", broken }))
}
