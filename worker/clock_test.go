package worker

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/internal/tooltest"
)

func TestAWorkerWhoseClockIsOffIsRefusedByName(t *testing.T) {
	binary := tooltest.Dir(t, "bin/temporal") + "/bin/temporal"
	quiet := log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	dev, err := testsuite.StartDevServer(t.Context(),
		testsuite.DevServerOptions{ExistingPath: binary, LogLevel: "error", ClientOptions: &client.Options{Logger: quiet}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = dev.Stop() })
	for _, c := range []struct {
		name string
		off  time.Duration
		says string
	}{
		{"right", 0, ""},
		{"half a second ahead", 500 * time.Millisecond, ""},
		{"half a second behind", -500 * time.Millisecond, ""},
		{"five seconds ahead", 5 * time.Second, "s ahead of that of Temporal's server"},
		{"an hour ahead", time.Hour, "s ahead of that of Temporal's server"},
		{"five seconds behind", -5 * time.Second, "s behind that of Temporal's server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := checkClock(t.Context(), dev.Client().WorkflowService(), "default", "me",
				func() time.Time { return time.Now().Add(c.off) })
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			var off *clockError
			require.ErrorAs(t, err, &off)
			require.Contains(t, err.Error(), c.says)
			require.InDelta(t, c.off.Seconds(), off.here.Sub(off.server).Seconds(), 1.5)
		})
	}
}

func TestAWorkerWhoseClockGoesOffWhileItRunsEnds(t *testing.T) {
	off := &clockError{time.Unix(5, 0), time.Unix(0, 0)}
	for _, c := range []struct {
		name  string
		looks []error
		ends  bool
	}{
		{"off and off and off", []error{nil, off, off, off}, true},
		{"also where the server does not answer in between", []error{off, io.EOF, off, io.EOF, off}, true},
		{"off for a moment", []error{off, off, nil, off, off}, false},
		{"where nobody answers", []error{io.EOF, io.EOF, io.EOF, io.EOF}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			n := 0
			err := watchClock(ctx, time.Millisecond, func(context.Context) error {
				if n++; n > len(c.looks) {
					cancel()
					return nil
				}
				return c.looks[n-1]
			})
			if !c.ends {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "5s ahead of that of Temporal's server")
			require.Equal(t, len(c.looks), n)
		})
	}
}
