// Package spelling proposes the word that somebody meant who mistyped it. It says nothing of what
// the words name.
package spelling

import (
	"slices"
	"strings"
)

// Nearest is the allowed word nearest to a mistyped one, without regard to case; "": none is near.
func Nearest(word string, allowed []string) string {
	best, distance := "", max(2, len(word)/3)+1
	for _, a := range slices.Sorted(slices.Values(allowed)) {
		if d := edits(strings.ToLower(word), strings.ToLower(a), distance); d < distance && d < max(len(word), len(a)) {
			best, distance = a, d
		}
	}
	return best
}

// edits counts the letters to insert, delete or replace between a and b, giving up at limit.
func edits(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
