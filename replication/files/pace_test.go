package files

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// steady has answers come as late as a store makes them with so many at a time, and says how many
// there are at a time in the end, on average.
func steady(p *pace, late func(atOnce float64) time.Duration) float64 {
	const settling, measured = 20 * paceMemory, 5 * paceMemory
	sum := 0.
	for i := range settling + measured {
		p.learn(late(p.limit))
		if i >= settling {
			sum += p.limit
		}
	}
	return sum / measured
}

func TestRequestsAreAsManyAsTheStoreAnswersAtATime(t *testing.T) {
	far := func(float64) time.Duration { return 40 * time.Millisecond }
	require.Greater(t, steady(newPace(64), far), 52., "a far store that is idle")
	const cores = 2
	near := func(n float64) time.Duration { return time.Duration(max(1, n/cores) * float64(time.Millisecond)) }
	p := newPace(64)
	steady(p, far)
	require.Less(t, steady(p, near), 24., "a near one, whose cores are busy with a few")
	require.Greater(t, steady(p, far), 52., "and again the far one: what was fast once does not count for ever")
	require.InDelta(t, 1, steady(newPace(1), near), 0, "never more than asked")
}

func TestOneMoreStartsWhenOneEnds(t *testing.T) {
	p := newPace(1)
	require.NoError(t, p.start(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.start(ctx), context.Canceled)
	started := make(chan error)
	go func() { started <- p.start(t.Context()) }()
	p.end(time.Millisecond)
	require.NoError(t, <-started)
}
