package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/web"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/webtest"
)

// A link is as good as a password: whoever reads the audit must not be able to use it.
func TestNoLinkStandsInTheAudit(t *testing.T) {
	s := serve(t, webtest.New("shop", 3, 1), web.Limits{Requests: 0.001, SignIns: 1e6})
	link, err := s.key.Link("shop", "cust-00000", time.Now().Add(time.Hour))
	require.NoError(t, err)
	b, last := s.browser(t), 0
	for range 20 {
		last, _ = s.get(t, s.browser(t), "/link/"+link)
	}
	require.Equal(t, http.StatusTooManyRequests, last)
	for _, path := range []string{"/link/" + link, "//link//" + link, "/x/../link/" + link} {
		r, err := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader(""))
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		res, err := b.Do(r)
		code, _ := read(t, res, err)
		require.Equal(t, http.StatusForbidden, code, path)
	}
	require.Contains(t, s.audit.String(), `"at":"/link/..."`)
	require.NotContains(t, s.audit.String(), link)

	s = serve(t, webtest.New("shop", 3, 1), plenty)
	link, err = s.key.Link("shop", "cust-00000", time.Now().Add(time.Hour))
	require.NoError(t, err)
	code, _ := s.post(t, s.browser(t), "/link/"+link, nil) // by a page of the board's own
	require.NotEqual(t, http.StatusOK, code)
	require.Contains(t, s.audit.String(), `"at":"/link/..."`)
	require.NotContains(t, s.audit.String(), link)
}

// What keeps the board from reading a migration is said in words for operators.
func TestALinkIsNotToldWhyNothingCanBeRead(t *testing.T) {
	w := webtest.New("shop", 3, 1)
	s := serve(t, w, plenty)
	b := s.guest(t, "shop", "cust-00000")
	down := &client.Problem{Kind: client.ErrUnreachable, Doing: "read the status", Why: "temporal.internal:7233 refused the connection",
		Next: "ask the-operator"}
	w.Down(down)
	code, body := s.get(t, b, "/m/shop/c/cust-00000")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "cannot be read now")
	require.Contains(t, body, "Try again in a few minutes.")
	require.NotContains(t, body, "Ask whoever sent you the link", "they cannot help")
	require.NotContains(t, body, "temporal.internal")
	require.NotContains(t, body, "the-operator")

	w.Down(nil)
	require.Contains(t, mustGet(t, s, b, "/m/shop/c/cust-00000"), "has not moved yet")
	w.Down(down)
	require.Eventually(t, func() bool {
		return strings.Contains(mustGet(t, s, b, "/m/shop/c/cust-00000"), "Temporal does not answer")
	}, 20*time.Second, 20*time.Millisecond)
	page := mustGet(t, s, b, "/m/shop/c/cust-00000")
	require.NotContains(t, page, "temporal.internal")
	require.NotContains(t, page, "the-operator")
	require.Contains(t, mustGet(t, s, s.as(t, access.Viewer), "/m/shop/c/cust-00000"), "temporal.internal")
}

// A link opens as many sessions as its holder likes.
func TestOneLinkDoesNotTakeAllStreams(t *testing.T) {
	s := serve(t, webtest.New("shop", 3, 1), web.Limits{Requests: 1e6, SignIns: 1e6, Streams: 2, Viewers: 40})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opened := 0
	for range 30 { // two each would be more than all there are
		b := s.guest(t, "shop", "cust-00000")
		for range 2 {
			if stream(ctx, t, s, b, "/m/shop/c/cust-00000/events") == http.StatusOK {
				opened++
			}
		}
	}
	require.Equal(t, 10, opened)
	require.Equal(t, http.StatusOK, stream(ctx, t, s, s.guest(t, "shop", "cust-00001"), "/m/shop/c/cust-00001/events"))
	require.Equal(t, http.StatusOK, stream(ctx, t, s, s.as(t, access.Viewer), "/m/shop/events"))
	cancel()
	require.Eventually(t, func() bool { // what has closed counts no more
		return stream(t.Context(), t, s, s.guest(t, "shop", "cust-00000"), "/m/shop/c/cust-00000/events") == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
}

// stream opens a stream, which stays open until ctx or the test ends, and answers its status.
func stream(ctx context.Context, t *testing.T, s *site, b *http.Client, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	require.NoError(t, err)
	res, err := b.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return res.StatusCode
}

// Behind a proxy everybody has its address, the balancer too.
func TestWhoeverWatchesTheBoardIsAnsweredWhileSomebodyFloodsIt(t *testing.T) {
	s := serve(t, webtest.New("shop", 3, 1), web.Limits{Requests: 0.001, SignIns: 1e6})
	last := 0
	for range 20 {
		last, _ = s.get(t, s.browser(t), "/signin")
	}
	require.Equal(t, http.StatusTooManyRequests, last)
	code, body := s.get(t, s.browser(t), "/healthz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok\n", body)
}
