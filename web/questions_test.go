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
	}{
		"before its batch": {func(*migration.CustomerStatus) {}, []string{"No, it is on premises.",
			"In the window Sun 6 Dec 2026 20:00 to Mon 7 Dec 00:00 UTC.", "It has not moved, so there was nothing to notice.",
			"It is on premises."}},
		"held at home": {held0, []string{"No, it is on premises.", "When a person lets it: it is held.",
			"It has not moved, so there was nothing to notice.", "It is on premises."}},
		"deferred": {func(c *migration.CustomerStatus) {
			held0(c)
			c.Cause = migration.ByDeferral
			c.Deferral = &migration.Deferral{NotBefore: opened, Accepted: true, Decided: &migration.Event{By: "the-lead"}}
		}, []string{"No, it is on premises.", "Not before Wed 2 Dec 2026 22:00 UTC.", "It has not moved, so there was nothing to notice.",
			"It is on premises."}},
		"in its freeze": {func(c *migration.CustomerStatus) { c.Phase = migration.CustomerMoving }, []string{
			"It is moving at this moment.", "Now.", "It has not moved, so there was nothing to notice.",
			"It is on premises."}},
		"on AWS, looked at closely": {func(c *migration.CustomerStatus) {
			moved(c, opened)
			c.Phase, c.Until = migration.CustomerBaking, opened.Add(10*time.Minute)
		}, []string{"Yes, it is on AWS.", "It has moved, at Wed 2 Dec 2026 22:00 UTC.",
			"Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.",
			"Yes, without loss until Sat 5 Dec 2026 22:10 UTC at least."}},
		"in a freeze within a second": {func(c *migration.CustomerStatus) {
			moved(c, opened)
			c.Moves[0].Fenced, c.Moves[0].Freeze = opened, migration.Duration(59*time.Millisecond)
		}, []string{"Yes, it is on AWS.", "It has moved, at Wed 2 Dec 2026 22:00 UTC.",
			"Writes waited for 59ms, at Wed 2 Dec 2026 22:00:00 UTC.", "Yes, without loss until Sat 5 Dec 2026 22:00 UTC."}},
		"left on premises for good": {func(c *migration.CustomerStatus) { c.Phase = migration.CustomerSkipped }, []string{
			"No, it is on premises.", "It does not: it stays on premises.", "It has not moved, so there was nothing to notice.",
			"It is on premises."}},
		"aborted": {func(c *migration.CustomerStatus) { c.Phase = migration.CustomerAborted }, []string{
			"No, it is on premises.", "It does not: the migration was aborted.", "It has not moved, so there was nothing to notice.",
			"It is on premises."}},
		"in its soak": {func(c *migration.CustomerStatus) { moved(c, opened) }, []string{"Yes, it is on AWS.",
			"It has moved, at Wed 2 Dec 2026 22:00 UTC.", "Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.",
			"Yes, without loss until Sat 5 Dec 2026 22:00 UTC."}},
		"taken back": {func(c *migration.CustomerStatus) { moved(c, opened); back(c, opened) }, []string{
			"It did, and it is on premises again.", "It was moved back, and moves again when a person lets it.",
			"On its way back writes waited for 1s, from Wed 2 Dec 2026 22:05:00 UTC to 22:05:01.", "It is on premises."}},
		"after its soak": {func(c *migration.CustomerStatus) {
			moved(c, opened)
			c.Phase = migration.CustomerFinished
		}, []string{"Yes, it is on AWS.", "It has moved, at Wed 2 Dec 2026 22:00 UTC.",
			"Writes waited for 1.4s, from Wed 2 Dec 2026 21:59:58 UTC to 22:00:00.", "No longer by itself: its soak has ended."}},
	} {
		t.Run(name, func(t *testing.T) {
			s := shop(t)
			s.world.Notify(migration.Contact{Name: "room"})
			s.world.SetBatch(4, func(b *migration.BatchStatus) { b.Phase = migration.BatchCuttingOver })
			s.world.SetCustomer("cust-00029", c.set)
			for _, b := range []string{mustGet(t, s, s.as(t, access.Success), who), mustGet(t, s, s.guest(t, "shop", "cust-00029"), who)} {
				require.Equal(t, append(c.want, "Nobody yet."), answers(b))
			}
		})
	}
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

// TestAWindowThatHasClosedPromisesNothing: who waited for it waits for a person.
func TestAWindowThatHasClosedPromisesNothing(t *testing.T) {
	s := shop(t)
	past := migration.Window{Opens: time.Now().Add(-4 * time.Hour), For: migration.Duration(time.Hour), Zone: "UTC"}
	s.world.SetBatch(4, func(b *migration.BatchStatus) { b.Window = &past })
	require.Contains(t, answers(mustGet(t, s, s.as(t, access.Success), who)), "Its window has closed: it moves when a person lets it.")
}
