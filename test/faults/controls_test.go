package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A control whose text is not in its file any more would switch off nothing.
func TestEveryControlChangesOnePlaceAndNamesItsCell(t *testing.T) {
	names := map[string]bool{}
	for _, g := range groups() {
		for _, c := range g.cells(&points{}) {
			names[c.name] = true
		}
	}
	require.GreaterOrEqual(t, len(controls), 10)
	for _, c := range controls {
		t.Run(c.name, func(t *testing.T) {
			for _, e := range c.edits {
				text, err := os.ReadFile(filepath.Join(root(), e.path))
				require.NoError(t, err)
				require.Equal(t, 1, strings.Count(string(text), e.old), "%s has %q not once", e.path, e.old)
			}
			require.True(t, names[c.cell], "there is no cell %q", c.cell)
		})
	}
}
