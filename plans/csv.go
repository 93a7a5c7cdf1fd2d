package plans

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// Columns of a customers file. Lists are separated by semicolons; label.KEY columns give labels, empty cells none.
const (
	colID        = "id"
	colTenant    = "tenant"
	colHost      = "host"
	colWorkloads = "workloads"
	colDatasets  = "datasets"
	labelColumn  = "label."
)

var (
	csvRequired = []string{colID, colTenant, colHost, colWorkloads, colDatasets}
	csvOptional = []string{"name", "zone", "contact"}
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

// readCustomersFile decodes customers from CSV. Its problems carry lines of that file.
func (s *source) readCustomersFile(file string, text []byte) []Customer {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if at := firstBad(text); at >= 0 {
		line, column := lineColumn(text, at)
		s.add(Problem{File: file, Line: line, Column: column, Message: "not a text in UTF-8"})
		return nil
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		s.add(csvProblem(file, err))
		return nil
	}
	s.csv = &csvPositions{file: file, columns: header}
	if !s.checkHeader(r, header) {
		return nil
	}
	lines := bytes.Split(text, []byte("\n"))
	var all []Customer
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.add(csvProblem(file, err))
			break
		}
		cells := make([][2]int, len(record))
		for i := range record {
			line, at := r.FieldPos(i)
			cells[i] = [2]int{line, 1 + utf8.RuneCount(lines[line-1][:min(at-1, len(lines[line-1]))])}
		}
		s.csv.rows = append(s.csv.rows, cells)
		at := (*node)(nil).at("customers").item(len(all))
		if len(record) != len(header) {
			s.fail(at, Problem{Message: "wrong number of cells", Found: fmt.Sprint(len(record)), Want: fmt.Sprintf("%d, as in the header", len(header))})
		}
		all = append(all, s.readRecord(header, record, at))
	}
	if len(all) == 0 {
		s.add(Problem{File: file, Line: 1, Column: 1, Message: "no customers", Want: "at least 1"})
		s.lost((*node)(nil).at("customers"))
	}
	return all
}

func csvProblem(file string, err error) Problem {
	p := Problem{File: file, Message: "not CSV", Want: "a header " + strings.Join(csvRequired, ",") + " and a line a customer"}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		p.Line, p.Column = parse.Line, parse.Column
		p.Message = "not CSV: " + parse.Err.Error()
	}
	return p
}

func (s *source) checkHeader(r *csv.Reader, header []string) bool {
	ok, known := true, append(slices.Clone(csvRequired), csvOptional...)
	for i, h := range header {
		line, column := r.FieldPos(i)
		p := Problem{File: s.csv.file, Line: line, Column: column}
		switch {
		case slices.Index(header, h) < i:
			p.Message = fmt.Sprintf("column %s is given twice", quoted(h))
		case strings.HasPrefix(h, labelColumn) && len(h) > len(labelColumn), slices.Contains(known, h):
			continue
		default:
			p.Message, p.Hint, p.Want = "unknown column "+quoted(h), didYouMean(h, known), "one of "+listed(append(known, labelColumn+"KEY"))
		}
		ok = false
		s.add(p)
	}
	for _, want := range csvRequired {
		if !slices.Contains(header, want) {
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
			f := fieldsOf(typeOf[Customer]())
			s.readInt(cell, reflect.ValueOf(&c.Tenant).Elem(), at.at(h), f[slices.IndexFunc(f, func(f field) bool { return f.name == h })])
		case colHost:
			c.Match.Host = readCells[Host](s, cell, at.ats("match", h))
		case colWorkloads:
			c.Uses.Workloads = readCells[Name](s, cell, at.ats("uses", h))
		case colDatasets:
			c.Uses.Datasets = readCells[Name](s, cell, at.ats("uses", h))
		case "name":
			s.readOptional(cell, &c.Name, at.at(h))
		case "zone":
			s.readOptional(cell, &c.Zone, at.at(h))
		case "contact":
			s.readOptional(cell, &c.Contact, at.at(h))
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

func readCells[T ~string](s *source, cell string, at *node) []T {
	if cell == "" {
		s.fail(at, Problem{Message: "empty cell", Want: "at least 1; several are separated by semicolons"})
		return nil
	}
	parts := strings.Split(cell, ";")
	out := make([]T, len(parts))
	for i, p := range parts {
		s.readCell(strings.TrimSpace(p), &out[i], at.item(i))
	}
	return out
}
