package door

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatADoorDoesToARequest(t *testing.T) {
	var served atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, r.Host)
	}))
	t.Cleanup(service.Close)
	d, err := Open(service.URL)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	ask := func(ctx context.Context) (int, string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL()+"/x", strings.NewReader("Action=ModifyRule&Version=1"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return res.StatusCode, string(body), err
	}
	for _, c := range []struct {
		name    string
		verdict Verdict
		status  int
		served  int32
		fails   bool
	}{
		{"it passes, with the host that was signed", Verdict{}, 200, 1, false},
		{"it is refused", Verdict{Status: 503}, 503, 0, false},
		{"its connection is lost", Verdict{Cut: true}, 0, 0, true},
		{"it hangs", Verdict{Hang: true}, 0, 0, true},
		{"its answer is lost", Verdict{Lose: true}, 0, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			served.Store(0)
			seen := make(chan Request, 8)
			d.Set(func(_ context.Context, r Request) Verdict { seen <- r; return c.verdict })
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			status, body, err := ask(ctx)
			require.Equal(t, c.fails, err != nil, "%v", err)
			require.Equal(t, c.status, status)
			require.Equal(t, c.served, served.Load())
			require.Equal(t, "ModifyRule", (<-seen).Action)
			if c.status == 200 {
				require.Equal(t, strings.TrimPrefix(d.URL(), "http://"), body)
			}
		})
	}
	t.Run("a request that is held reaches the service when its client has gone", func(t *testing.T) {
		served.Store(0)
		let := make(chan struct{})
		ctx, giveUp := context.WithCancel(t.Context())
		d.Set(func(context.Context, Request) Verdict { giveUp(); <-let; return Verdict{} })
		_, _, err := ask(ctx)
		require.Error(t, err)
		require.Zero(t, served.Load())
		close(let)
		require.Eventually(t, func() bool { return served.Load() == 1 }, 5*time.Second, 5*time.Millisecond)
	})
}
