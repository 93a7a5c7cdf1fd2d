package setup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Statement is one statement of a file of SQL.
type Statement struct {
	Line  int // where it begins, from 1
	Text  string
	Words []string // its first words outside of quotes and comments, in capitals
}

// mostWords are read of a statement: they say what it does.
const mostWords = 6

// Statements splits a file of SQL as psql would, without executing anything. What only psql
// understands is a mistake.
func Statements(file string) (out []Statement, err error) {
	l := lexer{text: file, line: 1}
	for {
		s, more, err := l.statement()
		if err != nil {
			return nil, err
		}
		if s.Text != "" {
			out = append(out, s)
		}
		if !more {
			return out, nil
		}
	}
}

type lexer struct {
	text string
	at   int
	line int
}

// statement reads up to the next semicolon, or to the end.
func (l *lexer) statement() (s Statement, more bool, err error) {
	start := -1
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch c := rest[0]; {
		case strings.HasPrefix(rest, "--"):
			l.skip(until(rest, "\n"))
			continue
		case strings.HasPrefix(rest, "/*"):
			n, err := comment(rest)
			if err != nil {
				return s, false, l.mistake(err.Error())
			}
			l.skip(n)
			continue
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f':
			l.skip(1)
			continue
		case c == ';':
			l.skip(1)
			if start >= 0 {
				s.Text = strings.TrimSpace(l.text[start : l.at-1])
			}
			return s, true, nil
		case c == '\\':
			return s, false, l.mistake("a backslash begins what only psql understands: write it in SQL")
		}
		if start < 0 {
			start, s.Line = l.at, l.line
		}
		n, err := l.token(rest, &s)
		if err != nil {
			return s, false, err
		}
		l.skip(n)
	}
	if start >= 0 {
		s.Text = strings.TrimSpace(l.text[start:])
	}
	return s, false, nil
}

// token says how long the next token is, which is neither a blank nor a comment.
func (l *lexer) token(rest string, s *Statement) (n int, err error) {
	switch c := rest[0]; {
	case (c == 'e' || c == 'E') && strings.HasPrefix(rest[1:], "'"):
		n = quoted(rest[1:], '\'', true) + 1
	case c == '\'' || c == '"':
		n = quoted(rest, c, false)
	case c == '$':
		n = dollar(rest)
	case letter(c):
		for n = 1; n < len(rest) && (letter(rest[n]) || rest[n] >= '0' && rest[n] <= '9' || rest[n] == '$'); n++ {
		}
		word := strings.ToUpper(rest[:n])
		if len(s.Words) < mostWords {
			s.Words = append(s.Words, word)
		}
		if word == "ATOMIC" {
			return 0, l.mistake("the body of a function has to be a string (AS $$ ... $$): a semicolon in it would end the statement")
		}
	default:
		n = 1
	}
	if n <= 0 {
		return 0, l.mistake("a quote is not closed")
	}
	return n, nil
}

func (l *lexer) skip(n int) {
	l.line += strings.Count(l.text[l.at:l.at+n], "\n")
	l.at += n
}

func (l *lexer) mistake(what string) error { return fmt.Errorf("line %d: %s", l.line, what) }

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// until is the length up to a mark, or of all.
func until(s, mark string) int {
	if i := strings.Index(s, mark); i >= 0 {
		return i
	}
	return len(s)
}

// comment is the length of a comment, which may have comments in it.
func comment(s string) (n int, err error) {
	depth := 0
	for n < len(s) {
		switch {
		case strings.HasPrefix(s[n:], "/*"):
			depth, n = depth+1, n+2
		case strings.HasPrefix(s[n:], "*/"):
			if depth, n = depth-1, n+2; depth == 0 {
				return n, nil
			}
		default:
			n++
		}
	}
	return 0, errors.New("a comment is not closed")
}

// quoted is the length of what is quoted; 0: it is not closed.
func quoted(s string, by byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == by && i+1 < len(s) && s[i+1] == by:
			i++
		case s[i] == by:
			return i + 1
		}
	}
	return 0
}

// dollar is the length of a string in dollars, or 1 where it is none; 0: it is not closed.
func dollar(s string) int {
	i := 1
	for i < len(s) && (letter(s[i]) || i > 1 && s[i] >= '0' && s[i] <= '9') {
		i++
	}
	if i >= len(s) || s[i] != '$' {
		return 1
	}
	tag := s[:i+1]
	if end := strings.Index(s[i+1:], tag); end >= 0 {
		return i + 1 + end + len(tag)
	}
	return 0
}

// objects are what a change of the schema may make, change and take away. What becomes of tables
// that take part is looked at afterwards.
var objects = []string{"TABLE", "INDEX", "VIEW", "SEQUENCE", "TYPE", "DOMAIN", "FUNCTION", "PROCEDURE", "SCHEMA", "TRIGGER", "STATISTICS",
	"AGGREGATE"}

// Refused says why a statement is not one that changes a schema alike on two sides; "": it may be.
func (s Statement) Refused() string {
	if len(s.Words) == 0 {
		return "it is no statement"
	}
	words := slices.DeleteFunc(slices.Clone(s.Words[1:]), func(w string) bool {
		return w == "OR" || w == "REPLACE" || w == "UNIQUE" || w == "MATERIALIZED" || w == "CONSTRAINT" || w == "UNLOGGED"
	})
	of := ""
	if len(words) > 0 {
		of = words[0]
	}
	switch verb := s.Words[0]; verb {
	case "COMMENT", "GRANT", "REVOKE":
		return ""
	case "CREATE", "ALTER", "DROP":
		if slices.Contains(objects, of) && slices.Contains(s.Words, "CONCURRENTLY") {
			return "it cannot be part of a transaction: make the index by hand on both sides, which no row depends on"
		}
		if slices.Contains(objects, of) {
			return ""
		}
		return verb + " " + of + " is none that a plan's databases take in: make it by hand, alike on both sides"
	case "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "PREPARE":
		return "the file is one transaction on each side, which Drover begins and ends: leave " + verb + " out"
	case "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "TRUNCATE", "SELECT", "WITH", "VALUES", "DO", "CALL", "EXECUTE":
		return "it may write rows, on both sides at once: let the application do that, for each customer at its home"
	default:
		return verb + " is no change of a schema"
	}
}
