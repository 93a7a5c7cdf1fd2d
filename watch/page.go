package watch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
)

// page is a customer in full, whole sentences wrapped.
func (m Model) page(w int) (out []string) {
	add := func(s string) { out = append(out, wrapped(s, w, 1<<20)...) }
	c, ok := m.snap.Customer(m.open.id)
	if !ok {
		return []string{"The plan has no such customer any more."}
	}
	if full := m.open.status; m.open.read {
		c.Status.Timeline, c.Status.Trying = full.Timeline, full.Trying
		if len(c.Status.Moves) < len(full.Moves) {
			c.Status.Moves = full.Moves
		}
	}
	st, state := c.Status, c.State()
	name := clean(st.ID)
	if st.Name != "" {
		name += " (" + clean(st.Name) + ")"
	}
	add(bold.Render("CUSTOMER " + name + " of " + clean(st.Batch)))
	add(colours[state].Render(state.Sign()) + " " + m.snap.Now(c, m.clock))
	next, turn := m.snap.Next(c, m.clock)
	add("Next: " + clean(next) + " It is the turn of " + string(turn) + ".")
	switch stands := c.Back.Stands(); {
	case stands != "":
		add("Can it go back? " + c.Back.Answer(m.clock) + " " + stands + " " + clean(c.Back.Why))
	case c.Back.Way == board.BackEnded || c.Back.Way == board.BackEnding:
		add("Can it go back? " + strings.TrimSpace(c.Back.Answer(m.clock)+" "+clean(c.Back.Ended())))
	case c.Back.Way == board.BackUnknown && c.Status.Home == migration.AWS:
		add("Can it go back? " + strings.TrimSpace(c.Back.Answer(m.clock)+" "+clean(c.Back.Why)))
	}
	if st.Reason != "" {
		add("Why: " + clean(st.Reason))
	}
	if a := m.snap.Ask("", st.ID); a.ID != "" {
		add(clean(board.AskWords(a, m.clock)))
	}
	if t := tried(st.Trying); t != "" {
		add(t)
	}
	if c.Spec.Contact != "" {
		add("Contact: " + clean(c.Spec.Contact))
	}
	if v := st.Verdict; v != nil {
		add(fmt.Sprintf("Health on AWS at %s: %s. %s (%d of %d samples failed, p95 %s)", m.clock.Second(v.At), v.Outcome, clean(v.Reason),
			v.Errors, v.Samples, printer.Seconds(v.P95)))
	}
	if len(st.Moves) > 0 {
		out = append(out, "", bold.Render("MOVES"))
	}
	for _, x := range slices.Backward(st.Moves) {
		why := ""
		if x.Reason != "" {
			why = ": " + clean(x.Reason)
		}
		stall := ""
		if s := x.Stall(); s > 0 {
			stall = ", stall " + printer.Duration(s)
		}
		add(fmt.Sprintf("%s  to %s, writes waited %s%s, %d rows and %d objects compared, token %d%s", m.clock.Second(x.Opened), x.To,
			printer.Duration(x.Freeze.D()), stall, x.Rows, x.Objects, x.Try.Token, why))
		if x.Requests != nil {
			add("  " + clean(board.Requests(x, m.clock, false)))
		}
	}
	out = append(out, "", bold.Render("TIMELINE"))
	switch {
	case m.open.err != nil:
		add(wrong.Render("! ") + clean(refusal(m.open.err)))
	case !m.open.read:
		add("It is read ...")
	}
	for _, e := range slices.Backward(st.Timeline) {
		add(m.event(e, "15:04:05"))
	}
	return out
}

// helpPage says what the keys do and what the signs mean.
func (m Model) helpPage(w int) (out []string) {
	out = append(out, bold.Render("KEYS"))
	for _, k := range [][2]string{
		{"tab", "from the batches to the customers, and back"},
		{"up, down, pgup, pgdn", "move in the list"},
		{"enter", "open a batch or a customer; esc leaves"},
		{"/", "find customers in all batches"},
		{"a", "approve the chosen batch"},
		{"p, c", "pause the migration; go on (continue)"},
		{"h", "hold the chosen customer"},
		{"t", "let the chosen customer or batch try again"},
		{"b", "roll the chosen customer or batch back"},
		{"B", "roll everybody back"},
		{"l", "look after what waits: nobody else is told of it"},
		{"q, ctrl+c", "leave; the migration goes on"},
	} {
		out = append(out, fmt.Sprintf("  %-21s %s", k[0], k[1]))
	}
	out = append(out, "A command asks for its reason and then for y, before it is sent.", "", bold.Render("SIGNS"))
	for pair := range slices.Chunk(board.States, 2) {
		line := ""
		for _, s := range pair {
			line += fit("  "+colours[s].Render(s.Sign())+" "+s.Words(), 34)
		}
		out = append(out, line)
	}
	return append(out, "", dim.Render("any key goes back"))
}
