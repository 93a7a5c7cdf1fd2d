package web_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/webtest"
)

const who = "/m/shop/c/cust-00029"

// posted is a plan that sends messages, of which a customer has had some and waits for somebody.
func posted(t *testing.T) *site {
	t.Helper()
	s := shop(t)
	s.world.Notify(migration.Contact{Name: "room"}, migration.Contact{Name: "customer", Address: migration.CustomersContact},
		migration.Contact{Name: "cs", Address: "cs@example.com"})
	at := func(n int) time.Time { return webtest.Start.Add(time.Duration(n) * time.Minute) }
	s.world.SetMessages("cust-00029", migration.MessagesStatus{
		Phase: migration.OutboxOpen, Waiting: 3, Fails: 1,
		Asks: []migration.Ask{{ID: "held/cust-00029/7", Kind: migration.NoticeHeld, Batch: "wave-03", Customer: "cust-00029", At: at(5),
			Told: []string{"room"}, Next: []string{"lead"}, NextAt: at(20)}},
		Pending: []migration.Delivery{
			{Kind: migration.NoticeHeld, Customer: "cust-00029", Contact: "cs", State: migration.DeliveryTrying, Tries: 4,
				Failure: "the receiver answered <503>", Since: at(6), FailedAt: at(9), Next: at(10)},
			{Kind: migration.NoticeHeld, Customer: "cust-00029", Contact: "lead", State: migration.DeliveryDue, Due: at(20), Step: 1},
		},
		Past: []migration.Delivery{
			{Kind: migration.NoticeTwoDays, Customer: "cust-00029", Contact: "customer", State: migration.DeliveryDelivered, At: at(-2880)},
			{Kind: migration.NoticeStarted, Customer: "cust-00029", Contact: "oncall", State: migration.DeliveryGivenUp, At: at(1),
				Failure: "the receiver answered 404"},
			{Kind: migration.NoticeHeld, Customer: "cust-00029", Contact: "room", State: migration.DeliveryDelivered, At: at(6)},
		},
	})
	return s
}

func TestACustomersPageSaysWhoWasToldWhatAndWhen(t *testing.T) {
	s := posted(t)
	page := mustGet(t, s, s.as(t, access.Viewer), who)
	for _, want := range []string{
		"room, that it waits for an operator, on Wed 2 Dec 2026 20:06 UTC.", "1 message cannot be delivered, and is tried again.",
		"Told: room; next, Wed 2 Dec 2026 20:20 UTC: lead.",
		"it moves in two days", "customer (cs-1@example.com)", "cs (cs@example.com)",
		"failed 4 times since Wed 2 Dec 2026 20:06:00 UTC, and is tried again Wed 2 Dec 2026 20:10:00 UTC: the receiver " +
			"answered &lt;503&gt;",
		"given up: the receiver answered 404", "waits for its time", who + "/table/messages.csv",
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, doing, "a viewer looks")
	csv := mustGet(t, s, s.as(t, access.Viewer), who+"/table/messages.csv")
	require.Contains(t, csv, "given-up,started,oncall,0,2026-12-02T20:01:00Z,,0,,the receiver answered 404,,")

	guest := mustGet(t, s, s.guest(t, "shop", "cust-00029"), who)
	require.Contains(t, guest, "Its own contact, that it moves in two days, on Mon 30 Nov 2026 20:00 UTC.")
	for _, ours := range []string{"room", "answered 503", "answered 404", "oncall", "cs@example.com", "lead", "Nobody looks"} {
		require.NotContains(t, guest, ours, "a guest reads nothing of our own")
	}
	code, _ := s.get(t, s.guest(t, "shop", "cust-00029"), who+"/table/messages.csv")
	require.Equal(t, http.StatusNotFound, code)
}

func TestAnOperatorLooksAfterWhatAMessageAsksFor(t *testing.T) {
	s := posted(t)
	b := s.as(t, access.Operator)
	require.Contains(t, mustGet(t, s, b, who), doing+"ack?customer=cust-00029&amp;message=held%2Fcust-00029%2F7")
	require.NotContains(t, mustGet(t, s, s.as(t, access.Success), who), doing+"ack")
	form := func() url.Values {
		return url.Values{"customer": {"cust-00029"}, "message": {"held/cust-00029/7"}, "reason": {"on it"}, "request": {uuid.NewString()}}
	}
	code, _ := s.post(t, s.as(t, access.Success), doing+"ack", form())
	require.Equal(t, http.StatusForbidden, code)
	require.Empty(t, s.world.Sent())
	asks := mustGet(t, s, b, doing+"ack?customer=cust-00029&message=held%2Fcust-00029%2F7")
	require.Contains(t, asks, "drover ack shop held/cust-00029/7")
	require.Contains(t, asks, `name="message" value="held/cust-00029/7"`)
	code, body := s.post(t, b, doing+"ack", form())
	require.Equal(t, http.StatusOK, code, body)
	got := s.world.Sent()[0]
	require.Equal(t, migration.UpdateAck, got.Name)
	require.Equal(t, "held/cust-00029/7", got.Message)
	require.Equal(t, "the-operator", got.By)
	code, _ = s.post(t, b, doing+"ack", url.Values{"message": {"held/nobody/1"}, "request": {uuid.NewString()}})
	require.Equal(t, http.StatusConflict, code)

	s.world.SetMessages("cust-00029", migration.MessagesStatus{Asks: []migration.Ask{{ID: "held/cust-00029/7", Kind: migration.NoticeHeld,
		Customer: "cust-00029", Taken: &migration.Event{By: "the-operator", At: webtest.Start}}}})
	s.post(t, b, doing+"ack", form()) // whatever is asked, the page is read anew
	page := mustGet(t, s, b, who)
	require.Contains(t, page, "the-operator looks after it since Wed 2 Dec 2026 20:00 UTC.")
	require.NotContains(t, page, doing+"ack")
}

func TestTheBoardSaysWhatNobodyLooksAfterAndWhatCannotBeDelivered(t *testing.T) {
	s := posted(t)
	s.world.SetPlan(func(m *migration.MigrationStatus) { m.Paused, m.Reason = true, "they call" })
	s.world.SetMessages("", migration.MessagesStatus{Asks: []migration.Ask{{ID: "paused/7", Kind: migration.NoticePaused}}})
	b := s.as(t, access.Lead)
	require.Eventually(t, func() bool {
		return containsAll(mustGet(t, s, b, "/m/shop"), "The migration is paused: they call. Nobody has the message yet.",
			doing+"ack?message=paused%2F7", "Nobody looks after 1 of them yet.",
			"1 message cannot be delivered, and is tried again; the last, to cs: the receiver answered &lt;503&gt;.")
	}, 10*time.Second, 50*time.Millisecond)
	require.NotContains(t, mustGet(t, s, s.as(t, access.Viewer), "/m/shop"), doing+"ack")
}

func TestAPlanWithoutMessagesSaysSo(t *testing.T) {
	s := shop(t)
	page := mustGet(t, s, s.as(t, access.Viewer), who)
	require.Contains(t, page, "The plan sends no messages.")
	require.NotContains(t, page, "told-h")
}
