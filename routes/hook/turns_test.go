package hook

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARouterThatHangsKeepsNobodyFromAnother(t *testing.T) {
	rt := New(nil, Options{})
	var overs []func()
	for range askAtOnce {
		over, err := rt.turns.take(t.Context(), "https://hangs.example")
		require.NoError(t, err)
		overs = append(overs, over)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := rt.turns.take(gone, "https://hangs.example")
	require.ErrorIs(t, err, context.Canceled, "no more than so many at one router")
	over, err := rt.turns.take(t.Context(), "https://well.example")
	require.NoError(t, err)
	over()
	require.Len(t, rt.turns.of, 1, "a router that nobody asks is forgotten")

	got := make(chan func())
	go func() {
		over, _ := rt.turns.take(t.Context(), "https://hangs.example")
		got <- over
	}()
	overs[0]()
	overs[0] = <-got // whoever waits comes next
	for _, over := range overs {
		over()
	}
	require.Empty(t, rt.turns.of)
}
