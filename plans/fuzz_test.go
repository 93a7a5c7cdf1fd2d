package plans

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/fuzztest"
	"github.com/drover-migration/drover/migration"
)

// perByte is what a plan may have allocated for each of its bytes: YAML is read into a tree, and
// each mistake is a text.
const perByte = 64 << 10

// FuzzPlan: any text is a plan or has mistakes, the same each time; what is a plan compiles, the
// same each time; and a mistake names its place.
func FuzzPlan(f *testing.F) {
	for _, pattern := range []string{"examples/*.yaml", "testdata/valid/*.yaml", "testdata/invalid/*.yaml"} {
		for _, file := range files(f, pattern) {
			src, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 64<<10 {
			return
		}
		var p *Plan
		var problems Problems
		fuzztest.Bounded(t, len(src), perByte, func() { p, problems = Parse("plan.yaml", src, "") })
		again, same := Parse("plan.yaml", src, "")
		require.Equal(t, problems, same)
		if p == nil {
			require.NotEmpty(t, problems)
			placed(t, problems, map[string][]byte{"plan.yaml": src})
			return
		}
		require.Empty(t, problems)
		placed(t, p.Warnings(), map[string][]byte{"plan.yaml": src})
		require.Equal(t, spec(t, p), spec(t, p))
		require.Equal(t, spec(t, p), spec(t, again))
	})
}

// spec is what a plan compiles to, as it is kept; read back it is kept the same.
func spec(t *testing.T, p *Plan) string {
	t.Helper()
	s, err := Compile(p)
	require.NoError(t, err)
	body, err := s.Encode()
	require.NoError(t, err)
	var back migration.Spec
	require.NoError(t, json.Unmarshal(body, &back))
	kept, err := back.Encode()
	require.NoError(t, err)
	require.Equal(t, string(body), string(kept))
	return string(body)
}

// placed wants every problem in one of the files, at a line that it has, in one line of its own.
func placed(t *testing.T, problems Problems, of map[string][]byte) {
	t.Helper()
	for _, p := range problems {
		text, ok := of[p.File]
		require.True(t, ok, "in no file: %s", p)
		require.LessOrEqual(t, p.Line, 1+bytes.Count(text, []byte("\n"))+bytes.Count(text, []byte("\r")), "behind the end: %s", p)
		if p.Line > 0 {
			require.Positive(t, p.Column, "in no column: %s", p)
		} else if p.Path == "" {
			require.Contains(t, []string{"the file is empty", "not CSV", "a spreadsheet's workbook, and no CSV"}, p.Message, "at no place")
		}
		require.False(t, strings.ContainsFunc(p.String(), unicode.IsControl), "not one line: %q", p)
		require.True(t, utf8.ValidString(p.String()), "no text: %q", p)
	}
}

// FuzzCustomersFile: any file is read or has mistakes, which name their places. What is read is
// read the same when it is written plainly, or in UTF-16.
func FuzzCustomersFile(f *testing.F) {
	for _, file := range files(f, "testdata/invalid/*.csv") {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	wide := "id,tenant,host,workloads,datasets,label.tier,name,zone,contact,blackouts\n" +
		"acme,17,acme.example.com;a.example.com,web;api,orders,gold,\"Acme, Inc.\",Europe/Kyiv,cs@acme.example,2026-12-30..2027-01-02\n"
	for _, text := range []string{head + acme, wide, strings.ReplaceAll(head+acme, ",", "\t"), "\ufeff" + head + acme + ",,,,\n",
		string(inUTF16(head+acme, binary.BigEndian)), strings.ReplaceAll(head+acme, "\n", "\r\n"), "PK\x03\x04"} {
		f.Add([]byte(text))
	}
	plan, err := os.ReadFile("testdata/invalid/csv-mistakes.yaml")
	require.NoError(f, err)
	plan = bytes.ReplaceAll(plan, []byte("csv-mistakes.csv"), []byte("customers.csv"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		read := func(text []byte) (*Plan, Problems) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "customers.csv"), text, 0o600))
			return Parse("plan.yaml", plan, dir)
		}
		var p *Plan
		var problems Problems
		fuzztest.Bounded(t, len(text), perByte, func() { p, problems = read(text) })
		if p == nil {
			require.NotEmpty(t, problems)
			plainly, _ := asUTF8(text) // nothing where that is the problem, and then its lines are those of text
			placed(t, problems, map[string][]byte{"plan.yaml": plan, "customers.csv": slices.Concat(text, plainly)})
			return
		}
		require.Empty(t, problems)
		for name, same := range map[string][]byte{
			"plainly": written(t, p.Customers.List), "UTF-16": inUTF16(string(written(t, p.Customers.List)), binary.LittleEndian),
		} {
			again, problems := read(same)
			require.Empty(t, problems, "%s:\n%s", name, same)
			require.Equal(t, p.Customers.List, again.Customers.List, "%s:\n%s", name, same)
		}
	})
}

// written are customers as a program would write them.
func written(t *testing.T, customers []Customer) []byte {
	t.Helper()
	labels := map[string]bool{}
	for _, c := range customers {
		for k := range c.Labels {
			labels[string(k)] = true
		}
	}
	header := slices.Concat(csvRequired, csvOptional)
	keys := sortedKeys(labels)
	for _, k := range keys {
		header = append(header, labelColumn+k)
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	require.NoError(t, w.Write(header))
	for _, c := range customers {
		tenant := strings.TrimPrefix(fmt.Sprint(c.Tenant), "0") // without datasets it has none
		row := []string{string(c.ID), joined(c.Match.Host), joined(c.Uses.Workloads), tenant, joined(c.Uses.Datasets),
			string(c.Name), string(c.Zone), string(c.Contact), joined(c.Blackouts)}
		for _, k := range keys {
			row = append(row, string(c.Labels[Name(k)]))
		}
		require.NoError(t, w.Write(row))
	}
	w.Flush()
	return out.Bytes()
}

func joined[T ~string](of []T) string { return strings.Join(strs(of), ";") }
