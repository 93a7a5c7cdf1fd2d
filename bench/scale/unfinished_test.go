package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestARunThatIsNotThroughMissesItsGoalAndIsNoMeasureOfOneMoreCustomer(t *testing.T) {
	r := results{Runs: map[string]*measured{}, OneMore: map[string]float64{}}
	r.add(shape{customers: 100, batches: 1}, &measured{Customers: 100, Batches: 1, WorkerCPU: 10, ServerCPU: 10})
	r.add(shape{customers: 1000, batches: 10}, &measured{
		Customers: 1000, Batches: 10, WorkerCPU: 20, ServerCPU: 30, WallS: 600, OnAWS: 412, Unfinished: "its time of 10m0s is over",
	})
	require.Equal(t, map[string]float64{"100": 200}, r.OneMore)
	require.Equal(t, []string{"1000 customers in 10 batches: not through after 600 s, with 412 of them on AWS"}, r.Missed)
	out := filepath.Join(t.TempDir(), "out", "scale.json")
	require.NoError(t, r.write(out))
	raw, err := os.ReadFile(out)
	require.NoError(t, err)
	var keys map[string]any
	require.NoError(t, json.Unmarshal(raw, &keys))
	for _, key := range []string{"wall_s", "max_events", "max_bytes", "soak_activities_per_s", "status_p99_ms"} {
		require.Contains(t, keys, key)
	}
}

func TestAnErrorSaysThatTheTimeOfTheRunIsOver(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Nanosecond, errors.New("its time is over"))
	defer cancel()
	<-ctx.Done()
	err := because(ctx, fmt.Errorf("93 of 100 are on AWS: %w", ctx.Err()))
	require.EqualError(t, err, "its time is over: 93 of 100 are on AWS: context deadline exceeded")
	require.EqualError(t, because(t.Context(), errors.New("lost")), "lost")
}
