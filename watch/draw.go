package watch

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
)

// section is a titled list of which only a part may be seen. Only the lines that are seen are made:
// a batch may have thousands of customers.
type section struct {
	title string
	total int // lines that there are
	least int // lines that it has at least, as far as there are so many
	at    int // the line that is always seen
	line  func(i int) string
}

// stack puts sections above each other into room lines. Each has its least; what is left goes to
// each in turn until it has all it wants. A section without lines is left out.
func stack(w, room int, sections ...section) (out []string) {
	sections = slices.DeleteFunc(sections, func(s section) bool { return s.total == 0 })
	has := make([]int, len(sections))
	left := room
	give := func(i, n int) {
		n = min(n, left)
		has[i] += n
		left -= n
	}
	for i, s := range sections {
		give(i, 1+min(s.least, s.total))
	}
	for again := true; again && left > 0; {
		again = false
		for i, s := range sections {
			if has[i] > 0 && has[i] < 1+s.total && left > 0 {
				give(i, 1)
				again = true
			}
		}
	}
	for i, s := range sections {
		out = append(out, s.draw(w, has[i])...)
	}
	return out
}

// draw is the section in so many lines, with its title.
func (s section) draw(w, room int) []string {
	if room < 2 {
		return nil
	}
	n := min(room-1, s.total)
	from := min(max(0, s.at-n/2), s.total-n)
	title := s.title
	part := ""
	if n < s.total {
		part = fmt.Sprintf(" %d-%d of %d", from+1, from+n, s.total)
	}
	out := []string{bold.Render(ansi.Truncate(title, w-len(part), "…")) + dim.Render(part)}
	for i := from; i < from+n; i++ {
		out = append(out, s.line(i))
	}
	return out
}

// bar is how many are in each state, in so many cells. A state that somebody is in has a cell at
// least while there is room.
func bar(count map[board.State]int, all, cells int) string {
	if all == 0 || cells <= 0 {
		return strings.Repeat(" ", max(cells, 0))
	}
	var b strings.Builder
	used, sum := 0, 0
	for _, s := range board.InBars {
		if count[s] == 0 {
			continue
		}
		sum += count[s]
		to := min(cells, max(sum*cells/all, used+1))
		if s == board.Waiting || sum == all {
			to = cells
		}
		b.WriteString(colours[s].Render(strings.Repeat(fills[s], to-used)))
		used = to
	}
	return b.String()
}

// fills tell the parts of a bar without colours.
var fills = map[board.State]string{
	board.Finished: "█", board.CanGoBack: "█", board.Checking: "▓", board.Moving: "▒", board.GoingBack: "▒", board.WentBack: "↩",
	board.Held: "■", board.Skipped: "◇", board.Ended: "×", board.LookedUp: "?", board.Waiting: "░",
}

// part is how far a copy is, in so many cells.
func part(p migration.Progress, cells int) string {
	switch {
	case p.Total <= 0:
		return strings.Repeat("·", cells)
	default:
		done := int(min(p.Done, p.Total) * int64(cells) / p.Total)
		return strings.Repeat("█", done) + strings.Repeat("░", cells-done)
	}
}

// fit is a line of exactly so many cells.
func fit(s string, w int) string {
	s = ansi.Truncate(s, w, "…")
	return s + strings.Repeat(" ", max(0, w-ansi.StringWidth(s)))
}

// edges is a line with something at both ends.
func edges(left, right string, w int) string {
	gap := w - ansi.StringWidth(left) - ansi.StringWidth(right)
	if gap < 1 {
		return fit(left, w)
	}
	return left + strings.Repeat(" ", gap) + right
}

// tail is the end of what is typed, if it is longer than its place.
func tail(s string, w int) string {
	r := []rune(s)
	for len(r) > 0 && ansi.StringWidth(string(r)) > w {
		r = r[1:]
	}
	return string(r)
}

// wrapped is a text in at most so many lines; an empty one is one empty line.
func wrapped(s string, w, most int) []string {
	lines := strings.Split(ansi.Wrap(s, w, ""), "\n")
	if len(lines) > most {
		lines = lines[:most]
		lines[most-1] = ansi.Truncate(lines[most-1]+"  ", w-1, "") + "…"
	}
	return lines
}

// clean is a text on one line without what a terminal would obey: reasons carry what servers and
// hooks have answered.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, ansi.Strip(s))
	return strings.Join(strings.Fields(s), " ")
}
