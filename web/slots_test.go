package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
)

// offered are three slots of two hours: one that has begun, and two to come in the night in which
// the clocks of Kyiv go back: before that, and at half past three after it.
func offered(t *testing.T) (begun, first, second migration.Window) {
	t.Helper()
	kyiv, err := time.LoadLocation("Europe/Kyiv")
	require.NoError(t, err)
	of := func(at time.Time) migration.Window {
		return migration.Window{Opens: at.UTC(), For: migration.Duration(2 * time.Hour), Zone: "Europe/Kyiv"}
	}
	return of(time.Now().Add(-time.Hour)), of(time.Date(2049, 10, 30, 22, 0, 0, 0, kyiv)),
		of(time.Date(2049, 10, 31, 1, 30, 0, 0, time.UTC))
}

// offers has slots offered to two customers of the shop.
func offers(s *site, slots ...migration.Window) {
	for _, id := range []string{"cust-00028", "cust-00029"} {
		s.world.SetCustomer(id, func(c *migration.CustomerStatus) {
			c.MayDo = append(c.MayDo, migration.UpdateTake)
			c.Slots = &migration.Slots{Offered: slots, By: migration.Event{At: time.Now(), By: "the-lead", Why: "cust-00004 goes first"}}
		})
	}
}

func TestALinkTakesASlotOfItsOwnCustomerAndDoesNothingElse(t *testing.T) {
	s := shop(t)
	begun, first, second := offered(t)
	offers(s, begun, first, second)
	b := s.guest(t, "shop", "cust-00029")
	own := "/m/shop/c/cust-00029"
	page := mustGet(t, s, b, own)
	require.Equal(t, 2, strings.Count(page, `action="`+own+`/slot"`), "what has begun cannot be taken")
	for _, secret := range []string{"the-lead", "cust-00004"} {
		require.NotContains(t, page, secret)
	}
	form := func(w migration.Window) url.Values {
		return url.Values{"opens": {w.Opens.Format(time.RFC3339)}, "request": {uuid.NewString()}}
	}
	code, _ := s.post(t, b, "/m/shop/c/cust-00028/slot", form(first))
	require.Equal(t, http.StatusForbidden, code, "another customer's")
	code, _ = s.post(t, b, doing+"offer", url.Values{"customer": {"cust-00029"}, "slot": {"2049-10-30T22:00"}})
	require.Equal(t, http.StatusForbidden, code)
	code, body := s.post(t, b, own+"/slot", form(migration.Window{Opens: first.Opens.Add(time.Hour)}))
	require.Equal(t, http.StatusConflict, code)
	require.Contains(t, body, "This time is not offered any more.")
	code, _ = s.post(t, b, own+"/slot", url.Values{"opens": {first.Opens.Format(time.RFC3339)}})
	require.Equal(t, http.StatusConflict, code, "a form that is not whole")
	code, _ = s.post(t, s.as(t, access.Viewer), own+"/slot", form(first))
	require.Equal(t, http.StatusForbidden, code, "a viewer changes nothing")
	require.Empty(t, s.world.Sent())

	code, body = s.post(t, b, own+"/slot", form(first))
	require.Equal(t, http.StatusOK, code, body)
	sent := s.world.Sent()
	require.Len(t, sent, 1)
	require.Equal(t, migration.UpdateTake, sent[0].Name)
	require.Equal(t, client.Aim{Plan: "shop", Customer: "cust-00029"}, sent[0].At)
	require.Equal(t, []migration.Window{first}, sent[0].Slots)
	require.Equal(t, "the customer, by its link", sent[0].By)
	require.Contains(t, s.audit.String(), `"what":"take","who":"link to customer cust-00029 of plan shop"`)

	s.world.SetCustomer("cust-00029", func(c *migration.CustomerStatus) { c.MayDo = nil }) // as its workflow refuses
	code, body = s.post(t, b, own+"/slot", form(second))
	require.Equal(t, http.StatusConflict, code)
	require.Contains(t, body, "It could not be taken now.")
	require.NotContains(t, body, "does not apply", "the words of a refusal are the operators'")
}

func TestCustomerSuccessTakesASlotForTheCustomer(t *testing.T) {
	s := shop(t)
	_, first, second := offered(t)
	offers(s, first, second)
	b := s.as(t, access.Success)
	require.Contains(t, mustGet(t, s, b, "/m/shop/c/cust-00029"), "Offered by the-lead.")
	code, _ := s.post(t, b, "/m/shop/c/cust-00029/slot",
		url.Values{"opens": {second.Opens.Format(time.RFC3339)}, "request": {uuid.NewString()}})
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "the-success", s.world.Sent()[0].By)
}

func TestALeadOffersSlotsInTheReadersZoneForTheCustomersClocks(t *testing.T) {
	s := shop(t)
	s.world.SetCustomer("cust-00029", func(c *migration.CustomerStatus) { c.MayDo = []string{migration.UpdateOffer} })
	form := func(more url.Values) url.Values {
		more.Set("customer", "cust-00029")
		more.Set("request", uuid.NewString())
		return more
	}
	code, _ := s.post(t, s.as(t, access.Operator), doing+"offer", form(url.Values{"slot": {"2049-10-30T22:00"}}))
	require.Equal(t, http.StatusForbidden, code, "a lead offers")
	lead := s.as(t, access.Lead)
	require.Contains(t, mustGet(t, s, lead, "/m/shop/c/cust-00029"), doing+"offer?")
	for name, c := range map[string]struct {
		form url.Values
		why  string
	}{
		"no time":   {url.Values{"for": {"2h"}}, "It needs a time to offer."},
		"no length": {url.Values{"slot": {"2049-10-30T22:00"}, "for": {"soon"}}, "has to be as 2h or 90m"},
		"the past":  {url.Values{"slot": {"2019-10-30T22:00"}, "for": {"2h"}}, "A time is none, or has passed."},
	} {
		code, body := s.post(t, lead, doing+"offer", form(c.form))
		require.Equal(t, http.StatusUnprocessableEntity, code, name)
		require.Contains(t, body, c.why, name)
	}
	require.Empty(t, s.world.Sent())
	code, body := s.post(t, lead, doing+"offer", form(url.Values{"slot": {"2049-10-30T22:00", "", "2049-10-31T22:00"}, "for": {"90m"}}))
	require.Equal(t, http.StatusOK, code, body)
	got := s.world.Sent()[0].Slots
	require.Len(t, got, 2)
	require.Equal(t, migration.Window{Opens: time.Date(2049, 10, 30, 22, 0, 0, 0, time.UTC), For: migration.Duration(90 * time.Minute),
		Zone: "Europe/Kyiv"}, got[0])
}

func TestATakenSlotIsAnInvitationInItsOwnZone(t *testing.T) {
	_, first, second := offered(t)
	own := "/m/shop/c/cust-00029"
	for name, c := range map[string]struct {
		slot   migration.Window
		starts string // as the file has it
		offset string
	}{
		"before the clocks go back":       {first, "DTSTART;TZID=Europe/Kyiv:20491030T220000", "+0200\r\nTZOFFSETTO:+0300"},
		"when they show it a second time": {second, "DTSTART:20491031T013000Z", "+0300\r\nTZOFFSETTO:+0200"},
	} {
		t.Run(name, func(t *testing.T) {
			s := shop(t)
			s.world.SetCustomer("cust-00029", func(x *migration.CustomerStatus) {
				x.Name = "Acme; Sons, \nBEGIN:VEVENT"
				x.Slots = &migration.Slots{Offered: []migration.Window{first, second}, Taken: &c.slot,
					By: migration.Event{By: "the-lead"}, Choice: &migration.Event{At: time.Now(), By: "the customer, by its link"}}
			})
			b := s.guest(t, "shop", "cust-00029")
			page := mustGet(t, s, b, own)
			require.Contains(t, page, "Taken: ")
			require.Contains(t, page, "In the time that it has taken: ")
			require.Contains(t, page, own+"/slot.ics")
			file := mustGet(t, s, b, own+"/slot.ics")
			cal, err := ics.ParseCalendar(strings.NewReader(file))
			require.NoError(t, err)
			require.Len(t, cal.Events(), 1, file)
			e := cal.Events()[0]
			from, err := e.GetStartAt()
			require.NoError(t, err)
			require.True(t, from.Equal(c.slot.Opens), from)
			require.Contains(t, file, "\r\n"+c.starts+"\r\nDURATION:PT120M\r\n")
			require.Contains(t, file, "TZID:Europe/Kyiv\r\n")
			require.Contains(t, file, "TZOFFSETFROM:"+c.offset+"\r\n")
			require.Equal(t, "shop/cust-00029@drover", e.Id(), "a later choice takes the place of an earlier one")
			require.NotContains(t, file, "the-lead")
		})
	}
}

func TestThereIsNoInvitationBeforeASlotIsTaken(t *testing.T) {
	s := shop(t)
	_, first, second := offered(t)
	offers(s, first, second)
	code, body := s.get(t, s.guest(t, "shop", "cust-00029"), "/m/shop/c/cust-00029/slot.ics")
	require.Equal(t, http.StatusNotFound, code)
	require.Contains(t, body, "No time is taken.")
}
