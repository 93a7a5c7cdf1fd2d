package web_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/browser"
	"github.com/drover-migration/drover/web/webtest"
)

//go:embed testdata/axe/axe.min.js
var axe string

// follow is a page that is signed in, and fails the test if it asks any other host for anything.
func follow(t *testing.T, s *site, started context.Context, role access.Role) context.Context {
	t.Helper()
	ctx := browser.Page(t, started)
	var mu sync.Mutex
	var elsewhere []string
	browser.Elsewhere(ctx, s.URL, func(url string) { mu.Lock(); elsewhere = append(elsewhere, url); mu.Unlock() })
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if len(elsewhere) > 0 {
			t.Errorf("the page asked other hosts: %v", elsewhere)
		}
	})
	require.NoError(t, chromedp.Run(ctx, browser.Size(1280, 1000, false), signIn(s, role)))
	return ctx
}

// shows waits until an element has a text. A page that goes away under the question is asked again.
func shows(sel, text string) chromedp.Action {
	return holds(fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.textContent.includes(%q))`, sel, text))
}

// holds waits until an expression is true on the page.
func holds(expression string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		var err error
		for late := time.Now().Add(45 * time.Second); time.Now().Before(late) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			var is bool
			if err = chromedp.Evaluate(expression, &is).Do(ctx); err == nil && is {
				return nil
			}
		}
		return fmt.Errorf("the page does not come to this: %s (last error: %w)", expression, errors.Join(err, ctx.Err()))
	})
}

// TestTheBoardFollowsACustomerFromPendingToSoakAndBack is one person's evening: nothing is loaded
// anew by hand, each change comes by itself.
func TestTheBoardFollowsACustomerFromPendingToSoakAndBack(t *testing.T) {
	started := browser.Start(t)
	s := serve(t, webtest.New("shop", 30, 5), plenty)
	s.world.SetBatch(0, func(b *migration.BatchStatus) {
		b.Phase, b.WaitingFor, b.MayDo = migration.BatchGate, migration.WaitApproval, []string{migration.UpdateApprove}
	})
	operator, viewer, guest := follow(t, s, started, access.Operator), follow(t, s, started, access.Viewer), browser.Page(t, started)
	link, err := s.key.Link("shop", "cust-00000", time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.NoError(t, chromedp.Run(guest, browser.Size(390, 800, true), chromedp.Navigate(s.URL+"/link/"+link), shows(".now",
		"not moved yet")))
	require.NoError(t, chromedp.Run(viewer, chromedp.Navigate(s.URL+"/m/shop"), shows("#c-cust-00000", "not moved yet"), shows(".todo",
		"approval")))

	var buttons int
	require.NoError(t, chromedp.Run(viewer, chromedp.Evaluate(`document.querySelectorAll("#main .button[href*='/do/']").length`, &buttons)))
	require.Zero(t, buttons, "a viewer has no buttons")
	require.NoError(t, chromedp.Run(operator, chromedp.Navigate(s.URL+"/m/shop"),
		chromedp.Click(`.todo a.button`, chromedp.ByQuery), chromedp.WaitVisible("#reason", chromedp.ByQuery),
		chromedp.SendKeys("#reason", "CHG-1040", chromedp.ByQuery), chromedp.Click(".ask button", chromedp.ByQuery),
		shows("main", "approve accepted")))
	require.Equal(t, "CHG-1040", s.world.Sent()[0].Reason)

	for _, step := range []struct {
		set   func(*migration.CustomerStatus)
		words string
	}{
		{func(c *migration.CustomerStatus) { c.Phase, c.Token = migration.CustomerMoving, 1 }, "moving now"},
		{func(c *migration.CustomerStatus) {
			moved(c, time.Now())
			c.Phase = migration.CustomerBaking
		}, "on AWS, being checked"},
		{func(c *migration.CustomerStatus) { c.Phase = migration.CustomerSoaking }, "on AWS, can go back"},
		{func(c *migration.CustomerStatus) { c.Phase, c.Token = migration.CustomerMovingBack, 2 }, "going back"},
		{func(c *migration.CustomerStatus) { back(c, time.Now()) }, "back on premises"},
	} {
		s.world.SetBatch(0, func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor = migration.BatchCuttingOver, migration.WaitNothing
		})
		s.world.SetCustomer("cust-00000", step.set)
		require.NoError(t, chromedp.Run(viewer, shows("#c-cust-00000", step.words)), step.words)
		require.NoError(t, chromedp.Run(guest, shows(".now", step.words)), step.words)
	}
	require.NoError(t, chromedp.Run(guest, shows(".questions", "It did, and it is on premises again.")))
	require.NoError(t, chromedp.Run(operator, chromedp.Navigate(s.URL+"/m/shop/c/cust-00000"), shows(".reason",
		"3 answers in a row were 500")))
}

func TestAPageThatIsOpenSaysWhenNothingIsKnownAnyMore(t *testing.T) {
	started := browser.Start(t)
	s := shop(t)
	ctx := follow(t, s, started, access.Viewer)
	require.NoError(t, chromedp.Run(ctx, chromedp.Navigate(s.URL+"/m/shop"), shows("main", "wave-01")))
	s.world.Mute(true)
	require.NoError(t, chromedp.Run(ctx, shows("[role=alert]", "no worker of Drover does"), shows("[role=alert]",
		"the last that was known"), holds(`/^ \(\d+ s ago\)$/.test(document.querySelector("[role=alert] .age").textContent)`),
		shows("#c-cust-00000", "on AWS")))
	s.world.Mute(false)
	s.world.Down(&client.Problem{Kind: client.ErrUnreachable, Why: "connection refused"})
	require.NoError(t, chromedp.Run(ctx, shows("[role=alert]", "Temporal does not answer")))
	s.world.Down(nil)
	require.NoError(t, chromedp.Run(ctx, chromedp.WaitNotPresent("[role=alert]", chromedp.ByQuery)))
	s.CloseClientConnections()
	s.Listener.Close() //nolint:errcheck // the board is gone, that is the case
	require.NoError(t, chromedp.Run(ctx, shows("#connection", "lost its connection")))
}

func TestTypingFiltersAndChangesTheAddress(t *testing.T) {
	started := browser.Start(t)
	s := shop(t)
	ctx := follow(t, s, started, access.Viewer)
	var focus, at string
	require.NoError(t, chromedp.Run(ctx, chromedp.Navigate(s.URL+"/m/shop"), chromedp.SendKeys("#q", "cust-00007", chromedp.ByQuery),
		shows("#found", "1 found"), holds(`location.search === "?q=cust-00007"`)))
	s.world.SetCustomer("cust-00007", func(c *migration.CustomerStatus) { held0(c) })
	require.NoError(t, chromedp.Run(ctx, shows("#c-cust-00007", "held"), shows("#found", "1 found"),
		chromedp.Evaluate(`document.activeElement.id`, &focus), chromedp.Location(&at)))
	require.Equal(t, "q", focus, "a change takes nobody's cursor away")
	require.True(t, strings.HasSuffix(at, "/m/shop?q=cust-00007"), at)
}

// everythingOn is the shop in which customers have messages, slots, a deferral and notes.
func everythingOn(t *testing.T) *site {
	t.Helper()
	s := posted(t)
	_, first, second := offered(t)
	offers(s, first, second)
	s.world.SetCustomer("cust-00028", func(c *migration.CustomerStatus) {
		c.Slots.Taken, c.Slots.Choice = &first, &migration.Event{At: time.Now(), By: "the customer, by its link"}
	})
	s.world.SetCustomer("cust-00029", func(c *migration.CustomerStatus) {
		held0(c)
		c.MayDo = append(c.MayDo, migration.UpdateRetry, migration.UpdateNote, migration.UpdateDefer, migration.UpdateOffer,
			migration.UpdateDecide)
		c.Deferral = &migration.Deferral{NotBefore: second.Opens, Asked: migration.Event{At: time.Now(), By: "the-success",
			Why: "month end"}}
		c.Notes = []migration.Remark{{At: time.Now(), By: "the-success", Text: "they call at eight",
			Ticket: "https://tickets.example/7"}}
	})
	return s
}

func held0(c *migration.CustomerStatus) {
	c.Phase, c.Reason, c.Home = migration.CustomerHeld, "asked by hand", migration.OnPrem
}

// awaited waits for a promise.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// TestNothingSeriousStandsInAnybodysWay asks axe about each page, narrow and wide, light and dark.
func TestNothingSeriousStandsInAnybodysWay(t *testing.T) {
	started := browser.Start(t)
	s := everythingOn(t)
	ctx := follow(t, s, started, access.Lead)
	signedOut, guest := browser.Page(t, started), browser.Page(t, started)
	over := soaked(t)
	final := follow(t, over, started, access.Lead)
	link, err := s.key.Link("shop", "cust-00029", time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.NoError(t, chromedp.Run(guest, chromedp.Navigate(s.URL+"/link/"+link), shows("h2", "Times for its move")))
	held := "customer=cust-00029&message=held%2Fcust-00029%2F7"
	for _, p := range []struct {
		ctx  context.Context
		at   *site
		path string
		has  string // of the part that is looked at; empty: the page is enough
	}{
		{ctx, s, "/", ""}, {ctx, s, "/m/shop", "Nobody looks after 1 of them yet."}, {ctx, s, "/m/shop?state=held", ""},
		{ctx, s, "/m/shop/data", ""}, {ctx, s, "/m/shop/c/cust-00000", ""}, {ctx, s, "/m/shop/c/cust-00003", ""},
		{ctx, s, "/m/shop/c/cust-00029", "I look after it"}, {ctx, s, "/m/shop/c/cust-00029", "failed 4 times since"},
		{ctx, s, "/m/shop/c/cust-00028", "Taken: "}, {guest, s, "/m/shop/c/cust-00029", "Take this time"},
		{ctx, s, doing + "rollback?customer=cust-00000", ""}, {ctx, s, doing + "ack?" + held, "drover ack shop"},
		{ctx, s, doing + "offer?customer=cust-00029", "Times to offer"}, {ctx, s, doing + "note?customer=cust-00029", "Ticket"},
		{ctx, s, doing + "defer?customer=cust-00029", "Not before"},
		{ctx, s, doing + "accept-deferral?customer=cust-00029", "Accept"},
		{final, over, "/m/shop", "End the way back"}, {final, over, doing + "finalise", "3 over their soak"},
		{ctx, s, "/nothing", ""}, {signedOut, s, "/signin", ""},
	} {
		require.NoError(t, chromedp.Run(p.ctx, chromedp.Navigate(p.at.URL+p.path), chromedp.WaitVisible("h1", chromedp.ByQuery),
			shows("main", p.has)), p.path)
		for width, dark := range map[int64]bool{390: true, 1280: false} {
			var found string
			require.NoError(t, chromedp.Run(p.ctx, browser.Size(width, 900, dark), chromedp.Evaluate(axe, nil),
				chromedp.Evaluate(`axe.run().then(r => JSON.stringify(r.violations.filter(v => ["serious", "critical"].includes(v.impact))
						.map(v => v.id + ": " + v.nodes.slice(0, 3).map(n => n.html + " " + n.failureSummary).join("; "))))`, &found, awaited)))
			var bad []string
			require.NoError(t, json.Unmarshal([]byte(found), &bad))
			require.Empty(t, bad, "%s at %d, dark %t", p.path, width, dark)
		}
		var wide bool
		require.NoError(t, chromedp.Run(p.ctx, browser.Size(390, 900, false),
			chromedp.Evaluate(`document.documentElement.scrollWidth > document.documentElement.clientWidth`, &wide)))
		require.False(t, wide, "%s is wider than a narrow screen", p.path)
	}
}
