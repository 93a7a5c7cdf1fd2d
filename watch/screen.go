package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
)

// besides is the width, in cells, from which on the lists stand beside what waits, what is copied
// and what happened.
const besides = 140

// Screen is the whole screen: at most height lines of at most width cells.
func (m Model) Screen() string {
	w, h := max(m.width, 20), max(m.height, 6)
	var lines []string
	switch {
	case m.snap == nil:
		lines = []string{"The migration is read ..."}
	case m.help:
		lines = m.helpPage(w)
	default:
		head, foot := m.head(w), m.foot(w)
		foot = foot[:min(len(foot), h-1)]
		head = head[:min(len(head), h-len(foot))]
		body := m.body(w, h-len(head)-len(foot))
		lines = slices.Concat(head, body, foot)
	}
	for i, l := range lines {
		lines[i] = ansi.Truncate(l, w, "…")
	}
	return strings.Join(lines[:min(len(lines), h)], "\n")
}

// body fills exactly room lines.
func (m Model) body(w, room int) []string {
	var out []string
	switch {
	case m.open != nil:
		page := m.page(w)
		out = page[min(m.scroll, len(page)):]
	case w < besides:
		out = stack(w, room, m.waits(w), m.batches(w), m.copies(w), m.customers(w), m.events(w))
	default:
		left := w * 3 / 5
		right := w - left - 3
		a := padded(stack(left, room, m.batches(left), m.customers(left)), room)
		b := padded(stack(right, room, m.waits(right), m.copies(right), m.events(right)), room)
		for i := range room {
			out = append(out, fit(a[i], left)+dim.Render(" │ ")+b[i])
		}
	}
	return padded(out, room)
}

// padded is a list of exactly so many lines.
func padded(lines []string, n int) []string {
	lines = slices.Clone(lines[:min(len(lines), n)])
	for len(lines) < n {
		lines = append(lines, "")
	}
	return lines
}

// Styles. Nothing is told by colour alone: states have signs and words.
var (
	dim    = lipgloss.NewStyle().Faint(true)
	bold   = lipgloss.NewStyle().Bold(true)
	chosen = lipgloss.NewStyle().Reverse(true)
	alarm  = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("3"))
	wrong  = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("1"))
	blue   = lipgloss.NewStyle().Foreground(lipgloss.Color("4"))
	cyan   = lipgloss.NewStyle().Foreground(lipgloss.Color("6"))
)

// colours of states: blue and yellow where two must be told apart, which most eyes can.
var colours = map[board.State]lipgloss.Style{
	board.Finished: blue, board.CanGoBack: blue, board.Checking: cyan, board.Moving: cyan, board.GoingBack: alarm, board.WentBack: alarm,
	board.Held: wrong, board.Stranded: wrong,
}

// head says what is watched, where it stands, and how old that is.
func (m Model) head(w int) []string {
	s := m.snap
	story, turn := s.Story()
	paused := ""
	if s.Status.Paused {
		paused = " PAUSED"
	}
	first := fmt.Sprintf("%s, revision %d: %s%s", clean(s.Status.Plan), s.Status.Revision, s.Status.Phase, paused)
	out := []string{edges(bold.Render(first), dim.Render(m.clock.Second(m.now)), w)}
	out = append(out, wrapped(clean(story)+" It is the turn of "+string(turn)+".", w, 2)...)
	if t := s.Trouble; t != nil {
		for _, line := range wrapped(fmt.Sprintf("%s What is below was read %s ago.", t.Words(), printer.Duration(m.now.Sub(s.At))), w, 3) {
			out = append(out, wrong.Render(line))
		}
		out = append(out, wrapped(clean(cmp.Or(t.Next, t.Why)), w, 2)...)
	}
	count := s.Count()
	words := board.Progress(count, len(s.Customers))
	return append(out, fit(bar(count, len(s.Customers), min(40, w/4))+" "+words, w))
}

// foot has the keys that do something now, or the question that is asked.
func (m Model) foot(w int) []string {
	if q := m.asks; q != nil {
		return m.asked(*q, w)
	}
	answer := ""
	switch {
	case m.busy != "":
		answer = "sent: " + m.busy + " ..."
	case m.said != "" && m.bad:
		answer = wrong.Render("! ") + clean(m.said)
	case m.said != "":
		answer = clean(m.said)
	}
	return append(wrapped(answer, w, 2), dim.Render(fit(m.keys(w), w)))
}

// keys are the keys that do something now, as many as there is room for.
func (m Model) keys(w int) string {
	var keys []string
	for _, o := range orders {
		at := o.about(m)
		offers, _ := m.may(at)
		for _, f := range offers {
			if f.Name != o.name {
				continue
			}
			words := strings.ToLower(f.Words)
			switch o.key {
			case "B":
				words = "everybody back"
			case "l":
				words = "look after it"
			}
			keys = append(keys, o.key+" "+words)
		}
	}
	if m.open != nil {
		keys = append(keys, "? help", "q quit", "esc list")
	} else {
		keys = append(keys, "? help", "q quit", "tab other list", "enter open", "/ find")
	}
	const between = " · "
	line := keys[0]
	for _, k := range keys[1:] {
		if ansi.StringWidth(line+between+k) > w {
			break
		}
		line += between + k
	}
	return line
}

// asked is the question at the foot.
func (m Model) asked(q question, w int) []string {
	if q.filter {
		return []string{bold.Render(fit("Find customers by id, name, host, label or reason (enter; esc leaves)", w)),
			"> " + tail(q.typed, w-3) + "_"}
	}
	out := wrapped(alarm.Render(q.offer.Words+" "+clean(q.offer.What)+"?")+" "+q.offer.Effect, w, 3)
	if m.said != "" {
		out = append(out, wrong.Render(fit("! "+m.said, w)))
	}
	if q.sure {
		reason := "no reason"
		if q.typed != "" {
			reason = "reason: " + q.typed
		}
		return append(out, fit(reason, w), bold.Render(fit("y sends it, any other key does not", w)))
	}
	needed := "may be left empty"
	if q.offer.Needs {
		needed = "is needed"
	}
	return append(out, fit("Reason ("+needed+"; enter goes on, esc leaves):", w), "> "+tail(q.typed, w-3)+"_")
}

// mostNamed is how many customers that are held are named: the rest are found with /.
const mostNamed = 5

// waits is what waits for a person, whole, with the customers that are held and why.
func (m Model) waits(w int) section {
	var lines []string
	add := func(first, rest, text string) {
		for i, l := range wrapped(clean(text), w-2, 3) {
			if i > 0 {
				first = rest
			}
			lines = append(lines, first+l)
		}
	}
	for _, wait := range m.snap.Waits(m.clock) {
		add(alarm.Render("! "), "  ", wait.Text)
		if wait.State == "" {
			continue
		}
		named := m.snap.All(board.Filter{State: wait.State})
		for _, c := range named[:min(len(named), mostNamed)] {
			line := c.Status.ID
			if a := m.snap.Ask("", c.Status.ID); a.Taken != nil {
				line += ", which " + a.Taken.By + " looks after"
			}
			if c.Status.Reason != "" {
				line += ": " + c.Status.Reason
			}
			add("  ", "    ", line)
		}
	}
	return section{title: "WAITS FOR YOU", total: len(lines), least: 5, line: func(i int) string { return fit(lines[i], w) }}
}

// batches are the plan's batches.
func (m Model) batches(w int) section {
	list, name := m.snap.Batches, 6
	for _, b := range list {
		name = max(name, min(ansi.StringWidth(b.Name), w/5))
	}
	return section{title: "BATCHES", total: len(list), least: 3, at: m.batch, line: func(i int) string {
		b := list[i]
		customers := m.snap.Of(b)
		count := board.CountOf(customers)
		text, turn := m.snap.Gate(b, m.clock)
		if end, moves := m.snap.End(b); moves {
			text = end.Words(m.clock)
		}
		text = short(b, count) + text
		if turn == board.TurnPerson {
			text = "! " + text
		}
		cells := fmt.Sprintf("%s %s %s %*d/%d  ", m.mark(onBatches, i == m.batch), fit(clean(b.Name), name),
			bar(count, len(customers), w/6), digits(list), board.OnAWS(count), len(customers))
		return m.light(onBatches, i == m.batch, fit(cells+clean(text), w))
	}}
}

// short says who is held or went back of a batch whose gate does not say it.
func short(b board.Batch, count map[board.State]int) (out string) {
	if b.Phase == migration.BatchDone {
		return ""
	}
	if n := count[board.Held]; n > 0 {
		out += fmt.Sprintf("%d held, ", n)
	}
	if n := count[board.WentBack]; n > 0 {
		out += fmt.Sprintf("%d back, ", n)
	}
	return out
}

// digits is how wide the largest batch's count is.
func digits(list []board.Batch) (n int) {
	for _, b := range list {
		n = max(n, len(fmt.Sprint(b.Counts.Customers)))
	}
	return n
}

// mark shows what is chosen where colours do not.
func (m Model) mark(of focus, is bool) string {
	switch {
	case is && m.focus == of:
		return ">"
	case is && of == onBatches:
		return "·"
	default:
		return " "
	}
}

func (m Model) light(of focus, is bool, line string) string {
	if is && m.focus == of {
		return chosen.Render(ansi.Strip(line))
	}
	return line
}

// copies are workloads and datasets, with their rate and what is left.
func (m Model) copies(w int) section {
	type piece struct {
		kind string
		migration.PieceStatus
	}
	var list []piece
	for _, p := range m.snap.Status.Workloads {
		list = append(list, piece{"workload", p})
	}
	for _, p := range m.snap.Status.Datasets {
		list = append(list, piece{"dataset", p})
	}
	name := 0
	for _, p := range list {
		name = max(name, min(len("workload ")+ansi.StringWidth(p.Name), w/3))
	}
	return section{title: "COPIES", total: len(list), least: 1, line: func(i int) string {
		p := list[i]
		text := string(p.Phase)
		if p.Workflow != "" && p.Workflow != "Running" && p.Workflow != "Completed" {
			text = strings.ToUpper(p.Workflow)
		}
		for _, t := range []string{copied(p.Progress), tried(p.Trying), m.asOf(p.PieceStatus), clean(p.Detail)} {
			if t != "" {
				text += ", " + t
			}
		}
		return fit(fmt.Sprintf("  %s %s %s", fit(p.kind+" "+clean(p.Name), name), part(p.Progress, w/6), text), w)
	}}
}

// asOf says up to when a copy is consistent.
func (m Model) asOf(p migration.PieceStatus) string {
	at := p.AsOf
	if n, _, disks := p.Disks(); n > 0 {
		at = disks
	}
	if at.IsZero() {
		return ""
	}
	return "consistent up to " + m.clock.Brief(at)
}

// copied says how far a copy is, how fast, and what is left.
func copied(p migration.Progress) string {
	if p.Done == 0 && p.Total == 0 && !p.Measuring {
		return ""
	}
	bytes := printer.Bytes(p.Done)
	if p.Total > 0 {
		bytes += " of " + printer.Bytes(p.Total)
	}
	switch goes := p.Total == 0 || p.Done < p.Total; {
	case p.Measuring:
		return "measuring, " + bytes
	case goes && p.Rate > 0 && p.ETA > 0:
		return printer.Duration(p.ETA.D()) + " left at " + printer.Bytes(int64(p.Rate)) + "/s, " + bytes
	case goes && p.Rate > 0:
		return printer.Bytes(int64(p.Rate)) + "/s, " + bytes
	default:
		return bytes
	}
}

// tried says what is tried in vain.
func tried(works []migration.Trying) string {
	if len(works) == 0 {
		return ""
	}
	t := works[len(works)-1]
	if t.Times == 0 {
		return "! " + clean(t.What) + ": no worker takes it"
	}
	return fmt.Sprintf("! %s failed %d times: %s", clean(t.What), t.Times, clean(t.Last))
}

// customers are those of the chosen batch, or what the filter finds.
func (m Model) customers(w int) section {
	list := m.listed()
	title := "CUSTOMERS"
	switch {
	case m.filter != "":
		title += fmt.Sprintf(" with %q (esc: all)", m.filter)
	case len(m.snap.Batches) > 0:
		b := m.snap.Batches[m.batch]
		gate, _ := m.snap.Gate(b, m.clock)
		title += " of " + clean(b.Name) + ". " + clean(gate)
	}
	at := m.index(list)
	id := min(24, w/4)
	return section{title: title, total: len(list), least: 4, at: at, line: func(i int) string {
		c := list[i]
		state := c.State()
		text := c.Words()
		switch {
		case state == board.Checking || state == board.CanGoBack:
			if !c.Status.Until.IsZero() {
				text += " until " + m.clock.Brief(c.Status.Until)
			}
		case state == board.Moving || state == board.GoingBack:
			if !c.Status.Since.IsZero() {
				text += " for " + printer.Duration(m.now.Sub(c.Status.Since))
			}
			text += tries(c.Status)
		case c.Status.Reason != "":
			text += ": " + clean(c.Status.Reason)
		}
		name := ""
		if w >= 100 {
			name = fit(clean(c.Status.Name), w/5) + " "
		}
		line := fmt.Sprintf("%s %s %s %s%s", m.mark(onCustomers, i == at), colours[state].Render(state.Sign()), fit(clean(c.Status.ID), id),
			name, text)
		return m.light(onCustomers, i == at, fit(line, w))
	}}
}

func tries(c migration.CustomerStatus) string {
	if c.Tries < 2 {
		return ""
	}
	return fmt.Sprintf(", try %d", c.Tries)
}

// events is the log: what the migration has written down and what was seen to change, the last at
// the end.
func (m Model) events(w int) section {
	list := slices.Concat(m.snap.Status.Timeline, m.log)
	slices.SortStableFunc(list, func(a, b migration.Event) int { return a.At.Compare(b.At) })
	return section{title: "LOG", total: len(list), least: 3, at: len(list) - 1, line: func(i int) string {
		return fit(m.event(list[i], "15:04:05"), w)
	}}
}

// event is a line of a log. One of another day has its date.
func (m Model) event(e migration.Event, layout string) string {
	at, now := e.At.In(m.clock.Zone), m.now.In(m.clock.Zone)
	stamp := at.Format(layout)
	if at.YearDay() != now.YearDay() || at.Year() != now.Year() {
		stamp = at.Format("2 Jan 15:04")
	}
	text := clean(e.What)
	if e.By != "" {
		text += ", by " + clean(e.By)
	}
	if e.Why != "" {
		text += ": " + clean(e.Why)
	}
	return stamp + "  " + text
}
