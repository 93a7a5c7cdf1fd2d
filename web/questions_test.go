package web_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/webtest"
)

// answers are the bold words of a customer's page under "What people ask", in their order: has it
// moved, when does it, did anybody notice, can it go back, who was told.
func answers(page string) (out []string) {
	_, asked, _ := strings.Cut(page, `class="questions"`)
	asked, _, _ = strings.Cut(asked, "</dl>")
	for _, m := range regexp.MustCompile(`<dd><strong>([^<]*)</strong>`).FindAllStringSubmatch(asked, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestACustomersPageAnswersWhatItsPeopleAsk(t *testing.T) {
	opened := webtest.Start.Add(2 * time.Hour)
	for name, c := range map[string]struct {
		set  func(c *migration.CustomerStatus)
		want []string // the first four
		back *migration.NoWayBack
		ends *migration.Finalised
	}{
		"before its batch": {set: func(*migration.CustomerStatus) {}, want: []string{"No, it is on premises.",
			"In the window Sun 6 Dec 2026 20:00 to Mon 7 Dec 00:00 UTC.", "It has not moved, so there was nothing to notice.",
			"It is on premises."}},
		"held, where its home is not known": {set: func(c *migration.CustomerStatus) {
			held0(c)
			c.Home = migration.NoHome
		}, want: []string{"Not known at this moment.", "Not known at this moment.", "Not known at this moment.",
			"Not known at this moment."}},
		"taken back, where its home is not known": {set: func(c *migration.CustomerStatus) {
			moved(c, opened)
			back(c, opened)
			c.Phase, c.Home = migration.CustomerHeld, migration.NoHome
		}, want: []string{"Not known at this moment.", "Not known at this moment.",
			"On its way back writes waited for 1s, from Wed 2 Dec 2026 22:05:00 UTC to 22:05:01.", "Not known at this moment."}},
		"left on premises, with a slot that it had taken": {set: func(c *migration.CustomerStatus) {
			c.Phase = migration.CustomerSkipped
			c.Slots = &migration.Slots{Taken: &migration.Window{Opens: opened, For: migration.Duration(time.Hour)},
				Choice: &migration.Event{}}
		}, want: []string{"No, it is on premises.", "It does not: it stays on premises.",
			"It has not moved, so there was nothing to notice.", "It is on premises."}},
		"held at home": {set: held0, want: []string{"No, it is on premises.", "When a person lets it: it is held.",
			"It has not moved, so there was nothing to notice.", "It is on premises."}},
		"deferred": {set: func(c *migration.CustomerStatus) {
			held0(c)
			c.Cause = migration.ByDeferral
			c.Deferral = &migration.Deferral{NotBefore: opened, Accepted: true, Decided: &migration.Event{By: "the-lead"}}
		}, want: []string{"No, it is on premises.", "Not before Wed 2 Dec 2026 22:00 UTC.",
			"It has not moved, so there was nothing to notice.", "It is on premises."}},
		"in its freeze": {set: func(c *migration.CustomerStatus) { c.Phase = migration.CustomerMoving }, want: []string{
			"It is moving at this moment.", "Now.", "It has not moved, so there was nothing to notice.",
			"It is on premises."}},
		"on AWS, looked at closely": {set: func(c *migration.CustomerStatus) {
			moved(c, opened)
			c.Phase, c.Until = migration.CustomerBaking, opened.Add(10*time.Minute)
		}, want: []string{"Yes, it is on AWS.", "It has moved, at Wed 2 Dec 2026 22:00 UTC.",
			"Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.",
			"Yes, without loss until Sat 5 Dec 2026 22:10 UTC at least."}},
		"in a freeze within a second": {set: func(c *migration.CustomerStatus) {
			moved(c, opened)
			c.Moves[0].Fenced, c.Moves[0].Freeze = opened, migration.Duration(59*time.Millisecond)
		}, want: []string{"Yes, it is on AWS.", "It has moved, at Wed 2 Dec 2026 22:00 UTC.",
			"Writes waited for 59ms, at Wed 2 Dec 2026 22:00:00 UTC.", "Yes, without loss until Sat 5 Dec 2026 22:00 UTC."}},
		"left on premises for good": {set: func(c *migration.CustomerStatus) { c.Phase = migration.CustomerSkipped }, want: []string{
			"No, it is on premises.", "It does not: it stays on premises.", "It has not moved, so there was nothing to notice.",
			"It is on premises."}},
		"aborted": {set: func(c *migration.CustomerStatus) { c.Phase = migration.CustomerAborted }, want: []string{
			"No, it is on premises.", "It does not: the migration was aborted.", "It has not moved, so there was nothing to notice.",
			"It is on premises."}},
		"in its soak": {set: func(c *migration.CustomerStatus) { moved(c, opened) }, want: []string{"Yes, it is on AWS.",
			"It has moved, at Wed 2 Dec 2026 22:00 UTC.", "Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.",
			"Yes, without loss until Sat 5 Dec 2026 22:00 UTC."}},
		"taken back": {set: func(c *migration.CustomerStatus) { moved(c, opened); back(c, opened) }, want: []string{
			"It did, and it is on premises again.", "It was moved back, and moves again when a person lets it.",
			"On its way back writes waited for 1s, from Wed 2 Dec 2026 22:05:00 UTC to 22:05:01.", "It is on premises."}},
		"in its soak, with its way back lost": {set: func(c *migration.CustomerStatus) { moved(c, opened) },
			back: &migration.NoWayBack{Why: "replication slot s is gone", Lost: true}, want: []string{"Yes, it is on AWS.",
				"It has moved, at Wed 2 Dec 2026 22:00 UTC.", "Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.",
				"No, not without loss."}},
		"looked at closely, with its way back halted": {set: func(c *migration.CustomerStatus) {
			moved(c, opened)
			c.Phase, c.Until = migration.CustomerBaking, opened.Add(10*time.Minute)
		}, back: &migration.NoWayBack{Why: "subscription s is disabled"}, want: []string{"Yes, it is on AWS.",
			"It has moved, at Wed 2 Dec 2026 22:00 UTC.", "Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.",
			"Not at this moment."}},
		"with some of its requests": {set: func(c *migration.CustomerStatus) {
			moved(c, opened)
			c.Phase, c.Until, c.Weight = migration.CustomerBaking, opened.Add(10*time.Minute), 5
		}, want: []string{"In part: 5 of 100 of its requests go to AWS.",
			"It has moved, at Wed 2 Dec 2026 22:00 UTC.", "Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.",
			"Yes, without loss until Sat 5 Dec 2026 22:10 UTC at least."}},
		"finalised": {set: func(c *migration.CustomerStatus) {
			moved(c, opened)
			c.Phase = migration.CustomerFinished
		}, ends: &migration.Finalised{By: "lea", Cut: opened.Add(time.Hour)}, want: []string{"Yes, it is on AWS.",
			"It has moved, at Wed 2 Dec 2026 22:00 UTC.", "Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.",
			"No: its way back ended on Wed 2 Dec 2026 23:00 UTC."}},
		"after its soak": {set: func(c *migration.CustomerStatus) {
			moved(c, opened)
			c.Phase = migration.CustomerFinished
		}, want: []string{"Yes, it is on AWS.", "It has moved, at Wed 2 Dec 2026 22:00 UTC.",
			"Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.", "No longer by itself: its soak has ended."}},
	} {
		t.Run(name, func(t *testing.T) {
			s := shop(t)
			s.world.Notify(migration.Contact{Name: "room"})
			s.world.SetBatch(4, func(b *migration.BatchStatus) { b.Phase, b.Finalised = migration.BatchCuttingOver, c.ends })
			s.world.SetPlan(func(m *migration.MigrationStatus) { m.Datasets = theirData(c.back) })
			s.world.SetCustomer("cust-00029", c.set)
			for _, b := range []string{mustGet(t, s, s.as(t, access.Success), who), mustGet(t, s, s.guest(t, "shop", "cust-00029"), who)} {
				require.Equal(t, append(c.want, "Nobody yet."), answers(b))
				if strings.Contains(c.want[1], "It does not") {
					require.NotContains(t, b, "in the time that was taken")
				}
				if c.back != nil || c.ends != nil {
					require.NotContains(t, b, "can go back without loss")
					require.NotContains(t, b, "no write is at risk")
				}
				if strings.Contains(c.want[0], "In part") {
					require.NotContains(t, b, "It runs on AWS")
					require.Contains(t, b, "5 of 100 of its requests go to AWS, the others to premises, and its health is watched")
				}
			}
		})
	}
}

// theirData is the database of the shop's customers, with what an audit has found of its way back.
func theirData(back *migration.NoWayBack) []migration.PieceStatus {
	return []migration.PieceStatus{{Name: "orders", Phase: migration.PieceReady, Detail: "lag to AWS under 0.1s, back 2s", NoWayBack: back}}
}

func TestThePagesSayWhereTheWayBackIsLost(t *testing.T) {
	s := shop(t)
	s.world.SetPlan(func(m *migration.MigrationStatus) {
		m.Datasets = theirData(&migration.NoWayBack{Why: "replication slot s is gone", Lost: true})
	})
	b := s.as(t, access.Success)
	page := mustGet(t, s, b, "/m/shop/c/cust-00001")
	for _, want := range []string{"It runs on AWS, and cannot go back without loss.", "on AWS, no way back",
		"going back would lose it. Dataset orders: replication slot s is gone.", "A person has to decide what becomes of its way back."} {
		require.Contains(t, page, want)
	}
	link := mustGet(t, s, s.guest(t, "shop", "cust-00001"), "/m/shop/c/cust-00001")
	require.Contains(t, link, "What is written on AWS does not reach premises any more")
	require.NotContains(t, link, "slot s")
	require.Contains(t, mustGet(t, s, b, "/m/shop"), "on AWS, no way back")
	require.Contains(t, mustGet(t, s, b, "/m/shop?state=stranded"), `id="c-cust-00001"`)
	require.Contains(t, mustGet(t, s, b, "/m/shop/table/customers.csv"), "on AWS, no way back")

	s.world.SetPlan(func(m *migration.MigrationStatus) {
		m.Datasets = append(theirData(nil), migration.PieceStatus{Name: "billing",
			NoWayBack: &migration.NoWayBack{Why: "gone", Lost: true}})
	})
	require.Eventually(t, func() bool {
		return strings.Contains(mustGet(t, s, b, "/m/shop/c/cust-00001"), "Yes, without loss until")
	}, 10*time.Second, 50*time.Millisecond, "another database is not its own")
}

func TestTheWayBackOfEachDatasetIsSaid(t *testing.T) {
	w := webtest.New("shop", 30, 5)
	w.Uses("orders", "ledger")
	story(w)
	w.SetPlan(func(m *migration.MigrationStatus) {
		m.Datasets = append(theirData(nil), migration.PieceStatus{Name: "ledger", Detail: "lag to AWS under 1s, back 7s"})
	})
	s := serve(t, w, plenty)
	page := mustGet(t, s, s.as(t, access.Success), "/m/shop/c/cust-00001")
	require.Contains(t, page, "Dataset orders: lag to AWS under 0.1s, back 2s. Dataset ledger: lag to AWS under 1s, back 7s.")
}

func TestWhoWentBackUnhealthyIsNotSaidToHaveNoticedNothing(t *testing.T) {
	s := shop(t)
	s.world.SetCustomer("cust-00029", func(c *migration.CustomerStatus) {
		moved(c, webtest.Start)
		back(c, webtest.Start)
		c.Verdict = &migration.Verdict{Outcome: migration.Fail, Reason: "500", Samples: 40, Errors: 3}
	})
	for _, page := range []string{mustGet(t, s, s.as(t, access.Success), who), mustGet(t, s, s.guest(t, "shop", "cust-00029"), who)} {
		require.Contains(t, page, "On AWS it was not healthy: 3 of 40 probes failed. The longest wait in its 2 Moves was 1.4s.")
	}
}

// TestAWindowThatHasClosedPromisesNothing: who waited for it waits for a person, until one has let
// the batch go on outside it.
func TestAWindowThatHasClosedPromisesNothing(t *testing.T) {
	past := migration.Window{Opens: time.Now().Add(-4 * time.Hour), For: migration.Duration(time.Hour), Zone: "UTC"}
	for want, set := range map[string]func(b *migration.BatchStatus){
		"Its window has closed: it moves when a person lets it.": func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitWindow
		},
		"When it is its turn: its batch moves now.":        func(b *migration.BatchStatus) { b.Phase = migration.BatchCuttingOver },
		"Not known at this moment: its window has closed.": func(b *migration.BatchStatus) { b.Phase = migration.BatchWaiting },
	} {
		s := shop(t)
		s.world.SetBatch(4, func(b *migration.BatchStatus) { b.Window = &past; set(b) })
		require.Contains(t, answers(mustGet(t, s, s.as(t, access.Success), who)), want)
		page := mustGet(t, s, s.guest(t, "shop", "cust-00029"), who)
		require.Contains(t, answers(page), want)
		require.NotContains(t, page, "It is planned to move in this window")
		require.Contains(t, page, "The time of its move is not known at this moment.")
	}
}

func TestTheCustomersOwnZoneIsSaidWhereverItsWindowIs(t *testing.T) {
	const own = "In the customer&#39;s own zone: Sun 6 Dec 2026 22:00 to Mon 7 Dec 02:00 EET."
	for name, set := range map[string]func(*migration.CustomerStatus){
		"waits": func(*migration.CustomerStatus) {}, "held": held0,
		"moved": func(c *migration.CustomerStatus) { moved(c, webtest.Start) },
	} {
		s := shop(t)
		s.world.SetBatch(4, func(b *migration.BatchStatus) { b.Phase = migration.BatchCuttingOver })
		s.world.SetCustomer("cust-00029", set)
		require.Contains(t, mustGet(t, s, s.as(t, access.Success), "/m/shop/c/cust-00029"), own, name)
		require.Contains(t, mustGet(t, s, s.guest(t, "shop", "cust-00029"), "/m/shop/c/cust-00029"), own, name)
	}
}
