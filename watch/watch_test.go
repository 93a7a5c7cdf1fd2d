package watch_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/goldenfile"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/watch"
	"github.com/drover-migration/drover/web/board"
	"github.com/drover-migration/drover/web/webtest"
)

var now = webtest.Start.Add(3 * time.Hour)

// story is a plan of three batches in the middle of its way: the first has moved but for one that
// is held, the second moves, the third waits for approval.
func story() *webtest.World {
	w := webtest.New("shop", 24, 3)
	begun := webtest.Start.Add(2 * time.Hour)
	w.SetPlan(func(s *migration.MigrationStatus) {
		s.MayDo = []string{migration.UpdatePause, migration.UpdateRollback}
		s.Timeline = append(s.Timeline, migration.Event{At: begun, What: "batch wave-01 was approved", By: "ann", Why: "CHG-1040"})
	})
	w.SetBatch(0, func(b *migration.BatchStatus) {
		b.Phase, b.Since, b.MayDo = migration.BatchDone, begun, []string{migration.UpdateRollback}
	})
	w.SetBatch(1, func(b *migration.BatchStatus) {
		b.Phase, b.Since, b.MayDo = migration.BatchCuttingOver, begun, []string{migration.UpdateRollback}
	})
	w.SetBatch(2, func(b *migration.BatchStatus) {
		b.Phase, b.WaitingFor, b.Since, b.MayDo = migration.BatchGate, migration.WaitApproval, begun, []string{migration.UpdateApprove}
	})
	for i, id := range w.IDs() {
		w.SetCustomer(id, func(c *migration.CustomerStatus) {
			switch {
			case i == 3:
				c.Phase, c.WaitingFor, c.Token, c.Since = migration.CustomerHeld, migration.WaitOperator, 7, begun
				c.Reason = "the predicted freeze of 7.2s is longer than the budget of 5s: 41 MB behind on orders"
				c.MayDo = []string{migration.UpdateRetry}
			case i < 8:
				onAWS(c, begun.Add(time.Duration(i)*time.Second))
			case i < 12:
				onAWS(c, begun.Add(40*time.Minute+time.Duration(i)*time.Minute))
				c.Phase, c.Until = migration.CustomerBaking, now.Add(5*time.Minute)
			case i == 12:
				c.Phase, c.Since, c.Token, c.Tries = migration.CustomerMoving, now.Add(-4*time.Second), 1, 2
			}
		})
	}
	return w
}

func onAWS(c *migration.CustomerStatus, opened time.Time) {
	c.Phase, c.Home, c.Since, c.Until = migration.CustomerSoaking, migration.AWS, opened, opened.Add(72*time.Hour)
	c.Token, c.Tries, c.MayDo = 1, 1, []string{migration.UpdateHold, migration.UpdateRollback}
	c.Moves = []migration.MoveResult{{Outcome: migration.MoveDone, Try: migration.Try{Token: 1}, From: migration.OnPrem, To: migration.AWS,
		Fenced: opened.Add(-1400 * time.Millisecond), Opened: opened, Routed: opened.Add(80 * time.Millisecond),
		Freeze: migration.Duration(1400 * time.Millisecond), Rows: 18231, Objects: 412}}
	c.Verdict = &migration.Verdict{Outcome: migration.Pass, Reason: "every probe answers as before", At: opened.Add(10 * time.Minute),
		Samples: 176, P95: 0.0198}
	c.Timeline = []migration.Event{{At: opened, What: "cut over: homed on aws"}}
}

// reader reads a world when it is asked, and not by itself.
type reader struct {
	t        *testing.T
	world    *webtest.World
	follower *board.Follower
	hurried  int
}

// of is a watch over a world, with a first reading.
func of(t *testing.T, world *webtest.World) (*reader, tea.Model) {
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	f, err := board.NewHub(ctx, world, time.Hour).Follow(ctx, "shop")
	require.NoError(t, err)
	r := &reader{t: t, world: world, follower: f}
	return r, watch.New(ctx, watch.Options{Reader: r, Commands: world, Zone: time.FixedZone("EET", 2*60*60),
		Command: func(reason string, token int64) migration.Command {
			return migration.Command{RequestID: "1", By: "ann", From: "ann@desk", Reason: reason, Token: token}
		}})
}

func (r *reader) Snapshot(ctx context.Context) *board.Snapshot {
	s := *r.follower.Snapshot(ctx)
	s.At = now.Add(-time.Second)
	return &s
}

func (r *reader) Customer(ctx context.Context, c board.Customer) (migration.CustomerStatus, time.Time, error) {
	return r.follower.Customer(ctx, c)
}

func (r *reader) Hurry() { r.hurried++ }

// renewed lets the reader read anew, and shows it.
func (r *reader) renewed(m tea.Model) tea.Model {
	r.t.Helper()
	before := r.follower.Snapshot(context.Background()).Version
	changed, stop := r.follower.Watch()
	defer stop()
	r.follower.Hurry()
	select {
	case <-changed:
	case <-time.After(5 * time.Second):
		require.Fail(r.t, "nothing has changed", "since version %d", before)
	}
	return r.show(m)
}

// show is the screen's next second, at a time of its own.
func (r *reader) show(m tea.Model) tea.Model {
	m, _ = m.Update(watch.Seen(r.Snapshot(context.Background()), now))
	return m
}

// press sends keys, and whatever they set off.
func press(m tea.Model, keys ...string) tea.Model {
	for _, k := range keys {
		var cmd tea.Cmd
		m, cmd = m.Update(key(k))
		if cmd != nil {
			m, _ = m.Update(cmd())
		}
	}
	return m
}

func key(name string) tea.KeyPressMsg {
	named := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"backspace": tea.KeyBackspace, "end": tea.KeyEnd}
	if code, ok := named[name]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

// golden holds a screen against a file in testdata, or writes it with UPDATE_GOLDEN=1. A screen
// keeps to its width and height whatever is on it.
func golden(t *testing.T, name string, m tea.Model, width, height int) {
	t.Helper()
	m, _ = m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	got := ansi.Strip(m.(watch.Model).Screen())
	lines := strings.Split(got, "\n")
	require.LessOrEqual(t, len(lines), height)
	for i, l := range lines {
		require.LessOrEqual(t, ansi.StringWidth(l), width, "too wide: %s", l)
		lines[i] = strings.TrimRight(l, " ")
	}
	got = strings.Join(lines, "\n") + "\n"
	goldenfile.Equal(t, filepath.Join("testdata", fmt.Sprintf("%s-%d.txt", name, width)), got)
}

// TestScreens holds what is seen at both ends of what terminals are.
func TestScreens(t *testing.T) {
	for name, c := range map[string]struct {
		world func(w *webtest.World)
		keys  []string
	}{
		"board":    {},
		"customer": {keys: []string{"tab", "enter"}},
		"held":     {keys: []string{"tab", "down", "down", "down"}},
		"confirm":  {keys: []string{"tab", "b", "e", "m", "p", "t", "y", "enter"}},
		"reason":   {keys: []string{"B"}},
		"found":    {keys: []string{"/", "g", "o", "l", "d", "enter", "end"}},
		"help":     {keys: []string{"?"}},
		"paused": {world: func(w *webtest.World) {
			w.SetPlan(func(s *migration.MigrationStatus) {
				s.Paused, s.MayDo = true, []string{migration.UpdateResume}
				s.Reason = "2 customers were rolled back or held (policy.stopAfter: 2)"
			})
		}},
		"ended": {world: func(w *webtest.World) { w.Terminated() }},
	} {
		t.Run(name, func(t *testing.T) {
			w := story()
			if c.world != nil {
				c.world(w)
			}
			r, m := of(t, w)
			m = press(r.show(m), c.keys...)
			golden(t, name, m, 80, 24)
			golden(t, name, m, 200, 50)
		})
	}
}

// TestKeysGiveCommands holds that a key with a reason and a y sends what the command line sends.
func TestKeysGiveCommands(t *testing.T) {
	customer := client.Aim{Plan: "shop", Customer: "cust-00000"}
	for name, c := range map[string]struct {
		keys []string
		want webtest.Sent
	}{
		"a approves the chosen batch": {[]string{"down", "down", "a", "C", "H", "G", "enter", "y"},
			webtest.Sent{Name: migration.UpdateApprove, At: client.Aim{Plan: "shop", Batch: "wave-03"}, Command: cmd("CHG", 0)}},
		"p pauses the plan, without a reason too": {[]string{"p", "enter", "y"},
			webtest.Sent{Name: migration.UpdatePause, At: client.Aim{Plan: "shop"}, Command: cmd("", 0)}},
		"h holds the chosen customer": {[]string{"tab", "h", "q", "enter", "y"},
			webtest.Sent{Name: migration.UpdateHold, At: customer, Command: cmd("q", 1)}},
		"t lets a customer try again, by its token": {[]string{"tab", "down", "down", "down", "t", "enter", "y"},
			webtest.Sent{Name: migration.UpdateRetry, At: client.Aim{Plan: "shop", Customer: "cust-00003"}, Command: cmd("", 7)}},
		"b rolls the chosen customer back": {[]string{"tab", "b", "x", "enter", "y"},
			webtest.Sent{Name: migration.UpdateRollback, At: customer, Command: cmd("x", 1)}},
		"b on a batch rolls the batch back": {[]string{"b", "x", "enter", "y"},
			webtest.Sent{Name: migration.UpdateRollback, At: client.Aim{Plan: "shop", Batch: "wave-01"}, Command: cmd("x", 0)}},
		"B rolls everybody back": {[]string{"B", "x", "y", "backspace", "enter", "y"},
			webtest.Sent{Name: migration.UpdateRollback, At: client.Aim{Plan: "shop"}, Command: cmd("x", 0)}},
		"a customer that a search found is meant": {[]string{"/", "0", "0", "0", "1", "1", "enter", "b", "x", "enter", "y"},
			webtest.Sent{Name: migration.UpdateRollback, At: client.Aim{Plan: "shop", Customer: "cust-00011"}, Command: cmd("x", 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			r, m := of(t, story())
			m = press(r.show(m), c.keys...)
			require.Equal(t, []webtest.Sent{c.want}, r.world.Sent())
			require.Contains(t, m.(watch.Model).Screen(), c.want.Name+" accepted")
			require.Equal(t, 1, r.hurried, "what was changed is read at once")
		})
	}
	t.Run("l looks after what waits", func(t *testing.T) {
		taken := migration.Event{By: "bob", At: now}
		held := migration.Ask{ID: "held/cust-00003/7", Kind: migration.NoticeHeld, Batch: "wave-01", Customer: "cust-00003"}
		for name, c := range map[string]struct {
			asks  []migration.Ask
			keys  []string
			about string // empty: nothing is sent
			says  string
		}{
			"a held customer": {[]migration.Ask{held}, []string{"tab", "down", "down", "down", "l", "enter", "y"}, held.ID, "ack accepted"},
			"the chosen batch": {[]migration.Ask{held, {ID: "batch-waits/wave-03/1", Kind: migration.NoticeBatchWaits, Batch: "wave-03"}},
				[]string{"down", "down", "l", "enter", "y"}, "batch-waits/wave-03/1", "ack accepted"},
			"the pause, where nothing else waits": {[]migration.Ask{held, {ID: "paused/1", Kind: migration.NoticePaused}},
				[]string{"l", "enter", "y"}, "paused/1", "ack accepted"},
			"another customer": {[]migration.Ask{held}, []string{"tab", "l", "enter", "y"}, "", "no message asks for anybody here"},
			"somebody does already": {[]migration.Ask{{ID: held.ID, Kind: held.Kind, Customer: held.Customer, Taken: &taken}},
				[]string{"tab", "down", "down", "down", "l", "esc"}, "", "cust-00003, which bob looks after: the predicted"},
			"somebody does already, and it is said": {[]migration.Ask{{ID: held.ID, Kind: held.Kind, Customer: held.Customer,
				Taken: &taken}},
				[]string{"tab", "down", "down", "down", "l"}, "", "or somebody looks after it"},
		} {
			t.Run(name, func(t *testing.T) {
				w := story()
				w.Notify(migration.Contact{Name: "room"})
				w.SetMessages("", migration.MessagesStatus{Phase: migration.OutboxOpen, Asks: c.asks})
				r, m := of(t, w)
				m = press(r.show(m), c.keys...)
				require.Contains(t, ansi.Strip(m.(watch.Model).Screen()), c.says)
				if c.about == "" {
					require.Empty(t, w.Sent())
					return
				}
				want := cmd("", 0)
				want.Message = c.about
				require.Equal(t, []webtest.Sent{{Name: migration.UpdateAck, At: client.Aim{Plan: "shop", Message: c.about},
					Command: want}}, w.Sent())
			})
		}
	})
	t.Run("c goes on after a pause", func(t *testing.T) {
		w := story()
		w.SetPlan(func(s *migration.MigrationStatus) { s.Paused, s.MayDo = true, []string{migration.UpdateResume} })
		r, m := of(t, w)
		press(r.show(m), "c", "enter", "y")
		require.Equal(t, []webtest.Sent{{Name: migration.UpdateResume, At: client.Aim{Plan: "shop"}, Command: cmd("", 0)}}, w.Sent())
	})
}

func cmd(reason string, token int64) migration.Command {
	return migration.Command{RequestID: "1", By: "ann", From: "ann@desk", Reason: reason, Token: token}
}

// TestNothingIsSentUnconfirmed holds what must not send a command.
func TestNothingIsSentUnconfirmed(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		says string
	}{
		"another key than y":              {[]string{"p", "enter", "n"}, "not sent"},
		"enter twice":                     {[]string{"p", "enter", "enter"}, "not sent"},
		"esc while the reason is typed":   {[]string{"p", "x", "esc", "y"}, "pause"},
		"a rollback without a reason":     {[]string{"b", "enter", "y", "backspace", "enter", "y"}, "it needs a reason"},
		"what is not offered now":         {[]string{"a", "enter", "y"}, "approve does not apply to batch wave-01 of plan shop now"},
		"hold on a batch":                 {[]string{"h", "enter", "y"}, "choose a customer first"},
		"keys of commands in a filter":    {[]string{"/", "b", "enter", "y"}, ""},
		"keys of commands while one asks": {[]string{"p", "b", "B", "a", "esc"}, "pause"},
	} {
		t.Run(name, func(t *testing.T) {
			r, m := of(t, story())
			m = press(r.show(m), c.keys...)
			require.Empty(t, r.world.Sent())
			require.Contains(t, ansi.Strip(m.(watch.Model).Screen()), c.says)
		})
	}
}

func TestARefusalIsShownWithWhatToDo(t *testing.T) {
	r, m := of(t, story())
	m = press(r.show(m), "p", "enter")
	r.world.Down(&client.Problem{Kind: client.ErrUnreachable, Doing: "pause plan shop", Why: "no worker answered in time",
		Next: "start one"})
	m = press(m, "y")
	require.Contains(t, ansi.Strip(m.(watch.Model).Screen()), "! pause plan shop: no worker answered in time. Next: start one")
}

func TestASignInThatIsNotGoodSendsNothing(t *testing.T) {
	r, _ := of(t, story())
	m := r.show(watch.New(context.Background(), watch.Options{Reader: r, Commands: r.world, Signed: func() error {
		return errors.New("the sign-in of ann has run out")
	}, Command: cmd}))
	m = press(m, "p", "enter", "y")
	require.Empty(t, r.world.Sent())
	require.Contains(t, ansi.Strip(m.(watch.Model).Screen()), "! the sign-in of ann has run out")
}

// TestTheLogHasWhatWasSeenToChange: the pages of batches have no timelines.
func TestTheLogHasWhatWasSeenToChange(t *testing.T) {
	r, m := of(t, story())
	m = r.show(m)
	r.world.SetCustomer("cust-00012", func(c *migration.CustomerStatus) {
		c.Phase, c.Since, c.Reason = migration.CustomerRolledBack, now.Add(-2*time.Second), "3 probes\x1b[2J of 3 failed"
	})
	m = r.renewed(m)
	screen := m.(watch.Model).Screen()
	require.Contains(t, ansi.Strip(screen), "00:59:58  customer cust-00012: back on premises: 3 probes of 3 failed")
	require.NotContains(t, screen, "\x1b[2J", "a reason does not clear the screen")
}

// TestTheChoiceStaysWhereItIs holds that a reading moves nobody under the reader's finger.
func TestTheChoiceStaysWhereItIs(t *testing.T) {
	r, m := of(t, story())
	m = press(r.show(m), "down", "tab", "down", "down", "b", "x", "enter")
	r.world.SetCustomer("cust-00010", func(c *migration.CustomerStatus) { c.Token = 2 })
	press(r.renewed(m), "y")
	require.Equal(t, []webtest.Sent{{Name: migration.UpdateRollback, At: client.Aim{Plan: "shop", Customer: "cust-00010"},
		Command: cmd("x", 1)}}, r.world.Sent(), "the try that was on the screen when it was asked")
}

// TestAScreenAsksNobody: the reader reads at its own pace, once a second at most.
func TestAScreenAsksNobody(t *testing.T) {
	r, m := of(t, story())
	m = r.show(m)
	before := r.world.Asked.Load()
	for range 100 {
		m = r.show(m)
		_ = m.(watch.Model).Screen()
	}
	require.Equal(t, before, r.world.Asked.Load())
}

// TestTenThousandCustomersAreDrawnQuickly: a screen makes only the lines that are seen.
func TestTenThousandCustomersCostAScreenLittleMoreThanAHundred(t *testing.T) {
	cost := func(customers int) float64 {
		r, m := of(t, webtest.New("shop", customers, 10))
		m = r.show(m)
		return testing.AllocsPerRun(5, func() { _ = m.(watch.Model).Screen() })
	}
	hundred, all := cost(100), cost(10_000)
	require.Less(t, all, 4*hundred)
}

func TestEverySizeIsKept(t *testing.T) {
	r, m := of(t, story())
	m = press(r.show(m), "tab")
	for _, keys := range [][]string{nil, {"b"}, {"esc", "enter"}} {
		m = press(m, keys...)
		for w := 20; w < 220; w += 7 {
			for h := 6; h < 60; h += 9 {
				next, _ := m.Update(tea.WindowSizeMsg{Width: w, Height: h})
				lines := strings.Split(next.(watch.Model).Screen(), "\n")
				require.LessOrEqual(t, len(lines), h)
				for _, l := range lines {
					require.LessOrEqual(t, ansi.StringWidth(l), w, "%d by %d: %s", w, h, l)
				}
			}
		}
	}
}

// A way back that is lost, and one of whose requests only some go to AWS, are said in the list and
// on the customer's page.
func TestWhoCannotGoBackAndWhoIsShiftedIsSaid(t *testing.T) {
	w := story()
	w.SetPlan(func(s *migration.MigrationStatus) {
		s.Datasets = []migration.PieceStatus{{Name: "orders", NoWayBack: &migration.NoWayBack{Why: "its slot is gone", Lost: true}}}
	})
	w.SetCustomer("cust-00008", func(c *migration.CustomerStatus) { c.Weight = 5 })
	r, m := of(t, w)
	m, _ = r.show(m).Update(tea.WindowSizeMsg{Width: 160, Height: 40})
	screen := func(m tea.Model) string {
		return strings.Join(strings.Fields(ansi.Strip(m.(watch.Model).Screen())), " ")
	}
	require.Contains(t, screen(m), "cust-00000 on AWS, no way back")
	require.NotContains(t, screen(m), "can go back")
	require.Contains(t, screen(press(m, "tab", "enter")), "It runs on AWS, and cannot go back without loss. Next: Drover watches it. A "+
		"person has to decide what becomes of its way back.")
	require.Contains(t, screen(press(m, "tab", "enter")), "Can it go back? No, not without loss.")
	require.Contains(t, screen(press(m, "down")), "cust-00008 5 of 100 requests go to AWS until")
}
