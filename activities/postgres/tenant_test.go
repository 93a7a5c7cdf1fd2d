package postgres

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

// connected is a pair that nobody asks anything.
type connected struct{ Pairs }

func (connected) Open(context.Context, string, migration.Dataset, migration.Target) (*engine.Pair, error) {
	return &engine.Pair{}, nil
}

var somewhere = PostgresRef{Dataset: migration.Dataset{Name: "orders", Postgres: &migration.Postgres{Site: "dc1"}}}

// A round of a workflow costs events of its history, and one within the attempt costs none.
func TestAStepThatFindsSomebodyInItsWayIsAskedForAgainWithinItsAttempt(t *testing.T) {
	for _, word := range []migration.Word{migration.WordBusy, migration.WordBehind} {
		t.Run(string(word), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
				defer cancel()
				begun, asked := time.Now(), 0
				r, err := New(connected{}).step(ctx, somewhere, func(context.Context, *engine.Pair) (engine.Step, error) {
					if asked++; time.Since(begun) < 2*time.Second {
						return engine.Step{Word: word}, nil
					}
					return engine.Step{Word: migration.WordOpen}, nil
				})
				require.NoError(t, err)
				require.Equal(t, migration.WordOpen, r.Word)
				require.Less(t, asked, 15, "it does not press")
				require.Less(t, time.Since(begun), 2500*time.Millisecond, "nobody waits longer than he must")
			})
		})
	}
}

func TestAStepAnswersBeforeItsAttemptIsOver(t *testing.T) {
	const lock = 3 * time.Second // for which an answer waits
	for name, c := range map[string]struct {
		attempt, answers time.Duration
		asked            bool // again
	}{
		"of long waits":      {7 * time.Second, lock, false},
		"of short waits":     {7 * time.Second, 0, true},
		"which is short":     {4 * time.Second, 0, false},
		"that has no limits": {0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.attempt > 0 {
					limited, cancel := context.WithTimeout(ctx, c.attempt)
					defer cancel()
					ctx = limited
				}
				asked := 0
				r, err := New(connected{}).step(ctx, somewhere, func(context.Context, *engine.Pair) (engine.Step, error) {
					asked++
					time.Sleep(c.answers)
					return engine.Step{Word: migration.WordBusy}, nil
				})
				require.NoError(t, err)
				require.Equal(t, migration.WordBusy, r.Word)
				require.Equal(t, c.asked, asked > 1)
				require.NoError(t, ctx.Err())
			})
		})
	}
}

func TestAStepThatHangsIsCutOffLongBeforeItsAttemptIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		_, err := New(connected{}).step(ctx, somewhere, func(ctx context.Context, _ *engine.Pair) (engine.Step, error) {
			<-ctx.Done()
			return engine.Step{}, errors.New("no answer")
		})
		require.Error(t, err)
		require.Equal(t, 4*time.Second, time.Since(begun))
	})
}
