package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestALineIsTooWideByWhatItIs(t *testing.T) {
	wide := func(n int) string { return strings.Repeat("a ", n/2) }
	for name, c := range map[string]struct {
		file, src string
		want      []string
	}{
		"a comment within": {"x.go", "// " + wide(97) + "\n", nil},
		"a comment beyond": {"x.go", "package x\n\n// " + wide(98) + "b\n", []string{"x.go:3: 102 columns; a comment has at most 100"}},
		"a link":           {"x.go", "// https://" + strings.Repeat("a", 200) + "\n", nil},
		"code within":      {"x.go", "\tx := f(" + wide(128) + ")\n", nil},
		"code beyond":      {"x.go", "\tx := f(" + wide(130) + ")\n", []string{"x.go:1: 142 columns; code has at most 140"}},
		"a query":          {"x.go", "package x\n\nvar q = `\nSELECT " + wide(200) + "`\n", nil},
		"after a query": {"x.go", "package x\n\nvar q = `\nSELECT`\nvar r = \"" + wide(140) + "\"\n",
			[]string{"x.go:5: 150 columns; code has at most 140"}},
		"SQL's comment":        {"x.sql", "-- " + wide(100) + "\n", []string{"x.sql:1: 103 columns; a comment has at most 100"}},
		"Python's, by a tab":   {"x.py", "\t# " + wide(96) + "\n", []string{"x.py:1: 102 columns; a comment has at most 100"}},
		"what is no source":    {"x.md", wide(400), nil},
		"letters of two bytes": {"x.go", "// ä" + strings.Repeat(" ä", 48) + "\n", nil},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, check(c.file, []byte(c.src))) })
	}
}
