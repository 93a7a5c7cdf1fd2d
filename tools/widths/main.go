// Widths holds the repository's source against its widths: 100 columns for a comment, 140 for code.
// A tab counts four columns. `make lint` runs it.
//
// What stands in a Go raw string (a query, a struct's tag, a golden text) is not measured, nor is a
// comment that is one word, such as a link.
package main

import (
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	commentWidth = 100
	codeWidth    = 140
	tabWidth     = 4
)

// marks begin a comment, by the ending of a file's name.
var marks = map[string]string{".go": "//", ".sql": "--", ".py": "#", ".sh": "#"}

func main() {
	out, err := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "list the files of this checkout:", err)
		os.Exit(2)
	}
	found := 0
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSuffix(name, "\n")
		src, err := os.ReadFile(name)
		if err != nil {
			continue // deleted and not committed yet
		}
		for _, problem := range check(name, src) {
			fmt.Println(problem)
			found++
		}
	}
	if found > 0 {
		fmt.Printf("%d lines are too wide: break them by hand (gofmt keeps the break)\n", found)
		os.Exit(1)
	}
}

// check returns a line for each line of a file that is too wide.
func check(name string, src []byte) (problems []string) {
	mark, known := marks[filepath.Ext(name)]
	if !known {
		return nil
	}
	var raw map[int]bool
	if mark == "//" {
		raw = rawStrings(src)
	}
	n := 0
	for line := range strings.Lines(string(src)) {
		n++
		limit, kind := codeWidth, "code"
		text, isComment := strings.CutPrefix(strings.TrimSpace(line), mark)
		if isComment {
			limit, kind = commentWidth, "a comment"
		}
		w := width(strings.TrimSuffix(line, "\n"))
		if w <= limit || raw[n] || isComment && !strings.Contains(strings.TrimSpace(text), " ") {
			continue
		}
		problems = append(problems, fmt.Sprintf("%s:%d: %d columns; %s has at most %d", name, n, w, kind, limit))
	}
	return problems
}

// width is how many columns a line takes.
func width(line string) int {
	return utf8.RuneCountInString(line) + (tabWidth-1)*strings.Count(line, "\t")
}

// rawStrings are the lines of a Go file that have a part of a raw string.
func rawStrings(src []byte) map[int]bool {
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, 0)
	lines := map[int]bool{}
	for {
		at, kind, text := s.Scan()
		if kind == token.EOF {
			return lines
		}
		if kind == token.STRING && text[0] == '`' {
			first := files.Position(at).Line
			for i := range strings.Count(text, "\n") + 1 {
				lines[first+i] = true
			}
		}
	}
}
