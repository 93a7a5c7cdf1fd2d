package browser

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// programs are the names under which Chromium is installed.
var programs = []string{"chromium", "chromium-browser", "google-chrome"}

// find is where Chromium is; without one the test is skipped, or fails where it must be there.
func find(t testing.TB) string {
	t.Helper()
	for _, p := range programs {
		if at, err := exec.LookPath(p); err == nil {
			return at
		}
	}
	const missing = "there is no Chromium: install Debian's package chromium (`make setup-web` does it as root)"
	if os.Getenv("DROVER_BROWSER") == "required" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// Start starts Chromium and gives the context of its first page. The test's end ends it.
func Start(t testing.TB) context.Context {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(find(t)), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Env("TZ=Europe/Oslo"), chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, done := chromedp.NewContext(ctx)
	t.Cleanup(done)
	require.NoError(t, chromedp.Run(ctx), "start Chromium")
	return ctx
}

// Page is a page in a window of its own, with cookies of its own.
func Page(t testing.TB, started context.Context) context.Context {
	t.Helper()
	control := cdp.WithExecutor(started, chromedp.FromContext(started).Browser)
	own, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(control)
	require.NoError(t, err)
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(own).WithNewWindow(true).Do(control)
	require.NoError(t, err)
	ctx, cancel := chromedp.NewContext(started, chromedp.WithTargetID(id))
	t.Cleanup(cancel)
	ctx, late := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(late)
	return ctx
}

// Size makes the page as wide and high as a screen, light or dark.
func Size(width, height int64, dark bool) chromedp.Action {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return chromedp.Tasks{
		emulation.SetDeviceMetricsOverride(width, height, 1, width < 600),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
	}
}

// Elsewhere counts the requests that a page sends to any other host than its own.
func Elsewhere(ctx context.Context, own string, seen func(url string)) {
	chromedp.ListenTarget(ctx, func(ev any) {
		if e, ok := ev.(*network.EventRequestWillBeSent); ok && len(e.Request.URL) >= len(own) && e.Request.URL[:len(own)] != own &&
			e.Request.URL[:5] != "data:" {
			seen(e.Request.URL)
		}
	})
}
