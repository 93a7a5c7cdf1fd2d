package plans

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/drover-migration/drover/internal/spelling"
)

// Problem is one mistake in a plan.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`   // from 1; 0: the file as a whole
	Column  int    `json:"column,omitempty"` // from 1, in characters
	Path    string `json:"path,omitempty"`   // of the node: batches[1].customers[3]
	Message string `json:"message"`
	Found   string `json:"found,omitempty"` // never a secret
	Want    string `json:"want,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// String is the problem as compilers print theirs: file:line:col: path: message. It is one line,
// whatever the file has: characters that control a terminal are written out.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Found != "" {
		b.WriteString(": found " + p.Found)
	}
	if p.Want != "" {
		b.WriteString("; want " + p.Want)
	}
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return escaped(b.String())
}

// Problems are all the mistakes of a plan, in the order of the file.
type Problems []Problem

// Error prints one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is the problems as an error, nil if there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

func (ps Problems) sorted() Problems {
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(ps).oneEach()
}

// mostAlike is how many problems that differ in nothing but their place are listed: more of them
// have one cause.
const mostAlike = 2

// indexes are the places in lists that a path names.
var indexes = re(`\[[0-9]+\]`)

// oneEach keeps the first of the problems that differ only in their place in a list, where there
// are many, and says how many follow it.
func (ps Problems) oneEach() Problems {
	alike, told := map[Problem]int{}, map[Problem]bool{}
	kind := func(p Problem) Problem {
		p.Line, p.Column, p.Path = 0, 0, indexes.ReplaceAllString(p.Path, "[]")
		return p
	}
	for _, p := range ps {
		alike[kind(p)]++
	}
	var out Problems
	for _, p := range ps {
		k := kind(p)
		if alike[k] <= mostAlike || p.Path == k.Path {
			out = append(out, p)
			continue
		}
		if told[k] {
			continue
		}
		told[k] = true
		more := fmt.Sprintf("the same in %d places that follow", alike[k]-1)
		p.Hint = strings.TrimPrefix(p.Hint+"; "+more, "; ")
		out = append(out, p)
	}
	return out
}

// passwordAndHost is what may be a password in front of a host, in whatever stands around it.
var passwordAndHost = re(`:[^\s@]+@`)

// quoted shows a text of the plan in a message: short, and withheld where it looks like a secret.
func quoted(s string) string {
	const longest = 60
	if checkNoSecret(s) != nil || passwordAndHost.MatchString(s) {
		return "something that looks like a secret (not shown)"
	}
	if utf8.RuneCountInString(s) > longest {
		return fmt.Sprintf("%q...", string([]rune(s)[:longest]))
	}
	return fmt.Sprintf("%q", s)
}

// didYouMean proposes the allowed word nearest to a mistyped one; "": none is near.
func didYouMean(word string, allowed []string) string {
	if best := spelling.Nearest(word, allowed); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// listed shows a choice of words, cut short where there are many.
func listed(words []string) string {
	words = slices.Sorted(slices.Values(words))
	const most = 16
	if len(words) > most {
		return strings.Join(words[:most], ", ") + fmt.Sprintf(" and %d more", len(words)-most)
	}
	return strings.Join(words, ", ")
}
