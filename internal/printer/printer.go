// Package printer puts lists in the form a person or a program asked for: a table that fits the
// terminal, JSON, YAML or CSV. It knows nothing of what is in them.
package printer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Format is how something is printed.
type Format string

// The formats.
const (
	AsTable Format = "table"
	AsJSON  Format = "json"
	AsYAML  Format = "yaml"
	AsCSV   Format = "csv"
)

// Formats are all formats, as a help text names them.
const Formats = "table|json|yaml|csv"

// Parse reads the name of a format.
func Parse(s string) (Format, error) {
	switch f := Format(s); f {
	case AsTable, AsJSON, AsYAML, AsCSV:
		return f, nil
	default:
		return "", fmt.Errorf("output format %q is none of %s", s, Formats)
	}
}

// gap is what stands between two columns.
const gap = 2

// Column of a table.
type Column struct {
	Name  string
	Right bool // numbers
	Give  bool // may be cut, ending in "…", where the table is too wide
	Least int  // but not below so many characters
}

// Table is a list for people, and for CSV.
type Table struct {
	Columns []Column
	Rows    [][]string
}

// Add appends a row; its cells are formatted as fmt.Sprint does.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.Rows = append(t.Rows, row)
}

// Print writes v as JSON or YAML, or t as a table of at most Width characters or as CSV.
func Print(w io.Writer, f Format, v any, t *Table) error {
	switch f {
	case AsJSON:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return err
		}
		_, err := io.WriteString(w, escaped(b.String()))
		return err
	case AsYAML:
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if b, err = yaml.JSONToYAML(b); err != nil {
			return err
		}
		_, err = io.WriteString(w, Plain(string(b)))
		return err
	case AsCSV:
		return t.csv(w)
	default:
		_, err := io.WriteString(w, t.String())
		return err
	}
}

func (t *Table) csv(w io.Writer) error {
	head := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = strings.ToLower(c.Name)
	}
	return CSV(w, head, t.Rows)
}

// String renders the table, every line at most Width characters and ended by a newline.
func (t *Table) String() string {
	widths := t.fit()
	out := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", strings.Repeat(" ", gap)
	style.Format.Header = text.FormatDefault
	out.SetStyle(style)
	head := make(table.Row, len(t.Columns))
	configs := make([]table.ColumnConfig, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = c.Name
		align := text.AlignLeft
		if c.Right {
			align = text.AlignRight
		}
		configs[i] = table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align, WidthMax: widths[i], WidthMaxEnforcer: cut}
	}
	out.SetColumnConfigs(configs)
	out.AppendHeader(head)
	for _, r := range t.Rows {
		row := make(table.Row, len(r))
		for i, cell := range r {
			row[i] = cut(oneLine(cell), widths[i])
		}
		out.AppendRow(row)
	}
	lines := strings.Split(out.Render(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// fit gives the width of every column: what its cells need, less what the columns that may give
// have to.
func (t *Table) fit() []int {
	widths := make([]int, len(t.Columns))
	total := gap * (len(t.Columns) - 1)
	for i, c := range t.Columns {
		widths[i] = text.StringWidthWithoutEscSequences(c.Name)
		for _, r := range t.Rows {
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(oneLine(r[i])))
		}
		total += widths[i]
	}
	for total > Width {
		widest := -1 // of those that can still give
		for i, c := range t.Columns {
			if c.Give && widths[i] > max(c.Least, 4) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
		total--
	}
	return widths
}

func cut(s string, width int) string {
	if text.StringWidthWithoutEscSequences(s) <= width {
		return s
	}
	return text.Snip(s, width, "…")
}

// oneLine is Plain on one line.
func oneLine(s string) string { return strings.Join(strings.Fields(Plain(s)), " ") }

// Wrap breaks text at spaces into lines of at most Width characters, all indented.
func Wrap(indent, s string) string {
	wrapped := text.WrapSoft(oneLine(s), Width-len(indent))
	lines := strings.Split(wrapped, "\n")
	for i, l := range lines {
		lines[i] = indent + strings.TrimSpace(l)
	}
	return strings.Join(lines, "\n") + "\n"
}

// Bytes is a size for people, in powers of 1024.
func Bytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	div, exp := int64(unit), 0
	for v := n / unit; v >= unit && exp < 5; v /= unit {
		div *= unit
		exp++
	}
	return fmt.Sprintf("%.1f %ciB", float64(n)/float64(div), "KMGTPE"[exp])
}
