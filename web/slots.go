package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// slotsView are the times that were offered to a customer.
type slotsView struct {
	By      string // who offered them; a guest is not told
	Why     string
	Taken   string // the one that it has taken; empty: none yet
	Own     string // that on the customer's own clocks, where they show something else
	Who     string // took it
	File    string // address of the invitation
	Offered []slotView
}

type slotView struct {
	When, Own string
	Taken     bool
	Opens     string // as the form sends it, RFC 3339
	Path      string // of the form; empty: it cannot be taken now
	Request   string // a form that is sent twice is one command
}

// viewSlots are the slots of a customer as somebody sees them; nil: none were offered.
func viewSlots(snap *board.Snapshot, c board.Customer, k board.Clock, who access.Identity) *slotsView {
	s := c.Status.Slots
	if s == nil {
		return nil
	}
	path := customerPath(snap.Status.Plan, c.Status.ID)
	v := &slotsView{}
	if who.Role != access.Guest {
		v.By, v.Why = s.By.By, s.By.Why
	}
	if w := s.Taken; w != nil {
		v.Taken, v.Own, v.File = k.Span(*w), ownTime(*w, k), path+"/slot.ics"
		if who.Role != access.Guest {
			v.Who = s.Choice.By
		}
	}
	may := snap.GoesOn() && slices.Contains(c.Status.MayDo, migration.UpdateTake) && who.Role.Gives(migration.UpdateTake)
	for _, w := range s.Offered {
		one := slotView{When: k.Span(w), Own: ownTime(w, k), Taken: s.Taken != nil && w.Equal(*s.Taken), Opens: w.Opens.UTC().
			Format(time.RFC3339)}
		if may && !one.Taken && w.Opens.After(time.Now()) {
			one.Path, one.Request = path+"/slot", uuid.NewString()
		}
		v.Offered = append(v.Offered, one)
	}
	return v
}

// mostSlotFields is how many times the form of the board offers at once.
const mostSlotFields = 4

// slotFields are the times in the form of an action that needs some.
func slotFields(a action, r *http.Request) []string {
	if !a.slots {
		return nil
	}
	out := make([]string, mostSlotFields)
	copy(out, r.Form["slot"])
	return out
}

// times are those to offer, where the action needs some; else why they are none.
func (a action) times(v askView, k board.Clock) (out []migration.Window, why string) {
	if !a.slots {
		return nil, ""
	}
	length, err := time.ParseDuration(v.For)
	if err != nil || length <= 0 {
		return nil, "How long each time is has to be as 2h or 90m."
	}
	for _, at := range v.Slots {
		if at == "" {
			continue
		}
		t, err := time.ParseInLocation("2006-01-02T15:04", at, k.Zone)
		if err != nil || !t.After(time.Now()) {
			return nil, "A time is none, or has passed."
		}
		out = append(out, migration.Window{Opens: t.UTC(), For: migration.Duration(length), Zone: k.Zone.String()})
	}
	if len(out) == 0 {
		return nil, "It needs a time to offer."
	}
	return out, ""
}

// ownZone has slots shown in the zone of their customer, where the plan names it.
func (s *Server) ownZone(ctx context.Context, at client.Aim, slots []migration.Window) {
	if len(slots) == 0 {
		return
	}
	f, err := s.Hub.Follow(ctx, at.Plan)
	if err != nil {
		return // the reader's zone stays
	}
	if c, ok := f.Snapshot(ctx).Customer(at.Customer); ok && c.Spec.Zone != "" {
		for i := range slots {
			slots[i].Zone = c.Spec.Zone
		}
	}
}

// ownTime is a time on the clocks of its own zone; empty: the reader's show the same.
func ownTime(w migration.Window, k board.Clock) string {
	own := board.NewClock(w.Zone)
	if w.Zone == "" || own.Span(w) == k.Span(w) {
		return ""
	}
	return own.Span(w)
}

// fullCustomer is the customer of a path as it says itself where it stands, or else its batch.
func (s *Server) fullCustomer(w http.ResponseWriter, r *http.Request, who access.Identity) (*board.Follower, *board.Snapshot,
	board.Customer, bool) {
	f, snap, c, ok := s.customer(w, r, who)
	if ok {
		if full, _, err := f.Customer(r.Context(), c); err == nil {
			c.Status = full
		}
	}
	return f, snap, c, ok
}

// takeSlot takes a slot for the customer. It is the one thing that whoever has a link may do.
func (s *Server) takeSlot(w http.ResponseWriter, r *http.Request, who access.Identity) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if !who.Role.Gives(migration.UpdateTake) {
		s.notForYou(w, r, who)
		return
	}
	f, snap, c, ok := s.fullCustomer(w, r, who)
	if !ok {
		return
	}
	at := client.Aim{Plan: snap.Status.Plan, Customer: c.Status.ID}
	line := entry{What: migration.UpdateTake, Who: who.String(), Role: who.Role, How: who.How, From: remote(r), Plan: at.Plan,
		Customer: at.Customer, Request: r.PostFormValue("request")}
	refuse := func(status int, why, next string) {
		line.Outcome, line.Why = refused, why
		_ = s.Audit.write(line) // nothing is done
		s.notTaken(w, r, who, status, at, why, next)
	}
	slot, err := slotOf(c.Status.Slots, r.PostFormValue("opens"))
	switch {
	case !s.limits.action(who.Session):
		refuse(http.StatusTooManyRequests, "Too many commands in a short time.", "Wait a few seconds, then take it again.")
		return
	case err != nil || uuid.Validate(line.Request) != nil:
		refuse(http.StatusConflict, "This time is not offered any more.", "Look at the times that are.")
		return
	}
	line.Outcome = asked
	if err := s.Audit.write(line); err != nil {
		s.notTaken(w, r, who, http.StatusServiceUnavailable, at, "The audit cannot be written, so nothing is done.",
			"Tell whoever sent you the link.")
		return
	}
	commands, err := s.commandsOf(who)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	said, err := commands.Take(r.Context(), at.Plan, at.Customer, migration.Command{RequestID: line.Request, By: who.Name,
		From: s.From + " (board, signed in by " + who.How + ")", Slots: []migration.Window{slot}})
	line.Outcome, line.Why = outcomeOf(err), ""
	if err != nil {
		line.Why = err.Error()
		_ = s.Audit.write(line) // the line before says that it was asked
		why, next := problemOf(err)
		if who.Role == access.Guest { // words of a refusal are the operators'
			why, next = "It could not be taken now.", "Look at the times that are offered, and take it again or another."
		}
		s.notTaken(w, r, who, statusOf(err), at, why, next)
		return
	}
	_ = s.Audit.write(line)
	f.Hurry()
	words := "The time " + clock(r).Span(slot) + " is taken"
	if who.Role != access.Guest {
		words += ": " + said.Message
	}
	s.show(w, r, s.slotLayout("Taken", who, at), "said", saidView{What: "Taken", Said: words, Back: customerPath(at.Plan, at.Customer)})
}

var errNoSlot = errors.New("no such slot is offered")

// slotOf is the offered slot that opens at a time.
func slotOf(s *migration.Slots, opens string) (migration.Window, error) {
	at, err := time.Parse(time.RFC3339, opens)
	if err != nil || s == nil {
		return migration.Window{}, errNoSlot
	}
	i := slices.IndexFunc(s.Offered, func(w migration.Window) bool { return w.Opens.Equal(at) })
	if i < 0 {
		return migration.Window{}, errNoSlot
	}
	return s.Offered[i], nil
}

func (s *Server) slotLayout(title string, who access.Identity, at client.Aim) layout {
	l := layout{Title: title, Who: who, Plan: at.Plan}
	if who.Role == access.Guest {
		l.Plan = ""
	}
	return l
}

// notTaken says why a slot was not taken, with the way back to the customer.
func (s *Server) notTaken(w http.ResponseWriter, r *http.Request, who access.Identity, status int, at client.Aim, why, next string) {
	var b bytes.Buffer
	v := struct{ Why, Next, Back string }{why, next, customerPath(at.Plan, at.Customer)}
	if err := pages.ExecuteTemplate(&b, "not-taken", v); err != nil {
		s.broken(w, r, err)
		return
	}
	s.showMade(w, r, status, s.slotLayout("Not taken", who, at), b.Bytes(), nil)
}

// invite answers the slot that a customer has taken as a file for a calendar.
func (s *Server) invite(w http.ResponseWriter, r *http.Request, who access.Identity) {
	_, snap, c, ok := s.fullCustomer(w, r, who)
	if !ok {
		return
	}
	if c.Status.Slots.Chosen() == nil {
		s.notTaken(w, r, who, http.StatusNotFound, client.Aim{Plan: snap.Status.Plan, Customer: c.Status.ID}, "No time is taken.",
			"Take one of those that are offered.")
		return
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8; method=PUBLISH")
	w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(c.Status.ID+".ics"))
	_, _ = io.WriteString(w, invitation(snap.Status.Plan, c)) // a browser that is gone needs nothing
}
