package plans

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Columns of a customers file. Lists are separated by semicolons; label.KEY columns give labels,
// empty cells none.
const (
	colID        = "id"
	colTenant    = "tenant"
	colHost      = "host"
	colWorkloads = "workloads"
	colDatasets  = "datasets"
	labelColumn  = "label."
)

var (
	csvRequired = []string{colID, colHost, colWorkloads}
	csvUsual    = strings.Join([]string{colID, colTenant, colHost, colWorkloads, colDatasets}, ",")
	csvOptional = []string{colTenant, colDatasets, "name", "zone", "contact", "blackouts"}
)

// csvPositions finds the cells of customers in their file.
type csvPositions struct {
	file    string
	columns []string
	rows    [][][2]int // customer, column -> line and column of the cell
}

// locate finds the cell of a place below customers.
func (c *csvPositions) locate(steps []*node) (file string, line, column int) {
	if steps[0].index >= len(c.rows) {
		return c.file, 0, 0
	}
	row, want := c.rows[steps[0].index], colID
	if len(steps) > 1 {
		want = steps[1].key
	}
	if len(steps) > 2 { // match.host, uses.workloads, uses.datasets, labels.KEY
		want = steps[2].key
		if steps[1].key == "labels" {
			want = labelColumn + steps[2].key
		}
	}
	at := max(0, slices.Index(c.columns, want))
	if at >= len(row) {
		at = 0
	}
	return c.file, row[at][0], row[at][1]
}

// table reads a CSV file as spreadsheets write it, row by row.
type table struct {
	r      *csv.Reader
	header []string // without what is empty at its end
	lines  [][]byte
	above  int           // lines that stand above what r reads
	signs  map[int][]int // withoutSigns
}

// openTable reads the header. UTF-16, a mark of the byte order, semicolons and tabs between cells
// and Excel's line that names the separator are understood.
func openTable(file string, text []byte) (*table, *Problem) {
	text, bad := asUTF8(text)
	if bad != nil {
		bad.File = file
		return nil, bad
	}
	t := &table{lines: bytes.Split(text, []byte("\n"))}
	comma := separator(text)
	if first := bytes.TrimRight(t.lines[0], "\r"); len(first) == len("sep=")+1 && bytes.EqualFold(first[:4], []byte("sep=")) {
		comma, t.above = rune(first[4]), 1
		text = text[min(len(text), len(t.lines[0])+1):]
	}
	text, t.signs = withoutSigns(text, byte(comma))
	t.r = csv.NewReader(bytes.NewReader(text))
	t.r.FieldsPerRecord = -1
	t.r.Comma = comma
	header, err := t.r.Read()
	if err != nil {
		p := csvProblem(file, err)
		p.Line += t.above
		return nil, &p
	}
	t.header = header[:filled(header)]
	return t, nil
}

// next is the next row that is not empty, with the line and column of each cell; io.EOF: there is
// none.
func (t *table) next() (row []string, at [][2]int, err error) {
	for filled(row) == 0 { // a row that a spreadsheet believes to be in use
		if row, err = t.r.Read(); err != nil {
			return nil, nil, err
		}
	}
	at = make([][2]int, len(row))
	for i := range row {
		at[i] = t.place(i)
		if bare, ok := strings.CutPrefix(row[i], `="`); ok && strings.HasSuffix(bare, `"`) { // written as "=""0017"""
			row[i] = strings.TrimSuffix(bare, `"`)
		}
	}
	return row, at, nil
}

// withoutSigns takes the "=" from cells like ="0017", by which other systems have Excel keep a
// text: to a reader of CSV a quote may only begin a cell. It returns by line (from 1) where they
// stood.
func withoutSigns(text []byte, comma byte) ([]byte, map[int][]int) {
	out, signs := make([]byte, 0, len(text)), map[int][]int{}
	quoted, first, line, begun := false, true, 1, 0
	for i, c := range text {
		switch {
		case quoted: // a quote in a text is written twice, which leaves it and comes back
			quoted = c != '"'
		case c == '"':
			quoted = first || i > 0 && text[i-1] == '"'
		case first && c == '=' && i+1 < len(text) && text[i+1] == '"':
			signs[line] = append(signs[line], len(out)-begun)
			continue
		}
		out = append(out, c)
		first = !quoted && (c == comma || c == '\n')
		if c == '\n' {
			line, begun = line+1, len(out)
		}
	}
	return out, signs
}

// place is the line and column of a cell of the row that was read last.
func (t *table) place(cell int) [2]int {
	line, at := t.r.FieldPos(cell)
	begins := at - 1
	for _, sign := range t.signs[line] {
		if sign < begins {
			at++
		}
	}
	line += t.above
	return [2]int{line, 1 + utf8.RuneCount(t.lines[line-1][:min(at-1, len(t.lines[line-1]))])}
}

// readCustomersFile decodes customers from CSV. Its problems carry lines of that file.
func (s *source) readCustomersFile(file string, text []byte) []Customer {
	t, bad := openTable(file, text)
	if bad != nil {
		s.add(*bad)
		s.lost((*node)(nil).at("customers"))
		return nil
	}
	for i, h := range t.header { // a spreadsheet begins words with capital letters
		if low := strings.ToLower(strings.TrimSpace(h)); knownColumn(low) {
			t.header[i] = low
		}
	}
	s.csv = &csvPositions{file: file, columns: t.header}
	if !s.checkHeader(t) {
		return nil
	}
	all, whole := s.readRecords(file, t)
	if len(all) == 0 {
		if whole {
			s.add(Problem{File: file, Line: 1, Column: 1, Message: "no customers", Want: "at least 1"})
		}
		s.lost((*node)(nil).at("customers"))
	}
	return all
}

// knownColumn says whether a customers file may have this column.
func knownColumn(h string) bool {
	key, label := strings.CutPrefix(h, labelColumn)
	return label && scalars[typeOf[Name]()].pattern.MatchString(key) || slices.Contains(csvRequired, h) || slices.Contains(csvOptional, h)
}

// readRecords reads the customers below the header. It is not whole if the file could not be read
// to its end.
func (s *source) readRecords(file string, t *table) (all []Customer, whole bool) {
	for {
		record, cells, err := t.next()
		if errors.Is(err, io.EOF) {
			return all, true
		}
		if err != nil {
			p := csvProblem(file, err)
			p.Line += t.above
			s.add(p)
			return all, false
		}
		s.csv.rows = append(s.csv.rows, cells)
		at := (*node)(nil).at("customers").item(len(all))
		if len(record) < len(t.header) || filled(record) > len(t.header) {
			// Which of the cells is missing, or too many, nobody knows: none is read.
			s.fail(at, Problem{Message: "wrong number of cells", Found: fmt.Sprint(len(record)),
				Want: fmt.Sprintf("%d, as in the header", len(t.header))})
			all = append(all, Customer{})
			continue
		}
		all = append(all, s.readRecord(t.header, record, at))
	}
}

// filled is the number of cells up to the last that is not empty.
func filled(record []string) int {
	n := len(record)
	for n > 0 && strings.TrimSpace(record[n-1]) == "" {
		n--
	}
	return n
}

// separator is what stands between the cells: a comma, or where the first line has more of them, a
// semicolon or a tab. A spreadsheet takes what its country writes.
func separator(text []byte) rune {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	best := ','
	for _, c := range ";\t" {
		if bytes.Count(first, []byte(string(c))) > bytes.Count(first, []byte(string(best))) {
			best = c
		}
	}
	return best
}

const saveAs = `save it from the spreadsheet as "CSV UTF-8 (comma delimited)"`

// asUTF8 is the text of a file that a spreadsheet may have written in UTF-16. A workbook, and a
// text in the characters of one country, are a problem with its remedy.
func asUTF8(text []byte) ([]byte, *Problem) {
	switch {
	case bytes.HasPrefix(text, []byte("PK\x03\x04")), bytes.HasPrefix(text, []byte("\xd0\xcf\x11\xe0")):
		return nil, &Problem{Message: "a spreadsheet's workbook, and no CSV", Hint: saveAs}
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		text = fromUTF16(text[2:], binary.LittleEndian)
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		text = fromUTF16(text[2:], binary.BigEndian)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if at := firstBad(text); at >= 0 {
		line, column := lineColumn(text, at)
		p := Problem{Line: line, Column: column, Message: "not a text in UTF-8", Hint: saveAs}
		gaps := []byte{0, 0x81, 0x8d, 0x8f, 0x90, 0x9d} // that character set has no others
		if !slices.ContainsFunc(text, func(b byte) bool { return bytes.IndexByte(gaps, b) >= 0 }) {
			p.Message += ", but in Windows-1252 or its like"
		}
		return nil, &p
	}
	return text, nil
}

// fromUTF16 gives the replacement character for what is no UTF-16, and so for an odd byte at the
// end.
func fromUTF16(text []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, 0, len(text)/2+1)
	for ; len(text) > 1; text = text[2:] {
		units = append(units, order.Uint16(text))
	}
	if len(text) > 0 {
		units = append(units, utf8.RuneError)
	}
	return []byte(string(utf16.Decode(units)))
}

func csvProblem(file string, err error) Problem {
	p := Problem{File: file, Message: "not CSV", Want: "a header " + csvUsual + " and a line a customer"}
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return p
	}
	p.Line, p.Column = parse.Line, parse.Column
	p.Message = "not CSV: " + parse.Err.Error()
	if parse.StartLine != parse.Line { // the reader has gone on to look for the end of a text
		p.Line, p.Column = parse.StartLine, 1
		p.Message = "not CSV: a quote that begins in this line's row is not closed"
	}
	return p
}

func (s *source) checkHeader(t *table) bool {
	ok, known := true, append(slices.Clone(csvRequired), csvOptional...)
	for i, h := range t.header {
		at := t.place(i)
		p := Problem{File: s.csv.file, Line: at[0], Column: at[1]}
		switch {
		case slices.Index(t.header, h) < i:
			p.Message = fmt.Sprintf("column %s is given twice", quoted(h))
		case knownColumn(h):
			continue
		case strings.HasPrefix(h, labelColumn):
			p.Message, p.Found, p.Want = "not valid", quoted(h), labelColumn+"KEY, where KEY is "+scalars[typeOf[Name]()].want
		default:
			p.Message, p.Hint, p.Want = "unknown column "+quoted(h), didYouMean(h, known),
				"one of "+listed(append(known, labelColumn+"KEY"))
		}
		ok = false
		s.add(p)
	}
	for _, want := range csvRequired {
		if !slices.Contains(t.header, want) {
			ok = false
			s.add(Problem{File: s.csv.file, Line: 1, Column: 1, Message: fmt.Sprintf("column %q is missing", want)})
		}
	}
	return ok
}

func (s *source) readRecord(header, record []string, at *node) (c Customer) {
	c.Labels = map[Name]LabelVal{}
	for i, cell := range record[:min(len(record), len(header))] {
		h := header[i]
		cell = strings.TrimSpace(cell)
		if key, ok := strings.CutPrefix(h, labelColumn); ok {
			var k Name
			var v LabelVal
			if cell != "" {
				place := at.ats("labels", key)
				s.readCell(key, &k, place)
				s.readCell(cell, &v, place)
				c.Labels[k] = v
			}
			continue
		}
		switch h {
		case colID:
			s.readCell(cell, &c.ID, at.at(h))
		case colTenant:
			if cell != "" {
				s.readInt(cell, reflect.ValueOf(&c.Tenant).Elem(), at.at(h), fieldOf[Customer](h))
			}
		case colHost:
			c.Match.Host = readCells[Host](s, strings.ToLower(cell), at.ats("match", h), fieldOf[Match](h))
		case colWorkloads:
			c.Uses.Workloads = readCells[Name](s, cell, at.ats("uses", h), fieldOf[Uses](h))
		case colDatasets:
			if cell == "" {
				continue
			}
			c.Uses.Datasets = readCells[Name](s, cell, at.ats("uses", h), fieldOf[Uses](h))
		case "name":
			s.readOptional(cell, &c.Name, at.at(h))
		case "zone":
			s.readOptional(cell, &c.Zone, at.at(h))
		case "contact":
			s.readOptional(cell, &c.Contact, at.at(h))
		case "blackouts":
			if cell != "" {
				c.Blackouts = readCells[Days](s, cell, at.at(h), fieldOf[Customer](h))
			}
		}
	}
	return c
}

func (s *source) readOptional(cell string, out any, at *node) {
	if cell != "" {
		s.readCell(cell, out, at)
	}
}

// readCell reads a cell into a pointer to one of the scalars.
func (s *source) readCell(cell string, out any, at *node) {
	v := reflect.ValueOf(out).Elem()
	s.readScalar(cell, v, at, field{}, scalars[v.Type()])
}

// fieldOf is what is said of a key of T, for YAML and CSV alike.
func fieldOf[T any](name string) field {
	all := fieldsOf(typeOf[T]())
	return all[slices.IndexFunc(all, func(f field) bool { return f.name == name })]
}

func readCells[T ~string](s *source, cell string, at *node, f field) []T {
	if cell == "" {
		s.fail(at, Problem{Message: "empty cell", Want: "at least 1; several are separated by semicolons"})
		return nil
	}
	if strings.Contains(cell, ",") && !strings.Contains(cell, ";") {
		s.fail(at, Problem{Message: "several in one cell are separated by semicolons", Found: quoted(cell)})
		return nil
	}
	parts := strings.Split(cell, ";")
	s.checkCount(at, len(parts), f)
	out := make([]T, len(parts))
	for i, p := range parts {
		s.readCell(strings.TrimSpace(p), &out[i], at.item(i))
	}
	return out
}
