package printer

import (
	"fmt"
	"strings"
	"unicode"
)

// Plain is a text without what a terminal would obey, and without the characters that show what
// follows in another order than it is written: names, reasons and the answers of other systems come
// from outside. Tabs and line breaks stay; what is left of an escape sequence is shown.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		if obeyed(r) {
			return -1
		}
		return r
	}, s)
}

// escaped is JSON that says the same without such characters. They stand in texts only.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if obeyed(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func obeyed(r rune) bool {
	return r != '\n' && r != '\r' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r))
}
