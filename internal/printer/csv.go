package printer

import (
	"encoding/csv"
	"io"
	"regexp"
	"strings"
	"unicode"
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
// outside (https://owasp.org/www-community/attacks/CSV_Injection). Where people write decimals with
// a comma, spreadsheets divide cells at semicolons, too: what comes after one is a cell there. A
// number below 0 becomes a text by it: no list of Drover's has one.
func plainCell(s string) string {
	s = Plain(s)
	if begins(s, "\t\r\n|%") || formula.MatchString(strings.TrimLeftFunc(s, unicode.IsSpace)) {
		s = "'" + s
	}
	return laterCell.ReplaceAllString(s, "$1'$2")
}

// How a formula begins, in the forms of these characters that are as wide as Chinese ones too.
const formulaStart = `[=+\-@＝＋－＠]`

var (
	formula   = regexp.MustCompile(`^` + formulaStart)
	laterCell = regexp.MustCompile(`([;\t\r\n][\s"]*)(` + formulaStart + `)`)
)

func begins(s, with string) bool { return s != "" && strings.IndexByte(with, s[0]) >= 0 }
