package plans

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Export is a list of customers as another system wrote it, brought into the form of a customers
// file.
type Export struct {
	Customers []Exported
	Taken     map[string]string // of the file's columns, by ours: which became which
	LeftOut   []string          // columns that are not taken, each with the reason
}

// Exported is a customer of an export.
type Exported struct {
	ID, Name, Zone, Contact    string
	Tenant                     int64 // 0: the export has none
	Hosts, Workloads, Datasets []string
	Labels                     map[string]string
}

// alsoCalled are the names that other systems give to our columns, in lower case and without what
// is no letter or digit.
var alsoCalled = map[string][]string{
	colID: {"id", "customer", "customerid", "customercode", "customerkey", "account", "accountid", "client", "clientid", "slug", "code",
		"key", "shortname"},
	"name": {"name", "customername", "company", "companyname", "accountname", "clientname", "organisation", "organization",
		"displayname"},
	colTenant: {"tenant", "tenantid", "tenantno", "tenantnumber"},
	colHost: {"host", "hosts", "hostname", "hostnames", "domain", "domains", "url", "urls", "fqdn", "website", "site", "address",
		"subdomain"},
	"zone":       {"zone", "timezone", "tz"},
	"contact":    {"contact", "contacts", "email", "mail", "emailaddress", "contactemail"},
	colWorkloads: {"workloads", "workload"},
	colDatasets:  {"datasets", "dataset"},
}

// MostLabels is how many values a column may have to become a label: what differs from customer to
// customer selects nobody.
const MostLabels = 20

// ReadExport reads customers from CSV with whatever columns it has. columns says which of them is
// ours where its name does not say it: {"id": "Kundennummer"}. Its problems carry the lines of the
// file.
func ReadExport(file string, text []byte, columns map[string]string) (*Export, Problems) {
	t, bad := openTable(file, text)
	if bad != nil {
		return nil, Problems{*bad}
	}
	e := exporter{file: file, t: t, of: map[string]int{}, out: &Export{Taken: map[string]string{}}, ids: map[string]int{}}
	for i := range t.header {
		t.header[i] = strings.TrimSpace(t.header[i])
	}
	e.match(columns)
	if len(e.problems) == 0 {
		e.read()
	}
	if len(e.problems) > 0 {
		return nil, e.problems.sorted()
	}
	e.label()
	return e.out, nil
}

type exporter struct {
	file     string
	t        *table
	of       map[string]int // our columns -> theirs
	rows     [][]string
	ids      map[string]int // line of each
	out      *Export
	problems Problems
}

func (e *exporter) problem(at [2]int, p Problem) {
	p.File, p.Line, p.Column = e.file, at[0], at[1]
	e.problems = append(e.problems, p)
}

// match finds our columns: as the caller says, else by their names.
func (e *exporter) match(columns map[string]string) {
	for _, ours := range slices.Sorted(maps.Keys(columns)) {
		if _, known := alsoCalled[ours]; !known {
			e.problem([2]int{1, 1}, Problem{Message: fmt.Sprintf("no customer has %s", quoted(ours)), Hint: didYouMean(ours, ourColumns()),
				Want: "one of " + listed(ourColumns())})
			continue
		}
		i := slices.IndexFunc(e.t.header, func(h string) bool { return strings.EqualFold(h, columns[ours]) })
		if i < 0 {
			e.problem([2]int{1, 1}, Problem{Message: fmt.Sprintf("there is no column %s", quoted(columns[ours])),
				Hint: didYouMean(columns[ours], e.t.header), Want: "one of " + listed(e.t.header)})
			continue
		}
		e.of[ours] = i
	}
	taken := slices.Collect(maps.Values(e.of))
	for ours, names := range alsoCalled {
		if _, said := e.of[ours]; said {
			continue
		}
		for _, name := range names { // the first of them is the surest
			i := slices.IndexFunc(e.t.header, func(h string) bool { return letters(h) == name })
			if i >= 0 && !slices.Contains(taken, i) {
				e.of[ours] = i
				break
			}
		}
	}
	_, id := e.of[colID]
	_, name := e.of["name"]
	_, host := e.of[colHost]
	if len(e.problems) == 0 && !host {
		e.problem([2]int{1, 1}, Problem{Message: "no column is known as the customers' hosts", Found: listed(e.t.header),
			Want: "one that is called host, domain or url", Hint: "say which it is: --column host=NAME"})
	}
	if len(e.problems) == 0 && !id && !name {
		e.problem([2]int{1, 1}, Problem{Message: "no column is known as the customers' ids or names", Found: listed(e.t.header),
			Want: "one that is called id, customer, code or name", Hint: "say which it is: --column id=NAME"})
	}
	for ours, i := range e.of {
		e.out.Taken[ours] = e.t.header[i]
	}
}

func ourColumns() []string { return slices.Sorted(maps.Keys(alsoCalled)) }

// letters is a column's name without what people write differently.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

func (e *exporter) read() {
	for {
		row, at, err := e.t.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p := csvProblem(e.file, err)
			p.Line, p.Want = p.Line+e.t.above, "a header and a line a customer"
			e.problems = append(e.problems, p)
			return
		}
		if len(row) < len(e.t.header) || filled(row) > len(e.t.header) {
			e.problem(at[0], Problem{Message: "wrong number of cells", Found: strconv.Itoa(len(row)),
				Want: fmt.Sprintf("%d, as in the header", len(e.t.header))})
			continue
		}
		e.rows = append(e.rows, row)
		e.customer(row, at)
	}
	if len(e.rows) == 0 && len(e.problems) == 0 {
		e.problem([2]int{1, 1}, Problem{Message: "no customers", Want: "at least 1"})
	}
}

func (e *exporter) customer(row []string, at [][2]int) {
	cell := func(ours string) string {
		if i, ok := e.of[ours]; ok {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	place := func(ours string) [2]int { return at[e.of[ours]] }
	c := Exported{Name: oneLine(cell("name")), Zone: cell("zone"), Contact: oneLine(cell("contact")), Labels: map[string]string{}}
	from := colID
	if _, ok := e.of[colID]; !ok {
		from = "name"
	}
	if c.ID = NameOf(cell(from)); c.ID == "" {
		e.problem(place(from), Problem{Message: "a customer without an id", Found: quoted(cell(from)),
			Want: "a text of which letters, digits and hyphens make a name"})
	} else if first, twice := e.ids[c.ID]; twice {
		e.problem(place(from), Problem{Message: fmt.Sprintf("customer %q is there twice", c.ID), Found: quoted(cell(from)),
			Hint: fmt.Sprintf("the first is in line %d", first)})
	} else {
		e.ids[c.ID] = place(from)[0]
	}
	if text := cell(colTenant); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if lo, hi := fieldOf[Customer](colTenant).min, fieldOf[Customer](colTenant).max; err != nil || n < *lo || n > *hi {
			e.problem(place(colTenant), Problem{Message: "no tenant", Found: quoted(text),
				Want: fmt.Sprintf("an integer from %d to %d", *lo, *hi)})
		}
		c.Tenant = n
	}
	for _, h := range several(cell(colHost)) {
		host := asHost(h)
		if host == "" {
			e.problem(place(colHost), Problem{Message: "no host", Found: quoted(h), Want: scalars[typeOf[Host]()].want})
			continue
		}
		if !slices.Contains(c.Hosts, host) {
			c.Hosts = append(c.Hosts, host)
		}
	}
	if len(c.Hosts) == 0 && cell(colHost) == "" {
		e.problem(place(colHost), Problem{Message: "a customer without a host", Want: "at least 1"})
	}
	if c.Zone != "" && !isA[Zone](c.Zone) {
		e.problem(place("zone"), Problem{Message: "no time zone", Found: quoted(c.Zone), Want: scalars[typeOf[Zone]()].want})
	}
	for _, w := range several(cell(colWorkloads)) {
		c.Workloads = append(c.Workloads, NameOf(w))
	}
	for _, d := range several(cell(colDatasets)) {
		c.Datasets = append(c.Datasets, NameOf(d))
	}
	e.out.Customers = append(e.out.Customers, c)
}

// label makes labels of the columns that are nothing else and have few values.
func (e *exporter) label() {
	taken := slices.Collect(maps.Values(e.of))
	for i, h := range e.t.header {
		if slices.Contains(taken, i) || h == "" {
			continue
		}
		key, values := NameOf(strings.TrimPrefix(strings.ToLower(h), labelColumn)), map[string]bool{}
		why := ""
		for _, row := range e.rows {
			v := asLabel(row[i])
			if strings.TrimSpace(row[i]) != "" && v == "" {
				why = "its values are no labels"
			}
			values[v] = true
		}
		delete(values, "")
		_, used := e.out.Taken[labelColumn+key]
		switch {
		case key == "" || used:
			why = "no label can be called so"
		case why == "" && len(values) == 0:
			why = "it is empty"
		case why == "" && (len(values) > MostLabels || len(values) > 3 && len(values) == len(e.rows)):
			why = fmt.Sprintf("it has %d values", len(values))
		}
		if why != "" {
			e.out.LeftOut = append(e.out.LeftOut, fmt.Sprintf("%s: %s", oneLine(h), why))
			continue
		}
		e.out.Taken[labelColumn+key] = h
		for n, row := range e.rows {
			if v := asLabel(row[i]); v != "" {
				e.out.Customers[n].Labels[key] = v
			}
		}
	}
}

// CSV is the customers as a file that a plan may name.
func (e *Export) CSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	columns := []string{colID, "name", colTenant, colHost, colWorkloads, colDatasets, "zone", "contact"}
	cells := func(c Exported) map[string]string {
		out := map[string]string{
			colID: c.ID, "name": c.Name, colHost: strings.Join(c.Hosts, ";"), colWorkloads: strings.Join(c.Workloads, ";"),
			colDatasets: strings.Join(c.Datasets, ";"), "zone": c.Zone, "contact": c.Contact,
		}
		if c.Tenant != 0 {
			out[colTenant] = strconv.FormatInt(c.Tenant, 10)
		}
		for k, v := range c.Labels {
			out[labelColumn+k] = v
		}
		return out
	}
	filled := map[string]bool{colID: true, colHost: true, colWorkloads: true}
	for _, c := range e.Customers {
		for k, v := range cells(c) {
			filled[k] = filled[k] || v != ""
		}
	}
	columns = slices.DeleteFunc(columns, func(c string) bool { return !filled[c] })
	for _, k := range slices.Sorted(maps.Keys(filled)) {
		if strings.HasPrefix(k, labelColumn) {
			columns = append(columns, k)
		}
	}
	_ = w.Write(columns) // a buffer takes everything
	for _, c := range e.Customers {
		row, all := make([]string, len(columns)), cells(c)
		for i, k := range columns {
			row[i] = all[k]
		}
		_ = w.Write(row)
	}
	w.Flush()
	return b.Bytes()
}

// Order sorts the customers as batches take them: by tenant, then by id.
func (e *Export) Order() []Exported {
	return slices.SortedStableFunc(slices.Values(e.Customers), func(a, b Exported) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
	})
}

// several are the values of a cell that lists them.
func several(cell string) []string {
	return strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(";, |\t\r\n\u00a0", r) })
}

// isA says whether a text has the form of a scalar.
func isA[T ~string](text string) bool {
	_, err := scalars[typeOf[T]()].read(typeOf[T](), text)
	return err == nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// umlauts are letters that people write in another way where they cannot have them.
var umlauts = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "æ", "ae", "ø", "oe", "å", "a", "é", "e", "è", "e", "ê", "e",
	"ç", "c", "ñ", "n", "á", "a", "à", "a", "í", "i", "ó", "o", "ú", "u")

// NameOf makes a Name of a text; "": nothing of it may be in one.
func NameOf(text string) string {
	name := strings.Trim(notInNames.ReplaceAllString(umlauts.Replace(strings.ToLower(strings.TrimSpace(text))), "-"), "-")
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}

// asLabel makes the value of a label of some words; "": there is none.
func asLabel(text string) string {
	v := strings.Join(strings.Fields(umlauts.Replace(text)), "-")
	if !isA[LabelVal](v) {
		return ""
	}
	return v
}

// asHost makes a Host of a name or of an address with a path; "": it is none.
func asHost(text string) string {
	host := strings.ToLower(text)
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host = rest
	}
	host, _, _ = strings.Cut(host, "/")
	host = strings.TrimSuffix(host, ".")
	if !isA[Host](host) {
		return ""
	}
	return host
}

// oneLine is a text without ends of lines and other signs that control something.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }), " "))
}
