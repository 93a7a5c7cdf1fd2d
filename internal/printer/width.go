package printer

import (
	"os"
	"strconv"

	"golang.org/x/term"
)

// Width is the width in characters that tables and paragraphs keep to: 80, unless the program that
// prints has set it for its terminal.
var Width = usualWidth

const (
	usualWidth = 80
	leastWidth = 40 // narrower is no terminal that anybody reads a table on
)

// FitTerminal sets Width to that of the terminal that out is, or to COLUMNS where that is set. What
// goes into a file or a pipe keeps the usual width.
func FitTerminal(out *os.File) {
	n, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil {
		if n, _, err = term.GetSize(int(out.Fd())); err != nil || n == 0 { // a terminal that nobody gave a size says 0
			n = usualWidth
		}
	}
	Width = max(n, leastWidth)
}
