package webhook

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
)

const secret = "whsec_bm90aGluZyBidXQgdHdlbnR5LWZvdXIgYnl0ZXM="

func TestAPostIsSignedAndItsAnswerIsRead(t *testing.T) {
	var header http.Header
	var body []byte
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		header = req.Header
		body, _ = io.ReadAll(req.Body)
		_, _ = io.WriteString(w, strings.Repeat("x", mostAnswer+1))
	}))
	defer r.Close()
	answer, err := Ask(t.Context(), Post{URL: r.URL, Secret: secret, Key: "shop/acme/7", Body: []byte(`{"a": 1}`), At: time.Now()})
	require.NoError(t, err)
	require.Len(t, answer, mostAnswer)
	theirs, err := webhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, theirs.Verify(body, header), "by the receiver's own library")
	require.Equal(t, "shop/acme/7", header.Get(HeaderKey))
}

// An answer that breaks off may have said anything.
func TestAnAnswerThatBreaksOffIsNone(t *testing.T) {
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"hold": `)
	}))
	defer r.Close()
	_, err := Ask(t.Context(), Post{URL: r.URL, Secret: secret, Key: "k", At: time.Now()})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Empty(t, permanent.Kind(err))
}

func TestAReceiverThatHangsIsGivenUpWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.ReadAll(req.Body)
		cancel()
		<-req.Context().Done()
	}))
	defer r.Close()
	_, err := Ask(ctx, Post{URL: r.URL + "/hunter2", Secret: secret, Key: "k", At: time.Now()})
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "hunter2")
}
