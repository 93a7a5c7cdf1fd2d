package printer_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/printer"
)

type line struct {
	Name string `json:"name"`
	N    int    `json:"count"`
}

func sample(reason string) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{{Name: "NAME", Give: true, Least: 8}, {Name: "N", Right: true},
		{Name: "REASON", Give: true}}}
	t.Add("acme", 7, reason)
	t.Add("globex", 1200, "")
	return t
}

func TestATableIsAlignedWithoutTrailingSpace(t *testing.T) {
	require.Equal(t, "NAME       N  REASON\nacme       7  slow\nglobex  1200\n", sample("slow").String())
}

func TestATableNeverIsWiderThanTheTerminal(t *testing.T) {
	got := sample(strings.Repeat("the destination does not answer ", 10)).String()
	for l := range strings.Lines(got) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(l, "\n")), printer.Width, l)
	}
	require.Contains(t, got, "…")
	require.Contains(t, got, "acme")
}

func TestWideCharactersCountTwice(t *testing.T) {
	tab := &printer.Table{Columns: []printer.Column{{Name: "NAME", Give: true}}}
	tab.Add(strings.Repeat("客户", 60))
	row := strings.Split(tab.String(), "\n")[1]
	require.LessOrEqual(t, utf8.RuneCountInString(row), 41)
}

func TestEveryFormatSaysTheSame(t *testing.T) {
	v := []line{{"acme", 7}, {"globex", 1200}}
	for f, want := range map[printer.Format]string{
		printer.AsJSON: "[\n  {\n    \"name\": \"acme\",\n    \"count\": 7\n  },\n  {\n    \"name\": \"globex\",\n    \"count\": 1200\n " +
			" }\n]\n",
		printer.AsYAML: "- name: acme\n  count: 7\n- name: globex\n  count: 1200\n",
		printer.AsCSV:  "\ufeffname,n,reason\r\nacme,7,\"slow, very\"\r\nglobex,1200,\r\n",
	} {
		var b bytes.Buffer
		require.NoError(t, printer.Print(&b, f, v, sample("slow, very")))
		require.Equal(t, want, b.String(), f)
	}
}

// A name or a reason that a spreadsheet would carry out is a text there.
func TestASpreadsheetRunsNoCell(t *testing.T) {
	for cell, want := range map[string]string{
		"=1+1": "'=1+1", "+380 44 123": "'+380 44 123", "-cmd": "'-cmd", "@SUM(A1)": "'@SUM(A1)", " =1+1": "' =1+1", "\t=1": "'\t'=1",
		"7": "7", "0.25": "0.25", "": "", "Müller": "Müller", "a=b": "a=b", "-5+cmd": "'-5+cmd",
		"＝1+1": "'＝1+1", "x;=1+1": "x;'=1+1", "x; \"@SUM(A1)": "x; \"'@SUM(A1)", "one\n-two": "one\n'-two", "a; b - c": "a; b - c",
		"\x00=1+1": "'=1+1",
	} {
		var b bytes.Buffer
		require.NoError(t, printer.CSV(&b, []string{"cell", "n"}, [][]string{{cell, "1"}}))
		read, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(b.String(), "\ufeff"))).ReadAll()
		require.NoError(t, err)
		require.Equal(t, want, read[1][0], "%q", cell)
		require.True(t, strings.HasPrefix(b.String(), "\ufeff"), "a spreadsheet reads UTF-8 only with a byte order mark")
	}
}

// A reason is whatever somebody wrote or some server answered.
func TestNothingThatIsPrintedIsObeyedByATerminal(t *testing.T) {
	const reason = "\x1b[2J\x1b]52;c;cm0gLXJm\x07gone \u009b31m\x7f\u202eevil\u2066\tлише текст\r\nsecond"
	require.Equal(t, "[2J]52;c;cm0gLXJmgone 31mevil\tлише текст\r\nsecond", printer.Plain(reason))
	for what, text := range map[string]string{"table": sample(reason).String(), "paragraph": printer.Wrap("  ", reason)} {
		require.NotRegexp(t, `[\x00-\x09\x0b-\x1f\x7f-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]`, text, what)
		require.Contains(t, text, "gone", what)
	}
	for _, f := range []printer.Format{printer.AsJSON, printer.AsYAML, printer.AsCSV} {
		var b bytes.Buffer
		require.NoError(t, printer.Print(&b, f, []line{{reason, 1}}, sample(reason)))
		require.NotRegexp(t, `[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]`, b.String(), f)
	}
}

func TestAnUnknownFormatNamesTheKnownOnes(t *testing.T) {
	_, err := printer.Parse("xml")
	require.EqualError(t, err, `output format "xml" is none of table|json|yaml|csv`)
}

func TestWrappedTextKeepsItsIndent(t *testing.T) {
	got := printer.Wrap("    ", strings.Repeat("word ", 40))
	for l := range strings.Lines(got) {
		require.True(t, strings.HasPrefix(l, "    word"), "%q", l)
		require.LessOrEqual(t, len(strings.TrimRight(l, "\n")), printer.Width)
	}
}

func TestSizesForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1 << 40: "1.0 TiB"} {
		require.Equal(t, want, printer.Bytes(n))
	}
}
