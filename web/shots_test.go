package web_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/browser"
	"github.com/drover-migration/drover/web/webtest"
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
	w := webtest.New("shop", 300, 5)
	story(w)
	s := serve(t, w, plenty)
	at := browser.Start(t)
	for _, screen := range []struct {
		width int64
		dark  bool
	}{{390, true}, {1280, false}, {1920, false}} {
		ctx := browser.Page(t, at)
		require.NoError(t, chromedp.Run(ctx, browser.Size(screen.width, 1000, screen.dark), signIn(s, access.Operator)))
		for name, path := range map[string]string{
			"board": "/m/shop", "customer": "/m/shop/c/cust-00000", "held": "/m/shop/c/cust-00003", "data": "/m/shop/data",
		} {
			shot(ctx, t, s.URL+path, filepath.Join(folder, fmt.Sprintf("%s-%d.png", name, screen.width)))
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
