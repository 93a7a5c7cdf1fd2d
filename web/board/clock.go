package board

import (
	"time"

	"github.com/drover-migration/drover/migration"
)

// Clock is the wall clock of whoever reads the page.
type Clock struct {
	Zone *time.Location
}

// NewClock is the clock of an IANA zone; one that is not known is UTC.
func NewClock(zone string) Clock {
	at, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		at = time.UTC
	}
	return Clock{Zone: at}
}

// layout names day and zone: a page is read days later, in other countries.
const layout = migration.TimeLayout

// At is a moment, to the minute.
func (k Clock) At(t time.Time) string {
	if t.IsZero() {
		return "not known"
	}
	return t.In(k.Zone).Format(layout)
}

// Second is a moment, to the second.
func (k Clock) Second(t time.Time) string {
	if t.IsZero() {
		return "not known"
	}
	return t.In(k.Zone).Format("Mon 2 Jan 2006 15:04:05 MST")
}

// Span is a window: its end has a day only where it is another.
func (k Clock) Span(w migration.Window) string {
	from, to := w.Opens.In(k.Zone), w.Closes().In(k.Zone)
	if from.YearDay() == to.YearDay() && from.Year() == to.Year() {
		return from.Format("Mon 2 Jan 2006 15:04") + " to " + to.Format("15:04 MST")
	}
	return from.Format("Mon 2 Jan 2006 15:04") + " to " + to.Format("Mon 2 Jan 15:04 MST")
}

// Place is what a side is called on the page.
func Place(s migration.Side) string {
	switch s {
	case migration.OnPrem:
		return "on premises"
	case migration.AWS:
		return "on AWS"
	default:
		return "at a place that its data does not name"
	}
}

// Brief is a moment where there is little room; its day and zone stand elsewhere on the page.
func (k Clock) Brief(t time.Time) string { return t.In(k.Zone).Format("Mon 2 Jan 15:04 MST") }
