package web

import (
	"fmt"
	"math"
	"time"

	ics "github.com/arran4/golang-ical"

	"github.com/drover-migration/drover/web/board"
)

// icalLocal is a time on the clocks of the zone that the property names (RFC 5545, 3.3.5).
const icalLocal = "20060102T150405"

// invitation is the slot that a customer has taken, for a calendar: in the slot's own zone, whose
// offset is in the file. It says what a guest may know. A later choice takes the place of an
// earlier one in the calendar.
func invitation(plan string, c board.Customer) string {
	w, choice := *c.Status.Slots.Taken, c.Status.Slots.Choice
	zone := board.NewClock(w.Zone).Zone
	cal := ics.NewCalendarFor("Drover")
	cal.SetMethod(ics.MethodPublish)
	cal.AddVTimezone(timezone(w.Opens.In(zone)))
	e := cal.AddEvent(plan + "/" + c.Status.ID + "@drover")
	e.SetSequence(int(choice.At.Unix())) // a newer one is higher
	e.SetDtStampTime(choice.At)
	if opens := w.Opens.In(zone); again(opens) {
		e.SetStartAt(opens) // in UTC
	} else {
		e.SetProperty(ics.ComponentPropertyDtStart, opens.Format(icalLocal), ics.WithTZID(zone.String()))
	}
	e.SetProperty(ics.ComponentPropertyDuration, fmt.Sprintf("PT%dM", int(math.Ceil(w.For.D().Minutes()))))
	e.SetSummary(orNothing(c.Status.Name, c.Status.ID) + " moves to AWS")
	e.SetDescription("It begins to move in this time, which was taken for it. Its writes wait for a moment then.")
	e.SetStatus(ics.ObjectStatusConfirmed)
	e.SetTimeTransparency(ics.TransparencyTransparent)
	return cal.Serialize(ics.WithNewLineWindows)
}

// again says whether the clocks show a time for the second time, since they were put back. A
// calendar would take it for the first (RFC 5545, 3.3.5).
func again(t time.Time) bool {
	start, _ := t.ZoneBounds()
	if start.IsZero() {
		return false
	}
	_, before := start.Add(-time.Second).Zone()
	_, now := t.Zone()
	return t.Sub(start) < time.Duration(before-now)*time.Second
}

// timezone has the offset that holds at a time, since a calendar may not know the zone.
func timezone(t time.Time) *ics.VTimezone {
	tz := ics.NewTimezone(t.Location().String())
	name, offset := t.Zone()
	from, since := offset, "19700101T000000"
	if start, _ := t.ZoneBounds(); !start.IsZero() {
		_, from = start.Add(-time.Second).Zone()
		since = start.In(time.FixedZone("", from)).Format(icalLocal)
	}
	part := &ics.Daylight{}
	to := &part.ComponentBase
	if t.IsDST() {
		tz.Components = append(tz.Components, part)
	} else {
		to = &tz.AddStandard().ComponentBase
	}
	to.SetProperty(ics.ComponentPropertyDtStart, since)
	to.SetProperty(ics.ComponentProperty(ics.PropertyTzoffsetfrom), utcOffset(from))
	to.SetProperty(ics.ComponentProperty(ics.PropertyTzoffsetto), utcOffset(offset))
	to.SetProperty(ics.ComponentProperty(ics.PropertyTzname), name)
	return tz
}

// utcOffset is a number of seconds as +0200.
func utcOffset(seconds int) string {
	sign := "+"
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	return fmt.Sprintf("%s%02d%02d", sign, seconds/3600, seconds/60%60)
}
