package web_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/browser"
)

// seen says of what has the focus where it is, and whether a person sees that it is there.
const seen = `(e => [e.closest("[id]")?.id ?? "", e.tagName, getComputedStyle(e).outlineStyle != "none" &&
	e.getBoundingClientRect().width > 0 ? "seen" : "hidden"])(document.activeElement)`

// TestABoardIsUsedWithoutAMouse finds a customer and opens its page, by keys alone. Whatever a tab
// comes to is seen to have the focus.
func TestABoardIsUsedWithoutAMouse(t *testing.T) {
	started := browser.Start(t)
	s := shop(t)
	ctx := follow(t, s, started, access.Lead)
	var at []string
	tab := func(until func() bool) {
		t.Helper()
		for range 200 {
			require.NoError(t, chromedp.Run(ctx, chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(seen, &at)))
			require.Equal(t, "seen", at[2], "the focus is at %v, and nobody sees it", at)
			if until() {
				return
			}
		}
		require.Fail(t, "the keys do not lead there")
	}
	require.NoError(t, chromedp.Run(ctx, chromedp.Navigate(s.URL+"/m/shop"), shows("main", "wave-01")))
	tab(func() bool { return true })
	require.NoError(t, chromedp.Run(ctx, holds(`document.activeElement.className === "skip"`), chromedp.KeyEvent(kb.Enter),
		holds(`location.hash === "#main"`)))
	tab(func() bool { return at[0] == "q" })
	require.NoError(t, chromedp.Run(ctx, chromedp.KeyEvent("cust-00007"), shows("#found", "1 found")))
	tab(func() bool { return at[0] == "c-cust-00007" })
	require.NoError(t, chromedp.Run(ctx, chromedp.KeyEvent(kb.Enter), holds(`location.pathname === "/m/shop/c/cust-00007"`),
		shows("h1", "Customer 7")))
}

// TestAPageIsPrintedWithWhatItSaysAndWithoutItsButtons: on paper there is black on white, all of
// the customers, and nothing to click.
func TestAPageIsPrintedWithWhatItSaysAndWithoutItsButtons(t *testing.T) {
	started := browser.Start(t)
	s := shop(t)
	ctx := follow(t, s, started, access.Lead)
	const shown = `[...document.querySelectorAll("main button, main .noprint, nav, .who, main input")].filter(e => e.checkVisibility()).length`
	var clicks, hidden int
	var paper string
	require.NoError(t, chromedp.Run(ctx, chromedp.Navigate(s.URL+"/m/shop"), shows("main", "wave-01"), chromedp.Evaluate(shown, &clicks)))
	require.NotZero(t, clicks)
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	for _, page := range []string{"/m/shop", "/m/shop/data", "/m/shop/c/cust-00003"} {
		require.NoError(t, chromedp.Run(ctx, chromedp.Navigate(s.URL+page), chromedp.WaitVisible("h1", chromedp.ByQuery),
			emulation.SetEmulatedMedia().WithMedia("print").WithFeatures(dark), chromedp.Evaluate(shown, &clicks),
			chromedp.Evaluate(`[...document.querySelectorAll(".batch, .group, .tile")].filter(e =>
				getComputedStyle(e).contentVisibility !== "visible").length`, &hidden),
			chromedp.Evaluate(`getComputedStyle(document.documentElement).getPropertyValue("--paper").trim()`, &paper)))
		require.Zero(t, clicks, page)
		require.Zero(t, hidden, page)
		require.Equal(t, "#fff", paper, page)
	}
}

func TestOnANarrowScreenWhatWaitsComesBeforeTheFilter(t *testing.T) {
	started := browser.Start(t)
	s := shop(t)
	ctx := follow(t, s, started, access.Operator)
	require.NoError(t, chromedp.Run(ctx, browser.Size(390, 800, true), chromedp.Navigate(s.URL+"/m/shop"), shows(".todo", "approval"),
		holds(`document.querySelector("#todo-h").getBoundingClientRect().top < 430 && !document.querySelector("#q").checkVisibility()`),
		chromedp.Click(".filters summary", chromedp.ByQuery), holds(`document.querySelector("#q").checkVisibility()`),
		browser.Size(1280, 800, false), holds(`document.querySelector("#q").checkVisibility()`)))
}
