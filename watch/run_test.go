package watch_test

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/watch"
	"github.com/drover-migration/drover/web/board"
)

// paper is what a program has drawn until now.
type paper struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *paper) has(s string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Contains(p.b.Bytes(), []byte(s))
}

// TestAPersonAtATerminal runs the whole program, from bytes that a terminal sends to those that it
// shows: a rollback of one customer, and q.
func TestAPersonAtATerminal(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	world := story()
	f, err := board.NewHub(ctx, world, time.Second).Follow(ctx, "shop")
	require.NoError(t, err)
	keys, in := io.Pipe()
	out := &paper{}
	done := make(chan error, 1)
	go func() {
		done <- watch.RunOf(ctx, keys, out, watch.Options{Reader: f, Commands: world, Command: cmd, Patience: time.Second}, 100, 30)
	}()
	for _, step := range []struct{ sees, types string }{
		{"wave-03", "\t"},
		{"> ", "b"},
		{"Reason", "slow pages\r"},
		{"y sends it", "y"},
		{"rollback accepted", "q"},
	} {
		require.Eventually(t, func() bool { return out.has(step.sees) }, 5*time.Second, 5*time.Millisecond, "%q is never shown", step.sees)
		_, err := io.WriteString(in, step.types)
		require.NoError(t, err)
	}
	require.NoError(t, <-done)
	sent := world.Sent()
	require.Len(t, sent, 1)
	require.Equal(t, migration.UpdateRollback, sent[0].Name)
	require.Equal(t, "cust-00000", sent[0].At.Customer)
	require.Equal(t, "slow pages", sent[0].Reason)
}

func TestAnInterruptEndsTheScreen(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	world := story()
	f, err := board.NewHub(ctx, world, time.Second).Follow(ctx, "shop")
	require.NoError(t, err)
	keys, _ := io.Pipe()
	out := &paper{}
	done := make(chan error, 1)
	go func() {
		done <- watch.RunOf(ctx, keys, out, watch.Options{Reader: f, Commands: world, Command: cmd}, 100, 30)
	}()
	require.Eventually(t, func() bool { return out.has("wave-03") }, 5*time.Second, 5*time.Millisecond)
	stop()
	select {
	case err := <-done:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(5 * time.Second):
		require.Fail(t, "the screen stays")
	}
}
