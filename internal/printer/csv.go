package printer

import (
	"encoding/csv"
	"io"
	"strings"
)

// byteOrderMark begins what a spreadsheet is to read as UTF-8: without it the letters of other
// languages are noise.
const byteOrderMark = "\ufeff"

// CSV writes a list that a spreadsheet opens as it is.
func CSV(w io.Writer, head []string, rows [][]string) error {
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(head); err != nil {
		return err
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = plainCell(c)
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// plainCell keeps a spreadsheet from taking a text for a formula: names and reasons come from
// outside (https://owasp.org/www-community/attacks/CSV_Injection). A number below 0 becomes a text
// by it: no list of Drover's has one.
func plainCell(s string) string {
	if begins(s, "=+-@\t\r\n|%") || begins(strings.TrimSpace(s), "=+-@") {
		return "'" + s
	}
	return s
}

func begins(s, with string) bool { return s != "" && strings.IndexByte(with, s[0]) >= 0 }
