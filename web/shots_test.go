package web_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/browser"
)

// signIn signs a page in by a token, as a person does.
func signIn(s *site, role access.Role) chromedp.Action {
	return chromedp.Tasks{
		chromedp.Navigate(s.URL + "/signin"),
		chromedp.SendKeys("#token", s.tokens[role]+"\r", chromedp.ByQuery),
		chromedp.WaitVisible(".plans, .batches", chromedp.ByQuery),
	}
}

// TestScreens draws the pictures of docs/images where DROVER_SHOTS names the folder.
func TestScreens(t *testing.T) {
	folder := os.Getenv("DROVER_SHOTS")
	if folder == "" {
		t.Skip("DROVER_SHOTS names no folder for the pictures")
	}
	s, over, at := everythingOn(t), soaked(t), browser.Start(t)
	link, err := s.key.Link("shop", "cust-00028", time.Now().Add(time.Hour))
	require.NoError(t, err)
	for _, screen := range []struct {
		width int64
		dark  bool
	}{{390, true}, {1280, false}, {1920, false}} {
		ctx := browser.Page(t, at)
		final, guest := browser.Page(t, at), browser.Page(t, at)
		size := browser.Size(screen.width, 1000, screen.dark)
		require.NoError(t, chromedp.Run(ctx, size, signIn(s, access.Operator)))
		require.NoError(t, chromedp.Run(final, size, signIn(over, access.Lead)))
		require.NoError(t, chromedp.Run(guest, size))
		for _, x := range []struct {
			ctx       context.Context
			name, url string
		}{
			{ctx, "board", s.URL + "/m/shop"}, {ctx, "customer", s.URL + "/m/shop/c/cust-00000"},
			{ctx, "held", s.URL + "/m/shop/c/cust-00029"}, {ctx, "data", s.URL + "/m/shop/data"},
			{guest, "slots", s.URL + "/link/" + link}, {final, "finalise", over.URL + doing + "finalise"},
		} {
			shot(x.ctx, t, x.url, filepath.Join(folder, fmt.Sprintf("%s-%d.png", x.name, screen.width)))
		}
	}
}

func shot(ctx context.Context, t *testing.T, url, file string) {
	t.Helper()
	var b []byte
	require.NoError(t, chromedp.Run(ctx, chromedp.Navigate(url), chromedp.WaitVisible("h1", chromedp.ByQuery),
		chromedp.CaptureScreenshot(&b)))
	require.NoError(t, os.WriteFile(file, b, 0o644)) //nolint:gosec // a picture for everybody
}
